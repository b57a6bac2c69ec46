import type { ActorError } from "./errors.js";
import type { WebSocketClass, Transport } from "./transport/websocket.js";

/** Stands for every type of a client without a registry type, so that its code reads like plain JavaScript. */
// oxlint-disable-next-line typescript/no-explicit-any -- the one any: payloads of an untyped client must be usable without casts
export type Untyped = any;

/** Describes an actor definition to `createClient<typeof registry>`. */
export interface ActorTypes {
  /** Functions by action name: the arguments and the result. */
  actions: object;
  /** Payloads of events by name. */
  events: object;
  /** The argument of `connect(params)`; leave it out if there is none. */
  params?: unknown;
  /** The input of `create(key, { input })`; leave it out if there is none. */
  input?: unknown;
}

/** The actor types of a client without a registry type. */
export interface UntypedActor {
  actions: Record<string, (...args: Untyped[]) => Untyped>;
  events: Record<string, Untyped>;
  params: Untyped;
  input: Untyped;
}

/** The registry of a client without a registry type. */
export type UntypedRegistry = Record<string, UntypedActor>;

type Field<D, N extends string> = N extends keyof D ? D[N] : undefined;

/** The actions of an actor as methods of a handle or a connection. */
export type Actions<D> = D extends { actions: infer A }
  ? { [N in keyof A]: A[N] extends (...args: infer P) => infer R ? (...args: P) => Promise<Awaited<R>> : never }
  : never;

/** The params of an actor's `connect`. */
export type ParamsOf<D> = Field<D, "params">;

/** Payloads by event name, including the lifecycle events. */
export type EventsOf<D> = Field<D, "events"> & LifecycleEvents;

/** A key: one or more strings. `"x"` means `["x"]`. */
export type Key = string | readonly string[];

/**
 * - `connecting`: not connected yet
 * - `connected`: events arrive, calls are answered
 * - `disconnected`: the link is lost; the connection reconnects by itself, calls wait
 * - `closed`: the connection has ended, by `dispose()` or by the server
 */
export type Status = "connecting" | "connected" | "disconnected" | "closed";

/** Payload of `disconnected`. */
export interface Disconnected {
  /** A code: `link`, `shutdown`, `protocol`, or the code with which the server closed the connection. */
  reason: string;
  /** false: `closed` follows. */
  willRetry: boolean;
  /** Milliseconds until the next attempt; undefined if there is none. */
  retryInMs?: number;
}

/** Payload of `reconnected`. */
export interface Reconnected {
  /** true: every missed event has been replayed, once and in order. */
  recovered: boolean;
  /** If not recovered: how many events were lost. */
  missed: number;
  /** false: `missed` is a lower bound. */
  exact: boolean;
  /**
   * If not recovered, why: `restart`, `expired`, `overflow`, `slow`, `identity`: the user is another one now, or
   * `destroyed`: the actor was destroyed, and `reconnect()` has made a new one.
   */
  reason?: string;
  /** How many events were replayed after the link was lost. */
  replayed: number;
}

/** Payload of `stale`. */
export interface Stale {
  /** What differs: `chatRoom.sendMessage()`, `chatRoom.on(typing)`, … Only a server in development lists it. */
  differs: readonly string[];
}

/** The events of a connection itself. Listen to them as to the actor's events. */
export interface LifecycleEvents {
  /** The connection is up for the first time. Emitted once. */
  connected: undefined;
  /** The link is lost. */
  disconnected: Disconnected;
  /**
   * The connection is up again. If it recovered, this comes after the last replayed event; if not, it comes
   * before the first new event.
   */
  reconnected: Reconnected;
  /**
   * The connection is up, but the server's actions, events or types differ from the registry given to
   * createClient: calls may fail with `unknown_action` or `invalid_args`, and events may be missing. Reloading
   * the page loads a matching registry. Emitted each time that the connection comes up, before its events.
   */
  stale: Stale;
  /** Something failed that no call reports. The connection keeps retrying unless `closed` follows. */
  error: ActorError;
  /** The connection has ended: undefined after `dispose()`, else the reason. No event follows, except after `reconnect()`. */
  closed: ActorError | undefined;
}

/** The argument of a params function. */
export interface Attempt {
  /** 1 for the first attempt since the connection was last up. */
  attempt: number;
  /** Aborted when the params are not needed any more: the link was lost, or the connection was disposed. */
  signal: AbortSignal;
}

/**
 * Params, or a function that returns them. The function is called for every attempt to connect or to resume, so
 * that it can return a fresh token.
 *
 * If the server closes the connection with `unauthorized`, the function is called once more. If it returns other
 * params, the connection tries again with those; if not, it ends. An expired token is replaced in this way, and no
 * rejected token is sent twice.
 *
 * If the function throws, or has no result within 10 s, that is reported as an `error` (`params_failed`, `timeout`),
 * and it is called again after a back-off. If it throws `new ActorError("unauthorized", …)`, because the user is signed
 * out, the connection ends. Params that are not JSON end it with `invalid_params`.
 */
export type ParamsSource<P> = P | ((attempt: Attempt) => P | PromiseLike<P>);

/** Options of `handle.connect`. */
export interface ConnectOptions {
  /** Time-out of the connection's calls in milliseconds; 0 means none [the client's]. */
  timeoutMs?: number;
  /**
   * Called after every change of status and with every `error`, before the listeners. It is for the code that
   * owns the connection: unlike a listener, `off()` does not remove it.
   */
  onChange?: (status: Status, error: ActorError | undefined) => void;
}

/** Options of calls, for `withOptions`. An option that is undefined keeps its value. */
export interface CallOptions {
  /** Milliseconds after which a call is given up, including the time it waits [60,000]; 0 means never. */
  timeoutMs?: number;
  /** Gives the calls up when it is aborted. */
  signal?: AbortSignal;
  /** For the hooks: called when a call of a connection is answered or given up, before any later event. */
  "~onSettled"?: () => void;
}

/** The type of `call`. */
type Call<D> = <N extends keyof Actions<D> & string>(
  action: N,
  ...args: Actions<D>[N] extends (...args: infer P) => unknown ? P : never
) => Actions<D>[N] extends (...args: never[]) => infer R ? R : never;

/** The members of every connection, beside its actor's actions. */
export interface ConnectionApi<D> {
  /** The current status. */
  readonly status: Status;
  /** The connection's id on the server; undefined until it is connected for the first time. */
  readonly id: string | undefined;
  /** The actor's id; undefined until the connection is connected for the first time. */
  readonly actorId: string | undefined;
  /**
   * Listens to an event; the function returned removes the listener. If a listener throws, the error is reported
   * and the other listeners still run.
   */
  on<N extends keyof EventsOf<D> & string>(event: N, handler: (data: EventsOf<D>[N]) => void): () => void;
  /** Listens to the next event of that name only; the function returned removes the listener. */
  once<N extends keyof EventsOf<D> & string>(event: N, handler: (data: EventsOf<D>[N]) => void): () => void;
  /** Removes a handler, all handlers of an event, or all handlers. */
  off<N extends keyof EventsOf<D> & string>(event?: N, handler?: (data: EventsOf<D>[N]) => void): void;
  /**
   * Calls an action by name, including one that has the name of a member (`on`, `call`, …).
   *
   * The action runs at most once. While the connection is not up, the call waits. The promise resolves after
   * the events that the action caused were dispatched, and code that awaits it runs before any later event is
   * dispatched. That holds through two layers of async functions; deeper ones may see later events first.
   *
   * The promise rejects with an ActorError: the action's own, or `not_sent`, `maybe_ran`, `ran`, `too_large`, … If the
   * actor was destroyed before the answer arrived, the code is `destroyed` if the call did not run, and `ran` if it did.
   */
  call: Call<D>;
  /** Returns the same connection with other options for its calls. */
  withOptions(options: CallOptions): Connection<D>;
  /**
   * Calls the params function and sends the result to the server without disconnecting, for example a fresh
   * token. Resolves when the params are queued, or at once while there is no link, because the next attempt calls
   * the function anyway. The server closes the connection if it rejects the params.
   *
   * Rejects with the ActorError that the function throws, or with `params_failed` if it throws anything else; with
   * `invalid_params`, `too_large`, or an `AbortError` if the link is lost meanwhile.
   */
  refresh(): Promise<void>;
  /**
   * Starts the next attempt now, if the connection waits for one. After the server has ended the connection, for
   * example with `unauthorized`, it opens it again: call it when the user has signed in. The listeners stay. If the
   * connection was connected before, `reconnected` follows, else `connected`. Has no effect after `dispose()`.
   *
   * After `destroyed` it opens the actor again: `getOrCreate` makes a new one, without what the old one had.
   * Nothing else does that: a connection whose actor was destroyed while it was offline ends.
   */
  reconnect(): void;
  /** Ends the connection. Unanswered calls reject with `maybe_ran` if they were sent, else with `not_sent`. */
  dispose(): void;
}

/** A connection: its actor's actions as methods, and events. */
export type Connection<D = UntypedActor> = ConnectionApi<D> & Omit<Actions<D>, keyof ConnectionApi<D>>;

/** The members of every handle, beside its actor's actions. */
export interface HandleApi<D> {
  /**
   * Opens a connection, which connects and reconnects by itself until `dispose()`. Throws `link` if the client's
   * url is invalid or no transport works here.
   */
  connect(
    ...args: undefined extends ParamsOf<D>
      ? [params?: ParamsSource<ParamsOf<D>>, options?: ConnectOptions]
      : [params: ParamsSource<ParamsOf<D>>, options?: ConnectOptions]
  ): Connection<D>;
  /** Calls an action by name with one HTTP request, including one that has the name of a member. It runs at most once. */
  call: Call<D>;
  /** Returns the same handle with other options for its calls. */
  withOptions(options: CallOptions): Handle<D>;
  /** Returns the actor's id; creates the actor if it does not exist and the handle may do that, else rejects with `not_found`. */
  resolve(): Promise<string>;
}

/** A handle names an actor. It has the actor's actions as methods, each a single HTTP request, and `connect`. */
export type Handle<D = UntypedActor> = HandleApi<D> & Omit<Actions<D>, keyof HandleApi<D>>;

/** Options of `getOrCreate` and `create`. */
export interface CreateOptions<I> {
  /** The actor's input, for its OnCreate. */
  input: I;
}

/** The arguments of `create` behind the key; the input alone is an older form. */
type CreateArgs<I> = undefined extends I ? [options?: Partial<CreateOptions<I>> | I] : [options: CreateOptions<I> | I];

/**
 * A handle for an actor that does not exist yet. Awaiting it creates the actor, and resolves to a plain handle or
 * rejects with `exists`. It can be used without that, too: the actor is created first.
 */
export type NewHandle<D = UntypedActor> = Handle<D> & PromiseLike<Handle<D>>;

/**
 * Creates handles for the actors of one definition. Creating a handle sends nothing. Without arguments, it names the
 * actor without a key: there is one for each definition. Throws `bad_key` for an invalid key, also if the key is
 * undefined, and `invalid_input` for an input that is not JSON.
 */
export interface Accessor<D = UntypedActor> {
  /** The actor with this key. If it does not exist, it is created with input when the handle is first used. */
  getOrCreate(): Handle<D>;
  getOrCreate(key: Key, options?: Partial<CreateOptions<Field<D, "input">>>): Handle<D>;
  /** The actor with this key, which must exist (`not_found`). */
  get(): Handle<D>;
  get(key: Key): Handle<D>;
  /**
   * A new actor. `await create(key)` creates it, and rejects with `exists` if the key is taken. Without `await`, the
   * actor is created when the handle is first used, which fails with `exists`.
   *
   * If the response to the creation was lost, the handle tries again when it is next used (a connection does so by
   * itself). It then accepts an actor that exists, because it cannot tell whether it created that actor or somebody
   * else did. Where that matters, put something unique into the input and let the actor check it.
   */
  create(...args: undefined extends Field<D, "input"> ? [] : never): NewHandle<D>;
  create(key: Key, ...args: CreateArgs<Field<D, "input">>): NewHandle<D>;
  /** The actor with this id, which must exist (`not_found`). */
  getForId(id: string): Handle<D>;
}

/** The members of every client, beside its actor definitions, which cannot have these names. */
export interface ClientApi<R> {
  /** Disposes all connections and closes the socket. */
  dispose(): void;
  /**
   * Starts the next attempt now, for the socket and every connection that waits for one: for a "Try now" button.
   * That also happens by itself when the browser comes online or the page becomes visible. Connections that the server
   * has ended are opened again, unless their actors were destroyed: call it after the user has signed in. Dispose those that
   * you do not want back. Has no effect on connections that are connected or disposed.
   */
  reconnect(): void;
  /** true if the server's contract differed from the registry given to createClient when it was last reached. */
  readonly stale: boolean;
  /** For types only; never set. */
  readonly "~registry"?: R;
}

/** A client: actor definitions by name. */
export type Client<R = UntypedRegistry> = { readonly [N in keyof R]: Accessor<R[N]> } & ClientApi<R>;

/** Fills an array with random bytes that nobody can guess, as `crypto.getRandomValues` does. */
export type RandomSource = (bytes: Uint8Array) => unknown;

/** Options of createClient. */
export interface ClientOptions {
  /** The generated registry. The client compares its contract with the server's; see the event `stale`. */
  registry?: object;
  /** The WebSocket class, where there is no global one (Node 20: from the package `ws`) [the global one]. */
  WebSocket?: WebSocketClass;
  /** The source of the secrets of connections, where there is no `crypto.getRandomValues` (React Native) [that]. */
  random?: RandomSource;
  /** The fetch function for single calls and for connections over HTTP [the global one]. */
  fetch?: typeof fetch;
  /**
   * How the client connects to the server:
   *
   * - `"auto"` [default]: over a WebSocket, or over HTTP where WebSockets are blocked (refused, closed at once, or
   *   silent for 2 s). It connects within 5 s either way. When the link is lost during the next 5 minutes, HTTP is
   *   tried first; after that, the WebSocket is.
   * - `"websocket"`: only over a WebSocket.
   * - `"sse"`: only over HTTP. Frames arrive as server-sent events, or in responses to polls where a proxy buffers
   *   streams, and are sent in POSTs. The tabs of a browser share four streams per server, because HTTP/1.1 allows
   *   six connections; other tabs poll once a second, or every 5 s while hidden. Counting the streams works only on
   *   pages served over https or from localhost.
   * - a function: a transport of your own.
   */
  transport?: "auto" | "websocket" | "sse" | Transport;
  /**
   * Headers for single calls and for connections over HTTP; a function is called for every request. WebSockets
   * of browsers cannot have headers, so use `params` for connections.
   */
  headers?: Record<string, string> | (() => Record<string, string> | PromiseLike<Record<string, string>>);
  /** Whether single calls and connections over HTTP send cookies, as in `fetch`; `"include"` sends them to another origin, too. */
  credentials?: RequestInit["credentials"];
  /** Time-out of calls in milliseconds [60,000]; 0 means none. */
  timeoutMs?: number;
  /** Milliseconds that the socket stays open after the last connection was disposed [500]. */
  idleMs?: number;
}
