import { type FormEvent, useRef, useState } from "react";
import { formatTime } from "../ui/text";
import type { Whisper } from "./useGame";

interface Props {
  whispers: readonly Whisper[];
  me: string;
  others: readonly string[];
  /** To whom; "" for nobody in particular. */
  target: string;
  onTarget: (playerId: string) => void;
  onWhisper: (playerId: string, text: string) => Promise<void>;
}

export function Whispers({ whispers, me, others, target, onTarget, onWhisper }: Props) {
  const [text, setText] = useState("");
  const [error, setError] = useState("");
  const input = useRef<HTMLInputElement>(null);
  const to = others.includes(target) ? target : (others[0] ?? "");

  const submit = async (event: FormEvent) => {
    event.preventDefault();
    if (!text.trim() || !to) return;
    setError("");
    try {
      await onWhisper(to, text.trim());
      setText("");
      input.current?.focus();
    } catch (thrown) {
      setError(thrown instanceof Error ? thrown.message : String(thrown));
    }
  };

  return (
    <section className="card whispers">
      <h2>Whispers</h2>
      <div role="log" aria-label="Whispers" tabIndex={0}>
        {whispers.length === 0 && <p className="muted">A whisper reaches one player, and nobody else.</p>}
        <ul>
          {whispers.map((whisper) => (
            <li key={`${whisper.timestamp} ${whisper.from} ${whisper.text}`} data-mine={whisper.from === me}>
              <strong>{whisper.from === me ? `You to ${whisper.to}` : `${whisper.from} to you`}</strong>{" "}
              <time dateTime={new Date(whisper.timestamp).toISOString()}>{formatTime(whisper.timestamp)}</time>
              <p>{whisper.text}</p>
            </li>
          ))}
        </ul>
      </div>
      <form onSubmit={submit}>
        <label>
          Whisper to
          <select value={to} onChange={(event) => onTarget(event.target.value)} disabled={!to}>
            {others.map((id) => (
              <option key={id}>{id}</option>
            ))}
          </select>
        </label>
        <div className="line">
          <input
            ref={input}
            aria-label="Whisper"
            placeholder={to ? "Psst…" : "Nobody else is here"}
            maxLength={500}
            value={text}
            onChange={(event) => setText(event.target.value)}
          />
          <button className="primary" disabled={!to || !text.trim()} aria-label="Send whisper">
            Send
          </button>
        </div>
        {error && <p role="alert">{error}</p>}
      </form>
    </section>
  );
}
