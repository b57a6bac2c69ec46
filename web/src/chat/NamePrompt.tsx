import { type FormEvent, useState } from "react";
import { Logo } from "../ui/icons";

const FIRST = ["Merry", "Velvet", "Silver", "Quiet", "Grand", "Nimble", "Golden", "Midnight", "Paper", "Lucky"];
const LAST = ["Understudy", "Harlequin", "Prompter", "Soprano", "Juggler", "Stagehand", "Columbine", "Drummer", "Pierrot", "Usher"];

const pick = (words: readonly string[]) => words[Math.floor(Math.random() * words.length)]!;

interface Props {
  name: string;
  room: string;
  onJoin: (name: string) => void;
}

export function NamePrompt({ name: before, room, onJoin }: Props) {
  const [name, setName] = useState(before || `${pick(FIRST)} ${pick(LAST)}`);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (name.trim()) onJoin(name.trim());
  };
  return (
    <form className="card welcome" onSubmit={submit}>
      <Logo />
      <h1 tabIndex={-1}>{before ? "Another name?" : "Welcome to the troupe"}</h1>
      <p>
        You are about to enter <strong>#{room}</strong>. What shall the others call you?
      </p>
      <label>
        Your name
        <input
          value={name}
          onChange={(event) => setName(event.target.value)}
          onFocus={(event) => event.target.select()}
          maxLength={32}
          autoComplete="nickname"
          required
          autoFocus
        />
      </label>
      <button className="primary">Join</button>
    </form>
  );
}
