import type { Member } from "../registry";
import { ConnectionBanner } from "../ui/ConnectionBanner";
import { ConnectionStatus } from "../ui/ConnectionStatus";
import { Icon } from "../ui/icons";
import { count } from "../ui/text";
import { Composer } from "./Composer";
import { MessageList } from "./MessageList";
import { People } from "./People";
import { useChatRoom } from "./useChatRoom";
import { useTyping } from "./useTyping";

interface Props {
  room: string;
  me: Member;
  /** What is open on a phone, where there is no room for all. */
  open: "rooms" | "people" | undefined;
  onToggle: (drawer: "rooms" | "people") => void;
}

export function Room({ room: name, me, open, onToggle }: Props) {
  const room = useChatRoom(name, me);
  const typing = useTyping(room);
  const missed = room.chat.missed.length;

  return (
    <>
      <section className="room" aria-label={`Room ${name}`}>
        <header className="room-header">
          <button
            type="button"
            className="icon-button narrow"
            aria-label="Rooms"
            aria-expanded={open === "rooms"}
            aria-controls="rooms"
            onClick={() => onToggle("rooms")}
          >
            <Icon name="menu" />
          </button>
          <h1 tabIndex={-1}># {name}</h1>
          <ConnectionStatus status={room.status} />
          <button
            type="button"
            className="icon-button narrow"
            aria-label="Who is here"
            aria-expanded={open === "people"}
            aria-controls="people"
            onClick={() => onToggle("people")}
          >
            <Icon name="people" />
            {room.members.length}
          </button>
        </header>
        <ConnectionBanner
          actor={room}
          caughtUp={() =>
            missed
              ? `Back online. ${count(missed, "message")} you missed ${missed === 1 ? "is" : "are"} here.`
              : "Back online. You missed nothing."
          }
        />
        <MessageList
          chat={room.chat}
          me={me}
          loaded={room.status !== "connecting"}
          onDelete={room.deleteMessage}
          onRetry={(message) => room.send(message.text, message.id)}
          onDiscard={(message) => room.discard(message.id)}
        />
        {room.problem && <p role="alert">{room.problem}</p>}
        <p className="typing">{typingText(typing.names)}</p>
        <Composer room={name} onSend={room.send} onTyping={typing.onTyping} />
      </section>
      <People members={room.members} me={me} />
    </>
  );
}

function typingText(names: readonly string[]): string {
  if (names.length === 0) return "";
  if (names.length === 1) return `${names[0]} is typing…`;
  if (names.length === 2) return `${names[0]} and ${names[1]} are typing…`;
  return "Several people are typing…";
}
