// All actors: those in memory, sorted, or the stored ones, in the store's order.
//
// Accessible names: radios "In memory", "Stored" · combobox "Node", of a cluster · combobox "Definition" ·
// textbox "Key begins with" · combobox "Sort by" · table "Actors" · buttons "Next page", "First page", "Refresh" ·
// form "Open an actor": combobox "Name", textbox "Key", button "Open"

import { type FormEvent, useEffect, useState } from "react";
import { base, Link, navigate } from "../app/router";
import { Icon } from "../ui/icons";
import { get, type Cluster, type Definition, type Rows } from "./api";
import { ago, bytes, keyText, number, time } from "./format";
import { useNow } from "./useNow";

const REFRESH_MS = 3_000;
const SORTS = { conns: "connections", bytes: "size", waiting: "waiting calls", used: "last turn", key: "key" };

interface Filter {
  from: "memory" | "store";
  name: string;
  key: string;
  sort: string;
  node: string; // slot; empty: the one that has served the page
}

function readFilter(): Filter {
  const q = new URLSearchParams(location.search);
  return {
    from: q.get("from") === "store" ? "store" : "memory",
    name: q.get("name") ?? "",
    key: q.get("key") ?? "",
    sort: q.get("sort") ?? "conns",
    node: q.get("node") ?? "",
  };
}

/** What people type: components as a JSON array, or the start of the first one. */
function prefixOf(text: string): string {
  if (!text) return "";
  try {
    if (text.startsWith("[") && Array.isArray(JSON.parse(text))) return text;
  } catch {
    // not finished yet: a key may begin with a bracket, too
  }
  return JSON.stringify([text]);
}

export function ActorsPage() {
  const [filter, setFilter] = useState(readFilter);
  const [pages, setPages] = useState<string[]>([""]); // where each page so far begins
  const [definitions, setDefinitions] = useState<Definition[]>([]);
  const now = useNow();
  const [cluster, setCluster] = useState<Cluster>();
  const { from, name, key, sort, node } = filter;
  const { rows, error, refresh } = useRows(
    { from, name, sort, prefix: prefixOf(key), after: pages.at(-1)!, limit: "50", ...(node && { node }) },
    from === "memory",
  );

  const change = (changes: Partial<Filter>) => {
    const next = { ...filter, ...changes };
    setFilter(next);
    setPages([""]);
    const query = new URLSearchParams(Object.entries(next).filter(([, value]) => value));
    history.replaceState(null, "", `${base}/actors?${query}`);
  };

  useEffect(() => {
    get<{ definitions: Definition[] }>("definitions").then(
      (d) => setDefinitions(d.definitions),
      () => {},
    );
    get<{ cluster?: Cluster }>("cluster").then(
      (c) => setCluster(c.cluster),
      () => {},
    );
  }, []);

  const awake = filter.from === "memory";
  return (
    <div className="page">
      <header className="page-header">
        <h1 tabIndex={-1}>Actors</h1>
        <p className="muted">
          {rows && rows.total >= 0 && `${number(rows.total)} ${filter.name || filter.key ? "match" : "in memory"}`}
        </p>
      </header>
      <form className="filters" role="search" aria-label="Actors" onSubmit={(e) => e.preventDefault()}>
        <fieldset className="segments">
          <legend>Where</legend>
          {(["memory", "store"] as const).map((from) => (
            <label key={from}>
              <input type="radio" name="from" checked={filter.from === from} onChange={() => change({ from })} />
              <span>{from === "memory" ? "In memory" : "Stored"}</span>
            </label>
          ))}
        </fieldset>
        {cluster && (
          <label>
            Node
            <select value={node || cluster.self} onChange={(e) => change({ node: e.target.value })}>
              {cluster.nodes
                .filter(({ state }) => state !== "sealed")
                .map(({ slot, name }) => (
                  <option key={slot} value={slot}>
                    {name}
                  </option>
                ))}
            </select>
          </label>
        )}
        <label>
          Definition
          <select value={filter.name} onChange={(e) => change({ name: e.target.value })}>
            <option value="">all</option>
            {definitions.map(({ name }) => (
              <option key={name}>{name}</option>
            ))}
          </select>
        </label>
        <label>
          Key begins with
          <input
            value={filter.key}
            placeholder={'general, or ["team", "7"]'}
            onChange={(e) => change({ key: e.target.value })}
            spellCheck={false}
          />
        </label>
        {awake && (
          <label>
            Sort by
            <select value={filter.sort} onChange={(e) => change({ sort: e.target.value })}>
              {Object.entries(SORTS).map(([value, label]) => (
                <option key={value} value={value}>
                  {label}
                </option>
              ))}
            </select>
          </label>
        )}
      </form>
      {error && <p role="alert">{error}</p>}
      <div className="card flush">
        <table className="rows" aria-label="Actors">
          <thead>
            <tr>
              <th scope="col">Actor</th>
              <th scope="col" className="n">
                Connections
              </th>
              <th scope="col" className="n">
                Size
              </th>
              {awake ? (
                <th scope="col" className="n">
                  Waiting
                </th>
              ) : (
                <th scope="col">State</th>
              )}
              <th scope="col">{awake ? "Last turn" : "Last commit"}</th>
            </tr>
          </thead>
          <tbody>
            {rows?.actors.map((a) => (
              <tr key={a.id}>
                <td>
                  <Link href={`/actors/${a.id}`} className="actor-link">
                    <span className="name">{a.name || "?"}</span>{" "}
                    <bdi className="key">{a.destroyed && !a.key.length ? a.id : keyText(a.key)}</bdi>
                  </Link>
                </td>
                <td className="n" data-label="Connections">
                  {number(a.conns)}
                </td>
                <td className="n" data-label="Size">
                  {bytes(a.bytes)}
                </td>
                {awake ? (
                  <td className="n" data-label="Waiting">
                    {number(a.waiting)}
                  </td>
                ) : (
                  <td data-label="State">
                    <span className="chips">
                      {a.awake && <span className="chip ok">awake</span>}
                      {a.destroyed && <span className="chip bad">destroyed</span>}
                      {a.parked > 0 && <span className="chip warn">{a.parked} parked</span>}
                      {a.dueMs && !a.awake ? <span className="chip">wakes {ago(a.dueMs, now)}</span> : null}
                    </span>
                  </td>
                )}
                <td data-label={awake ? "Last turn" : "Last commit"}>
                  <Time ms={awake ? a.usedMs : a.changedMs} now={now} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
        {rows && !rows.actors.length && (
          <p className="empty muted">
            {rows.next
              ? "None on this page; there are more."
              : awake
                ? "No actor in memory matches."
                : "No stored actor matches."}
          </p>
        )}
      </div>
      <div className="pager">
        <button type="button" disabled={pages.length < 2} onClick={() => setPages([""])}>
          First page
        </button>
        <span className="muted">page {pages.length}</span>
        <button type="button" disabled={!rows?.next} onClick={() => setPages([...pages, rows!.next!])}>
          Next page
        </button>
        <button type="button" onClick={refresh}>
          Refresh
        </button>
      </div>
      <OpenForm definitions={definitions} />
    </div>
  );
}

/** Reads a page of actors; again and again if they change all the time, as those in memory do. */
function useRows(query: Record<string, string>, changing: boolean) {
  const [answer, setAnswer] = useState<{ rows?: Rows; error: string }>({ error: "" });
  const [round, setRound] = useState(0);
  const text = new URLSearchParams({ ...query, round: String(round) }).toString();
  useEffect(() => {
    const abort = new AbortController();
    const load = () =>
      get<Rows>("actors", Object.fromEntries(new URLSearchParams(text)), abort.signal).then(
        (rows) => setAnswer({ rows, error: "" }),
        (e: Error) => abort.signal.aborted || setAnswer((before) => ({ ...before, error: e.message })),
      );
    void load();
    const timer = changing ? setInterval(() => document.hidden || void load(), REFRESH_MS) : undefined;
    return () => {
      clearInterval(timer);
      abort.abort();
    };
  }, [text, changing]);
  return { ...answer, refresh: () => setRound(round + 1) };
}

function Time({ ms, now }: { ms: number | undefined; now: number }) {
  if (!ms) return <span className="muted">–</span>;
  return (
    <time dateTime={new Date(ms).toISOString()} title={time(ms)}>
      {ago(ms, now)}
    </time>
  );
}

/** Opens an actor whose key is known, also one that sleeps. */
function OpenForm({ definitions }: { definitions: Definition[] }) {
  const [error, setError] = useState("");
  const open = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const key = String(form.get("key"));
    try {
      const { id } = await get<{ id: string }>("actor", {
        name: String(form.get("name")),
        key: key.trim().startsWith("[") ? key : JSON.stringify(key),
      });
      navigate(`/actors/${id}`);
    } catch (e) {
      setError((e as Error).message);
    }
  };
  return (
    <form className="card open-form" aria-label="Open an actor" onSubmit={open}>
      <label>
        Name
        <select name="name">
          {definitions.map(({ name }) => (
            <option key={name}>{name}</option>
          ))}
        </select>
      </label>
      <label>
        Key
        <input name="key" placeholder={'general, or ["team", "7"]'} spellCheck={false} required />
      </label>
      <button type="submit" className="primary">
        <Icon name="down" /> Open
      </button>
      {error && <p role="alert">{error}</p>}
    </form>
  );
}
