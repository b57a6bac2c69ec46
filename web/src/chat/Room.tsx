import type { Member } from "../registry.gen";
import { ConnectionBanner } from "../ui/ConnectionBanner";
import { ConnectionStatus } from "../ui/ConnectionStatus";
import { Icon } from "../ui/icons";
import { count } from "../ui/text";
import { isolated } from "../ui/UserText";
import { Composer } from "./Composer";
import { LaterList } from "./LaterList";
import { MessageList } from "./MessageList";
import { People } from "./People";
import { useChatRoom } from "./useChatRoom";
import type { Drawer } from "./useDrawer";
import { useTitleCount } from "./useTitleCount";
import { useTyping } from "./useTyping";

interface Props {
  room: string;
  me: Member;
  /** How many messages are unread in other rooms. */
  unread: number;
  open: Drawer | undefined;
  onToggle: (drawer: Drawer) => void;
}

export function Room({ room: name, me, unread, open, onToggle }: Props) {
  const room = useChatRoom(name, me);
  const typing = useTyping(room, me);
  useTitleCount(room, me);
  const missed = room.missed.length;

  return (
    <>
      <section className="room" aria-label={`Room ${name}`}>
        <header className="room-header">
          <button
            type="button"
            className="icon-button narrow"
            aria-label={unread ? `Rooms, ${unread} unread` : "Rooms"}
            aria-expanded={open === "rooms"}
            aria-controls="rooms"
            onClick={() => onToggle("rooms")}
          >
            <Icon name="menu" />
            {unread > 0 && <span className="dot" />}
          </button>
          <h1 tabIndex={-1} dir="auto">{`# ${name}`}</h1>
          <ConnectionStatus status={room.status} />
          <button
            type="button"
            className="icon-button narrow"
            aria-label={`Who is here: ${room.members.length}`}
            aria-expanded={open === "people"}
            aria-controls="people"
            onClick={() => onToggle("people")}
          >
            <Icon name="people" />
            <span>{room.members.length}</span>
          </button>
        </header>
        {/* An open drawer covers this part, so keyboards must not reach it either. */}
        <div className="room-body" inert={open !== undefined}>
          <ConnectionBanner
            actor={room}
            caughtUp={() =>
              missed
                ? `Back online. ${count(missed, "message")} you missed ${missed === 1 ? "is" : "are"} here.`
                : "Back online. You missed nothing."
            }
          />
          <MessageList
            room={name}
            messages={room.messages}
            missed={room.missed}
            pages={room.pages}
            outgoing={room.outgoing}
            me={me}
            connected={room.isConnected}
            onDelete={room.deleteMessage}
            onRetry={(message) => room.send(message.text, message.timing, message.id)}
            onDiscard={(message) => room.discard(message.id)}
          />
          {room.problem && <p role="alert">{room.problem}</p>}
          <LaterList later={room.later} onCancel={room.cancelLater} />
          <p className="typing">{typingText(typing.names)}</p>
          <Composer room={name} onSend={room.send} onTyping={typing.onTyping} />
        </div>
      </section>
      <People members={room.members} me={me} upToDate={room.isConnected} />
    </>
  );
}

function typingText(names: readonly string[]): string {
  if (names.length === 0) return "";
  if (names.length === 1) return `${isolated(names[0]!)} is typing…`;
  if (names.length === 2) return `${isolated(names[0]!)} and ${isolated(names[1]!)} are typing…`;
  return `${isolated(names.at(-1)!)} and ${names.length - 1} others are typing…`;
}
