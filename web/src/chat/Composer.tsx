import { type FormEvent, type KeyboardEvent, useEffect, useRef } from "react";
import { Icon } from "../ui/icons";
import { useStored } from "../ui/useStored";

interface Props {
  room: string;
  onSend: (text: string) => void;
  onTyping: (typing: boolean) => void;
}

/** Where messages are written. What was not sent is still there after a reload. */
export function Composer({ room, onSend, onTyping }: Props) {
  const [text, setText] = useStored(`troupe.draft.${room}`, "");
  const input = useRef<HTMLTextAreaElement>(null);

  // Where the focus brings up no keyboard that hides the messages.
  useEffect(() => {
    if (matchMedia("(pointer: fine)").matches) input.current?.focus();
  }, []);

  const change = (next: string) => {
    setText(next);
    onTyping(next !== "");
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (!text.trim()) return;
    onSend(text.trim());
    change("");
    input.current?.focus();
  };
  const onKeyDown = (event: KeyboardEvent) => {
    // Enter also ends the composition of a character: that is not for us.
    if (event.key === "Enter" && !event.shiftKey && !event.nativeEvent.isComposing) submit(event);
  };

  return (
    <form className="composer" onSubmit={submit}>
      <textarea
        ref={input}
        aria-label="Message"
        placeholder={`Message #${room}`}
        rows={1}
        maxLength={2000}
        enterKeyHint="send"
        value={text}
        onChange={(event) => change(event.target.value)}
        onKeyDown={onKeyDown}
      />
      <button className="primary icon-button" aria-label="Send" disabled={!text.trim()}>
        <Icon name="send" />
      </button>
    </form>
  );
}
