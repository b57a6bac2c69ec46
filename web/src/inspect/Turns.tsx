// The newest turns of an actor since the page is open, the newest first.
//
// Accessible names: region "Turns" · table "Recent turns"

import type { Connection, Turn } from "./api";
import { duration, time } from "./format";

export function Turns({ turns, conns }: { turns: readonly (Turn & { id: number })[]; conns: readonly Connection[] }) {
  const longest = Math.max(0.001, ...turns.map((t) => t.tookMs));
  return (
    <section className="card flush" aria-labelledby="turns">
      <header className="card-header">
        <h2 id="turns">Turns</h2>
        <small>since you look</small>
      </header>
      <div className="scroller short" tabIndex={0} role="group" aria-label="Turns, newest first">
        <table className="rows dense" aria-label="Recent turns">
          <thead>
            <tr>
              <th scope="col">Time</th>
              <th scope="col">What</th>
              <th scope="col">Of</th>
              <th scope="col">Took</th>
              <th scope="col">Outcome</th>
            </tr>
          </thead>
          <tbody>
            {turns.map((turn) => (
              <tr key={turn.id}>
                <td data-label="Time">
                  <time dateTime={new Date(turn.atMs).toISOString()}>{time(turn.atMs)}</time>
                </td>
                <td data-label="What">
                  <strong>{turn.what}</strong> {turn.readOnly && <span className="chip">reads</span>}
                </td>
                <td data-label="Of">{connOf(turn, conns)}</td>
                <td data-label="Took" className="took">
                  <meter min={0} max={longest} value={turn.tookMs} aria-hidden="true" /> {duration(turn.tookMs)}
                </td>
                <td data-label="Outcome">
                  {turn.code ? (
                    <span className="chip bad" title={turn.message}>
                      {turn.code}
                    </span>
                  ) : (
                    <span className="chip ok">ok</span>
                  )}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
        {!turns.length && <p className="empty muted">None yet.</p>}
      </div>
    </section>
  );
}

function connOf(turn: Turn, conns: readonly Connection[]): string {
  if (!turn.conn) return "–";
  const conn = conns.find((c) => c.id === turn.conn);
  return conn ? `#${conn.num}` : `${turn.conn.slice(0, 6)}…`;
}
