import { type FormEvent, type KeyboardEvent, useEffect, useRef, useState } from "react";
import type { Timing } from "../registry.gen";
import { Icon } from "../ui/icons";
import { isPress } from "../ui/isPress";
import { lengthOf, LengthNote } from "../ui/LengthNote";
import { useStored } from "../ui/useStored";
import { type Choice, isToCome, NOW, timingOf } from "./timing";
import { TimingFields } from "./TimingFields";

const MAX = 2000; // the server's limit

interface Props {
  room: string;
  onSend: (text: string, timing?: Timing) => void;
  onTyping: (typing: boolean) => void;
}

/** The text box for messages. A draft survives a reload. */
export function Composer({ room, onSend, onTyping }: Props) {
  const [text, setText] = useStored(`troupe.draft.${room}`, "");
  const input = useRef<HTMLTextAreaElement>(null);
  /** When it is sent, and how long it stays; undefined while the user does not choose that. */
  const [choice, setChoice] = useState<Choice>();
  const timingButton = useRef<HTMLButtonElement>(null);

  const message = text.trim();
  const sendable = message !== "" && lengthOf(message) <= MAX && (!choice || isToCome(choice));

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
    onSend(message, choice && timingOf(choice));
    change("");
    setChoice(undefined);
    input.current?.focus();
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (isPress(event.nativeEvent, "Enter") && !event.shiftKey) submit(event);
  };

  return (
    <form className="composer" onSubmit={submit} noValidate>
      {choice && (
        <TimingFields
          id="timing"
          choice={choice}
          onChange={setChoice}
          onClose={() => {
            setChoice(undefined);
            timingButton.current?.focus();
          }}
        />
      )}
      <button
        type="button"
        className="icon-button"
        ref={timingButton}
        aria-label="Timing"
        aria-expanded={choice !== undefined}
        aria-controls="timing"
        onClick={() => setChoice(choice ? undefined : NOW)}
      >
        <Icon name="clock" />
      </button>
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
      <button
        className="primary icon-button"
        aria-label={choice && choice.send !== "now" ? "Send later" : "Send"}
        disabled={!sendable}
      >
        <Icon name="send" />
      </button>
      <LengthNote text={message} max={MAX} />
    </form>
  );
}
