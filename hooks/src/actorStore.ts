// Shared connections: one per client and id (actor name, key and params), with a
// reference count. Does not depend on React.
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

/** A connection and its status, for a component. The same object until something changes. */
export interface ActorSnapshot {
  /** undefined before the first effect has run, on the server, and while not enabled. */
  connection: Connection | undefined;
  status: ActorStatus;
  isConnected: boolean;
  /** The last error; cleared when the connection is up again. */
  error: ActorError | undefined;
}

/** Returns the latest params of a component. */
export type ParamsGetter = () => unknown;

/** The snapshot before there is a connection. */
export const CONNECTING: ActorSnapshot = {
  connection: undefined,
  status: "connecting",
  isConnected: false,
  error: undefined,
};
/** The snapshot while not enabled. */
export const IDLE: ActorSnapshot = { ...CONNECTING, status: "idle" };

/** How long components that come later do not open a closed connection again, after one did. */
const REOPEN_MS = 5_000;

interface Entry {
  snapshot: ActorSnapshot;
  /** The params of every user; those of the latest user come last. */
  users: ParamsGetter[];
  /** The params of the latest user. They stay after the last user left, as long as the connection does. */
  params: ParamsGetter;
  listeners: Set<() => void>;
  /** A component that comes later opens the connection again, if it is closed, only after this time. */
  reopenAfter: number;
  disposal?: ReturnType<typeof setTimeout>;
}

/** The shared connections of a client. */
export interface ActorStore {
  /** Creates a handle; sends nothing. If the key is invalid, all its calls reject: rendering must not throw. */
  handle(id: string): Handle;
  /** Starts the next attempt to connect now, also if the server has ended the connection. */
  reconnect(id: string): void;
  /** Adds a user, and connects if it is the first. The function returned removes the user. */
  acquire(id: string, params: ParamsGetter): () => void;
  /**
   * Like acquire; also calls listener after every change of the snapshot, and opens a connection again that the server
   * has ended, at most every 5 s.
   */
  subscribe(id: string, params: ParamsGetter, listener: () => void): () => void;
  snapshot(id: string): ActorSnapshot;
}

/** A replacer for JSON.stringify: equal objects get the same text, whatever the order of their properties. */
const sortKeys = (_: string, value: unknown) =>
  value && typeof value === "object" && !Array.isArray(value)
    ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
    : value;

/** Encodes a part of an id. What is not JSON has a form, too, which the client refuses when it connects. */
function encode(part: unknown): string {
  try {
    return JSON.stringify(part, sortKeys) ?? "null";
  } catch {
    return '{"not":"JSON"}';
  }
}

/**
 * Returns the id of an actor's connection: name, key and params as JSON. Equal keys and params give the same id,
 * however they are written. All functions count as the same params. Never throws.
 */
export function actorId(name: string, key: unknown, params: unknown): string {
  const keyPart = encode(typeof key === "string" ? [key] : key);
  return `[${encode(name)},${keyPart},[${typeof params === "function" ? "" : encode(params)}]]`;
}

/** A handle whose calls reject with error; its connect() throws it. */
const brokenHandle = (error: unknown): Handle => {
  const members: Record<string, unknown> = {
    connect() {
      throw error;
    },
    withOptions: () => handle,
  };
  const handle = new Proxy({} as Handle, {
    get: (_, name) =>
      typeof name === "string" && !/^(then|toJSON|\$\$typeof)$/.test(name)
        ? (members[name] ?? (() => Promise.reject(error)))
        : undefined,
  });
  return handle;
};

const stores = new WeakMap<object, ActorStore>();

/** Returns the store of a client: always the same one. */
export function actorStore<R>(client: ClientApi<R>): ActorStore {
  let store = stores.get(client);
  if (!store) stores.set(client, (store = createActorStore(client as unknown as Record<string, Accessor>)));
  return store;
}

function createActorStore(client: Record<string, Accessor>): ActorStore {
  const entries = new Map<string, Entry>();

  const getHandle = (id: string) => {
    const [name, key] = JSON.parse(id) as [string, string[]];
    return client[name]!.getOrCreate(key);
  };

  const connect = (id: string, entry: Entry) => {
    const change = (next: Partial<ActorSnapshot>) => {
      entry.snapshot = { ...entry.snapshot, ...next };
      for (const listener of [...entry.listeners]) listener();
    };
    const [, , staticParams] = JSON.parse(id) as [string, string[], unknown[]];
    try {
      const connection = getHandle(id).connect(
        // Those of a user, and not of the id, which may have lost what is not JSON.
        staticParams.length
          ? (entry.params() ?? undefined)
          : (attempt: Attempt) => (entry.params() as (a: Attempt) => unknown)(attempt),
        {
          onChange: (status, error) =>
            change({
              status,
              isConnected: status === "connected",
              error: status === "connected" ? error : (error ?? entry.snapshot.error),
            }),
        },
      );
      change({ connection, status: connection.status });
    } catch (cause) {
      const error = cause instanceof ActorError ? cause : new ActorError("link", String(cause), undefined, { cause });
      change({ status: "closed", error });
    }
  };

  const reconnect = (id: string) => {
    const entry = entries.get(id);
    if (!entry) return;
    if (entry.snapshot.connection) entry.snapshot.connection.reconnect();
    else connect(id, entry);
  };

  const acquire = (id: string, params: ParamsGetter, listener?: () => void) => {
    let entry = entries.get(id);
    if (!entry) {
      entries.set(id, (entry = { snapshot: CONNECTING, users: [], params, listeners: new Set(), reopenAfter: 0 }));
      connect(id, entry);
    }
    const acquired = entry;
    acquired.users.push((acquired.params = params));
    clearTimeout(acquired.disposal);
    // A component that comes later does not join a connection that is over; with it, the others try again. Not at
    // once again, because a component that is only there while it is closed would do that for ever.
    if (listener && acquired.snapshot.status === "closed" && Date.now() >= acquired.reopenAfter) {
      acquired.reopenAfter = Date.now() + REOPEN_MS;
      reconnect(id);
    }
    if (listener) acquired.listeners.add(listener);
    return () => {
      if (listener) acquired.listeners.delete(listener);
      acquired.users.splice(acquired.users.lastIndexOf(params), 1);
      acquired.params = acquired.users.at(-1) ?? acquired.params;
      if (acquired.users.length) return;
      // Strict Mode, and a component that moves within one commit, reuse the connection. Components
      // that mount later must not: they would miss what the actor sent when it was opened.
      acquired.disposal = setTimeout(() => {
        entries.delete(id);
        acquired.snapshot.connection?.dispose();
      });
    };
  };

  return {
    handle(id) {
      try {
        return getHandle(id);
      } catch (error) {
        return brokenHandle(error);
      }
    },
    reconnect,
    acquire,
    subscribe: acquire,
    snapshot: (id) => entries.get(id)?.snapshot ?? CONNECTING,
  };
}
