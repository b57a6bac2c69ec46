// The messages of an actor that are not finished: schedules, and what is on its way to others.
//
// Accessible names: region "Messages" · list with a listitem per message, which has buttons "Run now" (or "Try again")
// and "Cancel"

import type { Actor, Message } from "./api";
import { ago, number } from "./format";
import { StateTree } from "./StateTree";
import { useSend } from "./useSend";

const NONE: ReadonlyMap<string, number> = new Map();

export function Messages({ actor, now, write }: { actor: Actor; now: number; write: boolean }) {
  const { send, sending, error } = useSend();
  const change = (m: Message, what: "run" | "cancel") =>
    void send(`actors/${actor.id}/messages/${m.id.split(".").at(-1)}`, { change: what });
  return (
    <section className="card flush" aria-label="Messages">
      <header className="card-header">
        <h2>
          Messages <span className="count">{number(actor.messageCount)}</span>
        </h2>
      </header>
      {error && (
        <p role="alert" className="empty">
          {error}
        </p>
      )}
      {!actor.messages.length && <p className="empty muted">None is scheduled or on its way.</p>}
      <ul className="conns">
        {actor.messages.map((m) => (
          <li key={m.id}>
            <div className="conn-head">
              <strong>{m.type}</strong>
              {m.label && <span className="chip accent">{m.label}</span>}
              {m.spec && <span className="chip">{m.spec}</span>}
              {m.parked ? (
                <span className="chip bad">parked after {m.tries} tries</span>
              ) : (
                <span className="chip">{ago(Math.max(m.dueMs, m.retryMs) || now, now)}</span>
              )}
              {m.to && (
                <span className="muted">
                  to {m.to.name} {m.to.key.join("/")}
                </span>
              )}
              {write && (!m.to || m.parked) && (
                <span className="buttons">
                  <button type="button" className="small" disabled={sending} onClick={() => change(m, "run")}>
                    {m.parked ? "Try again" : "Run now"}
                  </button>
                  <button type="button" className="small danger" disabled={sending} onClick={() => change(m, "cancel")}>
                    Cancel
                  </button>
                </span>
              )}
            </div>
            {m.parked && <p role="note">{m.parked}</p>}
            {m.data !== undefined && <StateTree value={m.data} changes={NONE} depth={2} />}
          </li>
        ))}
      </ul>
    </section>
  );
}
