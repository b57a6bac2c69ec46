import type { ActorPages } from "@troupe/react";
import { useEffect, useRef } from "react";
import type { Member, Message } from "../registry.gen";
import { Avatar, hueStyle } from "../ui/Avatar";
import { Icon } from "../ui/icons";
import { still } from "../ui/still";
import { formatDay, formatTime, formatWhen } from "../ui/text";
import { UserText } from "../ui/UserText";
import { useStickToEnd } from "../ui/useStickToEnd";
import { keyOf, type Row, toRows } from "./messages";
import type { Outgoing } from "./outgoing";

interface Props {
  room: string;
  messages: readonly Message[];
  missed: readonly Message[];
  /** The pages that messages are of. */
  pages: ActorPages<number, Message>;
  outgoing: readonly Outgoing[];
  me: Member;
  connected: boolean;
  onDelete: (messageId: string) => void;
  onRetry: (message: Outgoing) => void;
  onDiscard: (message: Outgoing) => void;
}

export const MessageList = still(function MessageList(props: Props) {
  const { room, messages, missed, pages, outgoing, me, connected, onDelete, onRetry, onDiscard } = props;
  const rows = toRows(messages, missed[0]);
  const newest = messages.at(-1);
  const { scroller, onScroll, isAtEnd, unseen, toEnd } = useStickToEnd(
    messages,
    outgoing.length,
    newest ? keyOf(newest) : 0,
  );
  /** Moves the focus to the list, because the button that has it disappears. */
  const keepFocus =
    <T,>(act: (subject: T) => void) =>
    (subject: T) => {
      act(subject);
      scroller.current?.focus({ preventScroll: true });
    };
  const empty = rows.length + outgoing.length === 0;
  return (
    <>
      <div className="messages-frame">
        {/* Scrollable elements must be reachable by keyboard. */}
        <div
          className="messages"
          role="log"
          aria-label="Messages"
          aria-live={isAtEnd ? "polite" : "off"} // older messages are not news
          tabIndex={0}
          ref={scroller}
          onScroll={onScroll}
        >
          {empty && pages.status === "ready" && (
            <div className="empty">
              <p>No messages yet.</p>
              <p>Write the first one.</p>
            </div>
          )}
          {pages.hasOlder && pages.status !== "error" && <Older pages={pages} onClick={keepFocus(pages.loadOlder)} />}
          {!pages.hasOlder && rows.length > 0 && (
            <p className="beginning" dir="auto">{`This is the beginning of # ${room}.`}</p>
          )}
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
        {!isAtEnd && (
          <button type="button" className="to-newest" data-unseen={unseen} onClick={keepFocus(toEnd)}>
            <Icon name="down" /> {unseen ? "New messages" : "Newest messages"}
          </button>
        )}
      </div>
      <LoadFailure pages={pages} connected={connected} onRetry={keepFocus(pages.reload)} />
    </>
  );
});

/** Says that the messages could not be loaded, and loads them again. Without a connection, useActorPages does that. */
function LoadFailure({
  pages,
  connected,
  onRetry,
}: Pick<Props, "pages" | "connected"> & { onRetry: (event: unknown) => void }) {
  if (pages.status !== "error" || !connected) return null;
  return (
    <p role="alert">
      Messages could not be loaded.{" "}
      <button type="button" onClick={onRetry}>
        Try again
      </button>
    </p>
  );
}

/** Loads older messages when it comes into view. */
function Older({ pages, onClick }: Pick<Props, "pages"> & { onClick: (event: unknown) => void }) {
  const { isLoadingOlder, error, loadOlder } = pages;
  const element = useRef<HTMLDivElement>(null);
  const failed = error !== undefined;
  useEffect(() => {
    if (isLoadingOlder || failed) return;
    const observer = new IntersectionObserver(([entry]) => entry?.isIntersecting && loadOlder(), {
      root: element.current!.parentElement,
      rootMargin: "600px 0px 0px",
    });
    observer.observe(element.current!);
    return () => observer.disconnect();
  }, [isLoadingOlder, failed, loadOlder]);
  return (
    <div className="older" ref={element}>
      {failed && <p>Older messages could not be loaded.</p>}
      <button type="button" disabled={isLoadingOlder} onClick={onClick}>
        {isLoadingOlder ? "Loading older messages…" : failed ? "Try again" : "Older messages"}
      </button>
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
        {message.deletedAt && (
          <span className="until">
            <Icon name="clock" /> Disappears {formatWhen(message.deletedAt)}
          </span>
        )}
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
