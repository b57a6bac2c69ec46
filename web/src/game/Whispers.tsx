import { type FormEvent, type RefObject, useState } from "react";
import { lengthOf, LengthNote } from "../ui/LengthNote";
import { still } from "../ui/still";
import { formatTime } from "../ui/text";
import { isolated, UserText } from "../ui/UserText";
import { useStickToEnd } from "../ui/useStickToEnd";
import type { Whisper } from "./useGame";

const MAX = 500; // the server's limit

interface Props {
  connected: boolean;
  whispers: readonly Whisper[];
  me: string;
  others: readonly string[];
  /** The chosen player; "" before one was chosen. */
  target: string;
  onTarget: (playerId: string) => void;
  onWhisper: (playerId: string, text: string, id?: string) => void;
  input: RefObject<HTMLInputElement | null>;
}

export function Whispers({ connected, whispers, me, others, target, onTarget, onWhisper, input }: Props) {
  const [text, setText] = useState("");
  // The chosen player stays chosen after they left, so that the whisper does not go to somebody else.
  const to = target || (others[0] ?? "");
  const left = to !== "" && !others.includes(to);
  const message = text.trim();
  const sendable = !left && message !== "" && lengthOf(message) <= MAX;

  const change = (next: string) => {
    setText(next);
    onTarget(to);
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (!sendable) return;
    onWhisper(to, message);
    setText("");
    input.current?.focus();
  };

  return (
    <section className="card whispers">
      <h2>Whispers</h2>
      <WhisperLog connected={connected} whispers={whispers} me={me} onRetry={onWhisper} />
      <form onSubmit={submit}>
        <label>
          Whisper to
          <select value={to} onChange={(event) => onTarget(event.target.value)} disabled={!to}>
            {!to && <option value="">Nobody</option>}
            {left && <option>{to}</option>}
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
            dir="auto"
            value={text}
            disabled={!to}
            onChange={(event) => change(event.target.value)}
          />
          <button className="primary" disabled={!sendable} aria-label="Send whisper">
            Send
          </button>
        </div>
        <LengthNote text={message} max={MAX} />
        {left && <p role="alert">{`${isolated(to)} left.`}</p>}
      </form>
    </section>
  );
}

interface LogProps extends Pick<Props, "connected" | "whispers" | "me"> {
  onRetry: Props["onWhisper"];
}

const WhisperLog = still(function WhisperLog({ connected, whispers, me, onRetry }: LogProps) {
  const sending = whispers.filter((whisper) => whisper.sending).length;
  const { scroller, onScroll } = useStickToEnd(whispers, sending);
  return (
    <div role="log" aria-label="Whispers" tabIndex={0} ref={scroller} onScroll={onScroll}>
      {whispers.length === 0 && <p className="muted">A whisper goes to one player only.</p>}
      <ul>
        {whispers.map((whisper) => (
          <WhisperItem
            key={whisper.id}
            whisper={whisper}
            mine={whisper.from === me}
            connected={connected}
            onRetry={onRetry}
          />
        ))}
      </ul>
    </div>
  );
});

interface ItemProps {
  connected: boolean;
  whisper: Whisper;
  mine: boolean;
  onRetry: Props["onWhisper"];
}

function WhisperItem({ connected, whisper, mine, onRetry }: ItemProps) {
  const { id, from, to, text, timestamp, sending, error } = whisper;
  return (
    <li data-mine={mine}>
      <strong>{mine ? `You to ${isolated(to)}` : `${isolated(from)} to you`}</strong>{" "}
      <time dateTime={new Date(timestamp).toISOString()}>{formatTime(timestamp)}</time>
      <UserText text={text} />
      {sending && <small>{connected ? "sending…" : "waiting for the connection…"}</small>}
      {error && (
        <p className="failed">
          <span>{error}</span>{" "}
          <button type="button" onClick={() => onRetry(to, text, id)}>
            Retry
          </button>
        </p>
      )}
    </li>
  );
}
