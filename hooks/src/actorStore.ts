// Shared connections: one per client and id (actor name, key and params), with a
// reference count. Does not depend on React.
import type { Accessor, ActorError, Attempt, ClientApi, Connection, Handle, Status } from "@troupe/client";

/** How long components that come later do not open a closed connection again, after one did. */
const REOPEN_MS = 5_000;

/** The status of a connection; `idle` while `enabled` is false. */
export type ActorStatus = Status | "idle";

/** A connection and its status, for a component. The same object until something changes. */
export interface ActorSnapshot {
  /** undefined before the first effect has run, on the server, and while not enabled. */
  connection: Connection | undefined;
  status: ActorStatus;
  /** The last error; cleared when the connection is up again. */
  error: ActorError | undefined;
}

/** Returns the latest params of a component. */
export type ParamsGetter = () => unknown;

/** What a component needs to use a shared connection. */
export interface User {
  id: string;
  params: ParamsGetter;
}

/** The snapshot before there is a connection. */
export const CONNECTING = { status: "connecting" } as ActorSnapshot;
/** The snapshot while not enabled. */
export const IDLE = { status: "idle" } as ActorSnapshot;

interface Entry {
  snapshot: ActorSnapshot;
  /** The params of every user; those of the latest user come last. */
  users: ParamsGetter[];
  /** The params of the latest user. They stay after the last user left, as long as the connection does. */
  params: ParamsGetter;
  listeners: Set<() => void>;
  /** A component that comes later opens the connection again, if it is closed, only from this time on. */
  reopenAt: number;
  /** Runs while the connection, which nobody uses, may be used again. */
  timer?: ReturnType<typeof setTimeout>;
}

/** The shared connections of a client. */
export interface ActorStore {
  /** Creates a handle; sends nothing. If the key is invalid, all its calls reject: rendering must not throw. */
  handle(id: string): Handle;
  /** Starts the next attempt to connect now, also if the server has ended the connection. */
  reconnect(id: string): void;
  /**
   * Adds a user, connects if it is the first, and runs start with the connection, if there is one. The function
   * returned runs what start returned, and removes the user.
   */
  use(user: User, start: (connection: Connection) => () => void): () => void;
  /**
   * Adds a user whose listener is called after every change of the snapshot. Opens a connection again that the server has
   * ended, at most every 5 s, but none whose actor was destroyed.
   */
  subscribe(user: User, listener: () => void): () => void;
  snapshot(id: string): ActorSnapshot;
}

/** A replacer for JSON.stringify: equal objects get the same text, whatever the order of their properties. */
const sortKeys = (_: string, value: unknown) =>
  value && typeof value === "object" && !Array.isArray(value)
    ? Object.fromEntries(
        Object.keys(value)
          .sort()
          .map((name) => [name, value[name as never]]),
      )
    : value;

/** Encodes a part of an id. What is not JSON has a form, too, which the client refuses when it connects. */
function encode(part: unknown): string {
  try {
    return JSON.stringify(part, sortKeys) ?? "null";
  } catch {
    return "-0"; // which is not written otherwise, and is no key
  }
}

/**
 * Returns the id of an actor's connection: name, key and params as JSON. Equal keys and params give the same id,
 * however they are written. All functions count as the same params. Never throws.
 */
export function actorId(name: string, key: unknown, params: unknown): string {
  const parts = [name, typeof key === "string" ? [key] : key, typeof params === "function" ? [] : [params]];
  return `[${parts.map(encode)}]`;
}

/** A handle whose calls reject with error; its connect() throws it. */
const brokenHandle = (error: unknown): Handle =>
  new Proxy({} as Handle, {
    get: (_, name) =>
      typeof name === "string" && !/^(then|toJSON|\$\$typeof)$/.test(name)
        ? () => {
            if (name === "connect") throw error;
            return name === "withOptions" ? brokenHandle(error) : Promise.reject(error);
          }
        : undefined,
  });

const stores = new WeakMap<object, ActorStore>();

/** Returns the store of a client: always the same one. */
export function actorStore<R>(client: ClientApi<R>): ActorStore {
  const store = stores.get(client) ?? createActorStore(client as unknown as Record<string, Accessor>);
  stores.set(client, store);
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
      for (const listener of entry.listeners) listener();
    };
    // Those of a user, and not of the id, which may have lost what is not JSON.
    const params = entry.params() ?? undefined;
    try {
      const connection = getHandle(id).connect(
        typeof params === "function"
          ? (attempt: Attempt) => (entry.params() as (a: Attempt) => unknown)(attempt)
          : params,
        {
          onChange: (status, error = status === "connected" ? undefined : entry.snapshot.error) =>
            change({ status, error }),
        },
      );
      change({ connection, status: "connecting" });
    } catch (error) {
      // connect() throws nothing but ActorErrors.
      change({ status: "closed", error: error as ActorError });
    }
  };

  const reconnect = (id: string) => {
    const entry = entries.get(id);
    if (entry?.snapshot.connection) entry.snapshot.connection.reconnect();
    else if (entry) connect(id, entry);
  };

  const acquire = ({ id, params }: User, listener?: () => void) => {
    const known = entries.get(id);
    const entry = known ?? { snapshot: CONNECTING, users: [], params, listeners: new Set(), reopenAt: 0 };
    entries.set(id, entry);
    if (!known) connect(id, entry);
    entry.users.push((entry.params = params));
    clearTimeout(entry.timer);
    if (listener) {
      // A component that comes later does not join a connection that is over; with it, the others try again. Not at
      // once again, because a component that is only there while it is closed would do that for ever. A destroyed actor
      // would be made again.
      if (
        entry.snapshot.status === "closed" &&
        entry.snapshot.error?.code !== "destroyed" &&
        Date.now() >= entry.reopenAt
      ) {
        entry.reopenAt = Date.now() + REOPEN_MS;
        reconnect(id);
      }
      entry.listeners.add(listener);
    }
    return () => {
      entry.listeners.delete(listener!);
      entry.users.splice(entry.users.lastIndexOf(params), 1);
      if (entry.users[0]) entry.params = entry.users.at(-1)!;
      // Strict Mode, and a component that moves within one commit, reuse the connection. Components
      // that mount later must not: they would miss what the actor sent when it was opened.
      else {
        entry.timer = setTimeout(() => {
          entries.delete(id);
          entry.snapshot.connection?.dispose();
        });
      }
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
    use(user, start) {
      const release = acquire(user);
      const { connection } = entries.get(user.id)!.snapshot;
      const stop = connection && start(connection);
      return () => {
        stop?.();
        release();
      };
    },
    subscribe: acquire,
    snapshot: (id) => entries.get(id)?.snapshot ?? CONNECTING,
  };
}
