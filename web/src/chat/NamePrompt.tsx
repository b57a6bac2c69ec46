import { type FormEvent, useState } from "react";
import { Logo } from "../ui/icons";
import { isPress } from "../ui/isPress";

const FIRST = ["Merry", "Velvet", "Silver", "Quiet", "Grand", "Nimble", "Golden", "Midnight", "Paper", "Lucky"];
const LAST = [
  "Understudy",
  "Harlequin",
  "Prompter",
  "Soprano",
  "Juggler",
  "Stagehand",
  "Columbine",
  "Drummer",
  "Pierrot",
  "Usher",
];

const pick = (words: readonly string[]) => words[Math.floor(Math.random() * words.length)]!;

interface Props {
  name: string;
  room: string;
  onJoin: (name: string) => void;
  onCancel: () => void;
}

/** Asks for a name. A user who already has one may keep it. */
export function NamePrompt({ name: before, room, onJoin, onCancel }: Props) {
  const [name, setName] = useState(before || `${pick(FIRST)} ${pick(LAST)}`);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    onJoin(name.trim());
  };
  return (
    <form
      className="card welcome"
      onSubmit={submit}
      onKeyDown={({ nativeEvent }) => before && isPress(nativeEvent, "Escape") && onCancel()}
    >
      <Logo />
      <h1 tabIndex={-1}>{before ? "Change your name" : "Welcome to the troupe"}</h1>
      <p>
        You are joining <strong dir="auto">{`#${room}`}</strong>. What should others call you?
      </p>
      <label>
        Your name
        <input
          value={name}
          onChange={({ target }) => {
            setName(target.value);
            target.setCustomValidity(target.value.trim() ? "" : "Enter a name.");
          }}
          onFocus={(event) => event.target.select()}
          maxLength={32}
          dir="auto"
          autoComplete="nickname"
          required
          autoFocus
        />
      </label>
      <div className="actions">
        <button className="primary">{before ? "Save" : "Join"}</button>
        {before && (
          <button type="button" onClick={onCancel}>
            Cancel
          </button>
        )}
      </div>
    </form>
  );
}
