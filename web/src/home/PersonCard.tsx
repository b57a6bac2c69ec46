import { type FormEvent, useState, useSyncExternalStore } from "react";
import type { ActorStatus } from "@troupe/react";
import type { Spoken } from "../registry.gen";
import { Avatar } from "../ui/Avatar";
import { ConnectionStatus } from "../ui/ConnectionStatus";
import { failure } from "../ui/failure";
import { Icon } from "../ui/icons";
import { useStickToEnd } from "../ui/useStickToEnd";
import { UserText } from "../ui/UserText";
import type { Person } from "./people";
import { PlugPicture } from "./Picture";

interface Props {
  person: Person;
  status: ActorStatus;
  lines: readonly Spoken[];
  say: (text: string) => Promise<unknown>;
}

/** One person: their plug, what they see, and what they say. */
export function PersonCard({ person: { name, plug, insert }, status, lines, say }: Props) {
  const pulled = useSyncExternalStore(plug.subscribe, plug.pulled);
  const [text, setText] = useState("");
  const [problem, setProblem] = useState("");
  const { scroller, onScroll } = useStickToEnd(lines);

  const submit = async (event: FormEvent) => {
    event.preventDefault();
    if (!text.trim()) return;
    setText("");
    setProblem("");
    try {
      await say(text.trim());
    } catch (error) {
      setProblem(failure("said", error));
    }
  };

  return (
    <section className="person" aria-label={name} data-pulled={pulled}>
      <header>
        <Avatar id={name} name={name} />
        <h2>{name}</h2>
        <ConnectionStatus status={status} label={`Connection of ${name}`} />
      </header>
      <button type="button" className="plug" onClick={() => (pulled ? insert() : plug.pull())}>
        <PlugPicture />
        <span>{pulled ? `Plug ${name} back in` : `Pull ${name}’s plug`}</span>
      </button>
      <div
        className="lines"
        role="log"
        aria-label={`What ${name} sees`}
        tabIndex={0}
        ref={scroller}
        onScroll={onScroll}
      >
        {lines.length === 0 && <p className="empty">No messages yet.</p>}
        <ol>
          {lines.map((line, i) => (
            <li key={line.number || `waiting ${i}`} data-mine={line.from === name} data-waiting={line.number === 0}>
              {line.from !== name && <strong>{line.from}</strong>}
              <UserText text={line.text} />
              {line.number === 0 && <small>{pulled ? "waits for the plug" : "on its way…"}</small>}
            </li>
          ))}
        </ol>
      </div>
      {problem && <p role="alert">{problem}</p>}
      <form onSubmit={(event) => void submit(event)}>
        <input
          aria-label={`Line of ${name}`}
          placeholder={`Say something as ${name}`}
          dir="auto"
          maxLength={100}
          value={text}
          onChange={({ target }) => setText(target.value)}
        />
        <button className="icon-button primary" aria-label={`Say it as ${name}`}>
          <Icon name="send" />
        </button>
      </form>
    </section>
  );
}
