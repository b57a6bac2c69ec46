import { type FormEvent, type KeyboardEvent, useEffect, useRef } from "react";
import { Icon } from "../ui/icons";
import { isPress } from "../ui/isPress";
import { lengthOf, LengthNote } from "../ui/LengthNote";
import { useStored } from "../ui/useStored";

const MAX = 2000; // the server's limit

interface Props {
  room: string;
  onSend: (text: string) => void;
  onTyping: (typing: boolean) => void;
}

/** The text box for messages. A draft survives a reload. */
export function Composer({ room, onSend, onTyping }: Props) {
  const [text, setText] = useStored(`troupe.draft.${room}`, "");
  const input = useRef<HTMLTextAreaElement>(null);

  const message = text.trim();
  const sendable = message !== "" && lengthOf(message) <= MAX;

  // Not on touch screens, where the keyboard would cover the messages.
  useEffect(() => {
    if (matchMedia("(pointer: fine)").matches) input.current?.focus();
  }, []);

  const change = (next: string) => {
    setText(next);
    onTyping(next !== "");
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (!sendable) return;
    onSend(message);
    change("");
    input.current?.focus();
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (isPress(event.nativeEvent, "Enter") && !event.shiftKey) submit(event);
  };

  return (
    <form className="composer" onSubmit={submit}>
      <textarea
        ref={input}
        aria-label="Message"
        placeholder={`Message #${room}`}
        rows={1}
        dir="auto"
        enterKeyHint="send"
        value={text}
        onChange={(event) => change(event.target.value)}
        onKeyDown={onKeyDown}
      />
      <button className="primary icon-button" aria-label="Send" disabled={!sendable}>
        <Icon name="send" />
      </button>
      <LengthNote text={message} max={MAX} />
    </form>
  );
}
