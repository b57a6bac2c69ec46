// The connections of an actor.
//
// Accessible names: region "Connections" · checkbox "Show params" · list with a listitem per connection, which has
// buttons "View as #1" and "Disconnect #1" · dialog "Disconnect #1": textbox "Reason", button "Disconnect"

import { type FormEvent, useState } from "react";
import type { Actor, Connection } from "./api";
import { Dialog } from "./Dialog";
import { ago, number, time } from "./format";
import { StateTree } from "./StateTree";
import { useSend } from "./useSend";

interface Props {
  actor: Actor;
  now: number;
  write: boolean;
  /** The number of the connection whose side the log shows. */
  viewed: number | undefined;
  onView: (num: number | undefined) => void;
  params: boolean;
  onParams: (shown: boolean) => void;
  after: number;
  onAfter: (num: number) => void;
}

export function Connections({ actor, now, write, viewed, onView, params, onParams, after, onAfter }: Props) {
  const [ending, setEnding] = useState<Connection>();
  const last = actor.conns.at(-1)?.num ?? 0;
  return (
    <section className="card flush" aria-label="Connections">
      <header className="card-header">
        <h2>
          Connections <span className="count">{number(actor.connCount)}</span>
        </h2>
        <label className="check">
          <input type="checkbox" checked={params} onChange={(e) => onParams(e.target.checked)} /> Show params
        </label>
      </header>
      {!actor.conns.length && (
        <p className="empty muted">{actor.connCount ? "No more connections." : "Nobody is connected."}</p>
      )}
      <ul className="conns">
        {actor.conns.map((c) => (
          <li key={c.num}>
            <div className="conn-head">
              <span className="status" data-status={c.online ? "connected" : "disconnected"}>
                <strong>#{c.num}</strong>
              </span>
              <code className="id">{c.id.slice(0, 10)}…</code>
              <span className="chips">
                {c.channel && <span className="chip">{c.channel.transport}</span>}
                {!c.online && (
                  <span className="chip warn">
                    {c.droppedMs ? `lost ${ago(c.droppedMs, now)}` : "away"}
                    {c.expiresMs ? `, ends ${ago(c.expiresMs, now)}` : ""}
                  </span>
                )}
                {c.channel?.blocked && <span className="chip bad">does not read</span>}
                {c.channel && c.channel.behind > 0 && (
                  <span className="chip warn">{number(c.channel.behind)} behind</span>
                )}
                {c.channel?.unanswered.length ? (
                  <span className="chip accent">{c.channel.unanswered.length} calls wait</span>
                ) : null}
              </span>
              <span className="buttons">
                <button
                  type="button"
                  className="small"
                  aria-pressed={viewed === c.num}
                  onClick={() => onView(viewed === c.num ? undefined : c.num)}
                >
                  View as #{c.num}
                </button>
                {write && (
                  <button type="button" className="small danger" onClick={() => setEnding(c)}>
                    Disconnect #{c.num}
                  </button>
                )}
              </span>
            </div>
            <p className="muted">
              {c.channel?.address ?? c.from}
              {c.channel &&
                ` · was sent up to ${number(c.channel.sent)}${c.channel.sentMs ? ` at ${time(c.channel.sentMs)}` : ""}`}
            </p>
            {c.channel?.subscriptions.length ? (
              <p className="chips" aria-label="Subscriptions">
                {c.channel.subscriptions.map(({ event }) => (
                  <span key={event} className="chip">
                    {event}
                  </span>
                ))}
              </p>
            ) : null}
            {isWorthShowing(c.state) && <StateTree name="state" value={c.state} changes={NONE} depth={2} />}
            {params && c.params !== undefined && <StateTree name="params" value={c.params} changes={NONE} depth={2} />}
            {params && c.auth !== undefined && <StateTree name="OnAuth" value={c.auth} changes={NONE} depth={2} />}
          </li>
        ))}
      </ul>
      {(after > 0 || actor.connCount > actor.conns.length) && (
        <div className="pager">
          <button type="button" className="small" disabled={!after} onClick={() => onAfter(0)}>
            First connections
          </button>
          <button type="button" className="small" disabled={!last} onClick={() => onAfter(last)}>
            Next connections
          </button>
        </div>
      )}
      {ending && <DisconnectDialog actor={actor} conn={ending} onClose={() => setEnding(undefined)} />}
    </section>
  );
}

const NONE: ReadonlyMap<string, number> = new Map();

const isWorthShowing = (state: unknown): boolean => state !== undefined && JSON.stringify(state) !== "{}";

function DisconnectDialog({ actor, conn, onClose }: { actor: Actor; conn: Connection; onClose: () => void }) {
  const { send, sending, error } = useSend();
  const submit = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const reason = String(new FormData(event.currentTarget).get("reason"));
    if (await send(`actors/${actor.id}/disconnect`, { conn: conn.id, reason })) onClose();
  };
  return (
    <Dialog title={`Disconnect #${conn.num}`} onClose={onClose}>
      <form onSubmit={submit} className="dialog-body">
        <p>Its client gets the reason and does not come back by itself.</p>
        <label>
          Reason
          <input name="reason" defaultValue="disconnected by an operator" required />
        </label>
        {error && <p role="alert">{error}</p>}
        <button type="submit" className="primary" disabled={sending}>
          Disconnect
        </button>
      </form>
    </Dialog>
  );
}
