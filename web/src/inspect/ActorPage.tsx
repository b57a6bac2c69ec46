// One actor, live.
//
// Accessible names: heading with its name and key · buttons "Reset", "Edit state", "Destroy" · regions "State", "Log",
// "Connections", "Turns", "Messages", "Tables", "Run an action" · dialogs "Reset this actor", "Edit the state", "Destroy this actor"

import { useEffect, useRef, useState } from "react";
import { Link } from "../app/router";
import { get, type Actor, type Definition, type Entry, type Turn } from "./api";
import { changedPaths } from "./changes";
import { Connections } from "./Connections";
import { ConfirmDialog, EditDialog } from "./EditDialog";
import { ago, bytes, keyText, number, time } from "./format";
import { Live } from "./Live";
import { LogTail, type LogRow } from "./LogTail";
import { Messages } from "./Messages";
import { RunAction } from "./RunAction";
import { StateTree } from "./StateTree";
import { Tables } from "./Tables";
import { Turns } from "./Turns";
import { useNow } from "./useNow";
import { useStream } from "./useStream";

const KEPT_ROWS = 300;
const KEPT_TURNS = 200;

export function ActorPage({ id }: { id: string }) {
  const [actor, setActor] = useState<Actor>();
  const [changes, setChanges] = useState<ReadonlyMap<string, number>>(new Map());
  const [rows, setRows] = useState<LogRow[]>([]);
  const [turns, setTurns] = useState<(Turn & { id: number })[]>([]);
  const [gone, setGone] = useState("");
  const [definitions, setDefinitions] = useState<{ definitions: Definition[]; write: boolean }>();
  const [params, setParams] = useState(false);
  const [after, setAfter] = useState(0);
  const [viewed, setViewed] = useState<number>();
  const [dialog, setDialog] = useState<"reset" | "edit" | "destroy">();
  const numbers = useRef({ rows: 0, turns: 0 });
  const now = useNow();

  const status = useStream(
    { view: "actor", id, ...(params && { params: "1" }), ...(after && { after: String(after) }) },
    (name, data) => {
      if (name === "actor") {
        const next = data as Actor;
        if (actor && next.busy) return setActor({ ...actor, busy: true, waiting: next.waiting });
        if (actor && actor.state !== undefined && next.state !== undefined) {
          const changed = changedPaths(actor.state, next.state);
          if (changed.size) {
            const counted = new Map(changes);
            for (const path of changed) counted.set(path, (counted.get(path) ?? 0) + 1);
            setChanges(counted);
          }
        }
        setActor(next);
      } else if (name === "log") {
        const { entries, skipped } = data as { entries: Entry[]; skipped: number };
        const more: LogRow[] = skipped ? [{ id: ++numbers.current.rows, skipped }] : [];
        for (const entry of entries) more.unshift({ id: ++numbers.current.rows, entry });
        setRows((before) => [...more, ...before].slice(0, KEPT_ROWS));
      } else if (name === "turns") {
        const more: (Turn & { id: number })[] = [];
        for (const turn of (data as { turns: Turn[] }).turns) more.unshift({ ...turn, id: ++numbers.current.turns });
        setTurns((before) => [...more, ...before].slice(0, KEPT_TURNS));
      } else if (name === "gone") {
        setGone((data as { message: string }).message);
      }
    },
    () => {
      // A new stream begins with the end of the log.
      setRows([]);
      setTurns([]);
    },
  );
  useEffect(() => {
    get<{ definitions: Definition[]; write: boolean }>("definitions").then(setDefinitions, () => {});
  }, []);

  const write = definitions?.write ?? false;
  const definition = definitions?.definitions.find((d) => d.name === actor?.name);
  useEffect(() => {
    if (actor) document.title = `${actor.name} ${keyText(actor.key)} · Inspector`;
  }, [actor]);

  if (!actor) {
    return (
      <div className="page">
        <h1 tabIndex={-1}>Actor</h1>
        {gone ? (
          <p role="alert">
            {gone}. <Link href="/actors">All actors</Link>
          </p>
        ) : (
          <p className="muted">Looking…</p>
        )}
      </div>
    );
  }
  const conn = actor.conns.find((c) => c.num === viewed);
  return (
    <div className="page">
      <header className="page-header">
        <h1 tabIndex={-1}>
          {actor.name} <bdi className="key">{actor.tombstone && !actor.key.length ? actor.id : keyText(actor.key)}</bdi>
        </h1>
        <span className="chips">
          <span className={`chip ${actor.awake ? "ok" : ""}`}>{actor.awake ? "awake" : "asleep"}</span>
          {actor.busy && <span className="chip warn">in a turn</span>}
          {actor.tombstone && <span className="chip bad">destroyed</span>}
        </span>
        <Live status={status} />
        {write && !actor.tombstone && (
          <span className="buttons end">
            <button type="button" onClick={() => setDialog("edit")} disabled={actor.state === undefined}>
              Edit state
            </button>
            <button type="button" onClick={() => setDialog("reset")}>
              Reset
            </button>
            <button type="button" className="danger" onClick={() => setDialog("destroy")}>
              Destroy
            </button>
          </span>
        )}
      </header>
      {gone && <p role="alert">{gone}</p>}
      {actor.tombstone && (
        <p className="banner warn">
          This actor was destroyed {ago(actor.endedMs, now)}. Its end is remembered until {time(actor.endsMs)}
          {actor.messageCount ? `, and ${actor.messageCount} messages are still to be sent` : ""}.
        </p>
      )}
      <Facts actor={actor} now={now} />
      <div className="columns">
        <div className="column">
          <section className="card state" aria-label="State">
            <h2>
              State <span className="count">{bytes(actor.stateBytes)}</span>
            </h2>
            <State actor={actor} changes={changes} />
          </section>
          <Tables actor={actor} />
          <Connections
            {...{ actor, now, write, viewed, params, after }}
            onView={setViewed}
            onParams={setParams}
            onAfter={setAfter}
          />
          <Messages actor={actor} now={now} write={write} />
        </div>
        <div className="column">
          <LogTail rows={rows} conns={actor.conns} conn={conn} />
          <Turns turns={turns} conns={actor.conns} />
          {write && definition && !actor.tombstone && (
            <RunAction key={actor.name} actor={actor} definition={definition} />
          )}
        </div>
      </div>
      {dialog === "edit" && <EditDialog actor={actor} onClose={() => setDialog(undefined)} />}
      {dialog === "destroy" && (
        <ConfirmDialog
          title="Destroy this actor"
          text="Its state, tables, connections and log are gone at once, and cannot be brought back. Its clients hear that it was destroyed."
          action="Destroy"
          path={`actors/${actor.id}/destroy`}
          body={{ key: actor.key }}
          type={keyText(actor.key)}
          onClose={() => setDialog(undefined)}
        />
      )}
      {dialog === "reset" && (
        <ConfirmDialog
          title="Reset this actor"
          text="It drops its timers and what is not stored, and is loaded again from its last durable state. Connections stay."
          action="Reset"
          path={`actors/${actor.id}/reset`}
          onClose={() => setDialog(undefined)}
        />
      )}
    </div>
  );
}

function State({ actor, changes }: { actor: Actor; changes: ReadonlyMap<string, number> }) {
  const [whole, setWhole] = useState<unknown>();
  const [error, setError] = useState("");
  const load = () =>
    get<Actor>(`actors/${actor.id}`, { state: "whole" }).then(
      ({ state }) => setWhole(state),
      (e: Error) => setError(e.message),
    );
  if (actor.stateError) return <p role="alert">{actor.stateError}</p>;
  if (actor.tombstone) return <p className="muted">It is gone.</p>;
  const value = actor.state ?? whole;
  if (value !== undefined) return <StateTree value={value} changes={changes} />;
  return (
    <>
      <p className="muted">It is too large to be shown live.</p>
      <button type="button" className="small" onClick={() => void load()}>
        Load it once
      </button>
      {error && <p role="alert">{error}</p>}
    </>
  );
}

function Facts({ actor, now }: { actor: Actor; now: number }) {
  const facts: [string, string, string?][] = [
    ["Revision", number(actor.rev), "how many commits it has made"],
    ["Log", number(actor.head), "entries so far"],
    ["Connections", number(actor.connCount)],
    ["Waiting", number(actor.waiting), "calls and requests in its mailbox"],
    ["Timers", number(actor.timers)],
    ["Callers", number(actor.callers), "clients whose calls it remembers"],
    ["Memory", actor.memory ? bytes(actor.memory) : "–", "of its state and log"],
    ["Last turn", actor.usedMs ? ago(actor.usedMs, now) : "–"],
    ["Wakes", actor.dueMs ? ago(actor.dueMs, now) : "–"],
    ["Born", actor.bornMs ? time(actor.bornMs) : "–"],
  ];
  return (
    <dl className="facts">
      {facts.map(([name, value, about]) => (
        <div key={name} title={about}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
