// Shared connections: one per client and id (actor name, key and params), counted
// by their users. Knows no React.
import {
  ActorError,
  type Accessor,
  type Attempt,
  type ClientApi,
  type Connection,
  type Handle,
  type Status,
} from "@troupe/client";

/** The status of a connection; `idle` while `enabled` is false. */
export type ActorStatus = Status | "idle";

/** What a component sees of a connection; the same object until something changed. */
export interface ActorSnapshot {
  /** undefined before the first effect ran, on the server, and while not enabled. */
  connection: Connection | undefined;
  status: ActorStatus;
  isConnected: boolean;
  /** The last error since the connection was up. */
  error: ActorError | undefined;
}

/** Where params come from: the latest ones of a component. */
export type ParamsGetter = () => unknown;

/** Before the connection is there. */
export const CONNECTING: ActorSnapshot = { connection: undefined, status: "connecting", isConnected: false, error: undefined };
/** Not enabled. */
export const IDLE: ActorSnapshot = { ...CONNECTING, status: "idle" };

interface Entry {
  snapshot: ActorSnapshot;
  /** One for every user, the latest last. */
  users: ParamsGetter[];
  /** That of the latest user; it stays when none is left, for as long as the connection does. */
  params: ParamsGetter;
  listeners: Set<() => void>;
  disposal?: ReturnType<typeof setTimeout>;
}

/** The shared connections of a client. */
export interface ActorStore {
  /** Makes a handle; sends nothing. */
  handle(id: string): Handle;
  /** Counts one more user, and connects for the first. The function returned counts it out again. */
  acquire(id: string, params: ParamsGetter): () => void;
  /** Like acquire, and calls listener after every change of the snapshot. */
  subscribe(id: string, params: ParamsGetter, listener: () => void): () => void;
  snapshot(id: string): ActorSnapshot;
}

/** Gives equal objects one text, whatever the order of their properties. */
const sorted = (_: string, value: unknown) =>
  value && typeof value === "object" && !Array.isArray(value)
    ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
    : value;

/**
 * The identity of an actor's connection, from which all of it can be read: equal
 * keys and params are one, however they are written. Params that are a function
 * count as one value, whatever the function.
 */
export function actorId(name: string, key: unknown, params: unknown): string {
  return JSON.stringify(
    [name, typeof key === "string" ? [key] : key, typeof params === "function" ? [] : [params]],
    sorted,
  );
}

const stores = new WeakMap<object, ActorStore>();

/** The store of a client: always the same one. */
export function actorStore<R>(client: ClientApi<R>): ActorStore {
  let store = stores.get(client);
  if (!store) stores.set(client, (store = createActorStore(client as unknown as Record<string, Accessor>)));
  return store;
}

function createActorStore(client: Record<string, Accessor>): ActorStore {
  const entries = new Map<string, Entry>();

  const handle = (id: string) => {
    const [name, key] = JSON.parse(id) as [string, string[]];
    return client[name]!.getOrCreate(key);
  };

  const connect = (id: string, entry: Entry) => {
    const change = (next: Partial<ActorSnapshot>) => {
      entry.snapshot = { ...entry.snapshot, ...next };
      for (const listener of [...entry.listeners]) listener();
    };
    const [, , fixed] = JSON.parse(id) as [string, string[], unknown[]];
    try {
      const connection = handle(id).connect(
        fixed.length ? (fixed[0] ?? undefined) : (attempt: Attempt) => (entry.params() as (a: Attempt) => unknown)(attempt),
        {
          onChange: (status, error) =>
            change({ status, isConnected: status === "connected", error: status === "connected" ? error : (error ?? entry.snapshot.error) }),
        },
      );
      change({ connection, status: connection.status });
    } catch (cause) {
      const error = cause instanceof ActorError ? cause : new ActorError("link", String(cause), undefined, { cause });
      change({ status: "closed", error });
    }
  };

  const acquire = (id: string, params: ParamsGetter, listener?: () => void) => {
    let entry = entries.get(id);
    // A connection that ended for good is not worth taking over.
    if (!entry || (!entry.users.length && entry.snapshot.status === "closed")) {
      clearTimeout(entry?.disposal);
      entries.set(id, (entry = { snapshot: CONNECTING, users: [], params, listeners: new Set() }));
      connect(id, entry);
    }
    const mine = entry;
    mine.users.push((mine.params = params));
    clearTimeout(mine.disposal);
    if (listener) mine.listeners.add(listener);
    return () => {
      if (listener) mine.listeners.delete(listener);
      mine.users.splice(mine.users.lastIndexOf(params), 1);
      mine.params = mine.users.at(-1) ?? mine.params;
      if (mine.users.length) return;
      // Strict Mode, and a component that moves within one commit, take the connection
      // over. Whoever comes later must not: it would never hear what the actor sent
      // when it was opened.
      mine.disposal = setTimeout(() => {
        entries.delete(id);
        mine.snapshot.connection?.dispose();
      });
    };
  };

  return {
    handle,
    acquire,
    subscribe: acquire,
    snapshot: (id) => entries.get(id)?.snapshot ?? CONNECTING,
  };
}
