// The end of an actor's log.
//
// Accessible names: region "Log" · button "Pause" (or "Go on") · table "Log entries"

import { useState } from "react";
import type { Connection, Entry } from "./api";
import { bytes, time } from "./format";

/** A row: an entry, or how many were skipped. */
export type LogRow = { id: number; entry: Entry } | { id: number; skipped: number };

interface Props {
  /** The newest first. */
  rows: readonly LogRow[];
  conns: readonly Connection[];
  /** The connection whose side is shown. */
  conn: Connection | undefined;
}

export function LogTail({ rows, conns, conn }: Props) {
  const [paused, setPaused] = useState<readonly LogRow[]>();
  const shown = paused ?? rows;
  const waiting = paused && rows.length ? rows[0]!.id - (paused[0]?.id ?? 0) : 0;
  return (
    <section className="card flush log" aria-labelledby="log">
      <header className="card-header">
        <h2 id="log">Log</h2>
        {conn && <span className="chip accent">as connection #{conn.num} sees it</span>}
        <button
          type="button"
          className="small"
          aria-pressed={!!paused}
          onClick={() => setPaused(paused ? undefined : rows)}
        >
          {paused ? `Go on${waiting ? ` (${waiting} new)` : ""}` : "Pause"}
        </button>
      </header>
      <div className="scroller" tabIndex={0} role="group" aria-label="Log, newest first">
        <table className="rows dense" aria-label="Log entries">
          <thead>
            <tr>
              <th scope="col" className="n">
                #
              </th>
              <th scope="col">Time</th>
              <th scope="col">What</th>
              <th scope="col">To</th>
              {conn && <th scope="col">#{conn.num} was sent it</th>}
              <th scope="col">Data</th>
            </tr>
          </thead>
          <tbody>
            {shown.map((row) =>
              "skipped" in row ? (
                <tr key={row.id} className="skipped">
                  <td colSpan={conn ? 6 : 5}>{row.skipped} entries were too many to show</td>
                </tr>
              ) : (
                <LogEntry key={row.id} entry={row.entry} conns={conns} conn={conn} />
              ),
            )}
          </tbody>
        </table>
        {!shown.length && <p className="empty muted">The log is empty.</p>}
      </div>
    </section>
  );
}

function LogEntry({
  entry,
  conns,
  conn,
}: {
  entry: Entry;
  conns: readonly Connection[];
  conn: Connection | undefined;
}) {
  const [open, setOpen] = useState(false);
  const sent = conn && sentTo(entry, conn);
  const data = entry.data === undefined ? "" : JSON.stringify(entry.data);
  return (
    <tr data-kind={entry.kind} className={sent && sent.kind === "not" ? "dim" : undefined}>
      <td className="n" data-label="#">
        {entry.numbered ? entry.seq : <span className="muted">–</span>}
      </td>
      <td data-label="Time">
        <time dateTime={new Date(entry.atMs).toISOString()}>{time(entry.atMs)}</time>
      </td>
      <td data-label="What">
        <strong>{entry.event ?? KINDS[entry.kind] ?? entry.kind}</strong>
        {entry.volatile && <span className="chip">volatile</span>}
        {entry.call ? <small> call {entry.call}</small> : null}
        {entry.code && <span className="chip bad">{entry.code}</span>}
      </td>
      <td data-label="To">{targetOf(entry, conns)}</td>
      {conn && (
        <td data-label={`#${conn.num} was sent it`}>
          <span className={`chip ${sent!.kind === "yes" ? "ok" : sent!.kind === "waits" ? "warn" : ""}`}>
            {sent!.text}
          </span>
        </td>
      )}
      <td data-label="Data" className="data">
        {data ? (
          <button type="button" className="plain" aria-expanded={open} onClick={() => setOpen(!open)}>
            <code>{open ? JSON.stringify(entry.data, null, 2) : data.slice(0, 120)}</code>
          </button>
        ) : (
          (entry.message ?? (
            <span className="muted">{entry.bytes ? `${bytes(entry.bytes)}, too large to show` : "–"}</span>
          ))
        )}
      </td>
    </tr>
  );
}

const KINDS: Record<string, string> = {
  reply: "reply",
  failed: "failed call",
  opened: "connection opened",
  closed: "connection ended",
  subscribed: "subscribed",
  joining: "sent on joining",
};

function targetOf(entry: Entry, conns: readonly Connection[]): string {
  if (entry.only) return entry.only.map((n) => `#${n}`).join(" ");
  if (entry.except) return `all but ${entry.except.map((n) => `#${n}`).join(" ")}`;
  if (entry.to) {
    const conn = conns.find((c) => c.attachment === entry.to);
    return conn ? `#${conn.num}` : "one";
  }
  return entry.kind === "event" ? "all" : "a single call";
}

interface Sent {
  kind: "yes" | "waits" | "not";
  text: string;
}

/** Whether a connection's client was sent an entry, and why not. */
export function sentTo(entry: Entry, conn: Connection): Sent {
  const not = (text: string): Sent => ({ kind: "not", text });
  if (entry.to) return entry.to === conn.attachment ? { kind: "yes", text: "sent" } : not("for another one");
  if (entry.only && !entry.only.includes(conn.num)) return not("for others");
  if (entry.except?.includes(conn.num)) return not("for others");
  if (entry.kind !== "event" && !entry.only) return not("for no connection");
  if (entry.numbered && entry.seq <= conn.start) return not("before it joined");
  const channel = conn.channel;
  if (!channel) return { kind: "waits", text: "when it returns" };
  if (entry.kind === "event" && !entry.direct) {
    const sub = channel.subscriptions.find((s) => s.event === entry.event);
    if (!sub) return not("not subscribed");
    if (entry.numbered && entry.seq <= sub.after) return not("before it subscribed");
  }
  return entry.seq > channel.sent && channel.behind > 0
    ? { kind: "waits", text: "waits" }
    : { kind: "yes", text: "sent" };
}
