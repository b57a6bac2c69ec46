import type { Member } from "../registry.gen";
import { Avatar, hueStyle } from "../ui/Avatar";
import { Icon } from "../ui/icons";
import { formatDay, formatTime } from "../ui/text";
import { UserText } from "../ui/UserText";
import { useStickToEnd } from "../ui/useStickToEnd";
import { type Chat, type Row, toRows } from "./messages";
import type { Outgoing } from "./outgoing";

const KEPT = 200; // by the server

interface Props {
  chat: Chat;
  /** The messages have been loaded. */
  loaded: boolean;
  outgoing: readonly Outgoing[];
  me: Member;
  connected: boolean;
  onDelete: (messageId: string) => void;
  onRetry: (message: Outgoing) => void;
  onDiscard: (message: Outgoing) => void;
}

export function MessageList({ chat, loaded, outgoing, me, connected, onDelete, onRetry, onDiscard }: Props) {
  const rows = toRows(chat.messages, chat.missed);
  const { scroller, onScroll, unseen, toEnd } = useStickToEnd(chat.messages, outgoing.length);
  /** Moves the focus to the list, because the button that has it disappears. */
  const keepFocus =
    <T,>(act: (subject: T) => void) =>
    (subject: T) => {
      act(subject);
      scroller.current?.focus({ preventScroll: true });
    };
  const empty = rows.length + outgoing.length === 0;
  return (
    <div className="messages-frame">
      {/* Scrollable elements must be reachable by keyboard. */}
      <div className="messages" role="log" aria-label="Messages" tabIndex={0} ref={scroller} onScroll={onScroll}>
        {empty && loaded && (
          <div className="empty">
            <p>No messages yet.</p>
            <p>Write the first one.</p>
          </div>
        )}
        {chat.messages.length >= KEPT && <p className="kept">{`Only the last ${KEPT} messages are kept.`}</p>}
        <ol>
          {rows.map((row) => (
            <MessageItem
              key={row.message.id}
              row={row}
              mine={row.message.userId === me.userId}
              onDelete={keepFocus(onDelete)}
            />
          ))}
          {outgoing.map((message) => (
            <OutgoingItem
              key={message.id}
              message={message}
              connected={connected}
              onRetry={keepFocus(onRetry)}
              onDiscard={keepFocus(onDiscard)}
            />
          ))}
        </ol>
      </div>
      {unseen && (
        <button type="button" className="new-messages" onClick={toEnd}>
          <Icon name="down" /> New messages
        </button>
      )}
    </div>
  );
}

function MessageItem({ row, mine, onDelete }: { row: Row; mine: boolean; onDelete: (messageId: string) => void }) {
  const { message, startsGroup, startsDay, startsMissed } = row;
  const name = message.name ?? message.userId;
  return (
    <li className="message" data-mine={mine} data-starts={startsGroup}>
      {startsDay && <div className="divider">{formatDay(message.timestamp)}</div>}
      {startsMissed && <div className="divider missed">You missed this while you were away</div>}
      {startsGroup && (
        <div className="byline">
          <Avatar id={message.userId} name={name} />
          <strong style={hueStyle(message.userId)}>
            <bdi>{mine ? "You" : name}</bdi>
          </strong>{" "}
          <time dateTime={new Date(message.timestamp).toISOString()}>{formatTime(message.timestamp)}</time>
        </div>
      )}
      <div className="bubble">
        <UserText text={message.text} />
        {mine && (
          <button
            type="button"
            className="icon-button delete"
            aria-label="Delete message"
            onClick={() => onDelete(message.id)}
          >
            <Icon name="trash" />
          </button>
        )}
      </div>
    </li>
  );
}

/** A message of the user that the server does not have yet. */
function OutgoingItem({
  message,
  connected,
  onRetry,
  onDiscard,
}: { message: Outgoing } & Pick<Props, "connected" | "onRetry" | "onDiscard">) {
  return (
    <li className="message" data-mine data-outgoing={message.error ? "failed" : "sending"}>
      <div className="bubble">
        <UserText text={message.text} />
      </div>
      {message.error ? (
        <div className="delivery failed">
          <span>{message.error}</span>
          <button type="button" onClick={() => onRetry(message)}>
            Retry
          </button>
          <button type="button" onClick={() => onDiscard(message)}>
            Discard
          </button>
        </div>
      ) : (
        <div className="delivery">{connected ? "sending…" : "waiting for the connection…"}</div>
      )}
    </li>
  );
}
