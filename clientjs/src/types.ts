import type { ActorError } from "./errors.js";
import type { WebSocketClass, Transport } from "./transport/websocket.js";

/**
 * What stands in where no registry type was given: anything goes, so that code
 * without types reads like plain JavaScript.
 */
// oxlint-disable-next-line typescript/no-explicit-any -- the one any: payloads of an untyped client must be usable without casts
export type Untyped = any;

/** How an actor definition is described for `createClient<typeof registry>`. */
export interface ActorTypes {
  /** Actions by name: their arguments and what they return. */
  actions: object;
  /** Payloads of events by name. */
  events: object;
  /** What `connect(params)` takes; leave out if nothing. */
  params?: unknown;
  /** What `create(key, input)` takes; leave out if nothing. */
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

/** What `connect` of an actor takes. */
export type ParamsOf<D> = Field<D, "params">;

/** Payloads by event name, lifecycle events included. */
export type EventsOf<D> = Field<D, "events"> & LifecycleEvents;

/** A key: one or more strings. `"x"` means `["x"]`. */
export type Key = string | readonly string[];

/**
 * - `connecting`: was never connected yet
 * - `connected`: events arrive, calls are answered
 * - `disconnected`: the link is lost; comes back by itself, calls wait
 * - `closed`: over, by `dispose()` or by the server
 */
export type Status = "connecting" | "connected" | "disconnected" | "closed";

/** Payload of `disconnected`. */
export interface Disconnected {
  /** A code: `link`, `shutdown`, `protocol`, or why the server ended the connection. */
  reason: string;
  /** false: `closed` follows. */
  willRetry: boolean;
  /** When the next attempt comes. */
  retryInMs?: number;
}

/** Payload of `reconnected`. */
export interface Reconnected {
  /** Everything that was missed has been replayed, each event once and in order. */
  recovered: boolean;
  /** If not recovered: how many events are skipped. */
  missed: number;
  /** false: `missed` is a lower bound. */
  exact: boolean;
  /** If not recovered: `restart`, `expired`, `overflow` or `slow`. */
  reason?: string;
  /** How many events were replayed since the link was lost. */
  replayed: number;
}

/** Payload of `stale`. */
export interface Stale {
  /** What differs, if the server tells it, which it does in development: `chatRoom.sendMessage()`, `chatRoom.on(typing)`, … */
  differs: readonly string[];
}

/** What a connection tells about itself, listened to like events. */
export interface LifecycleEvents {
  /** Once, the first time that the connection is up. */
  connected: undefined;
  /** The link is lost. */
  disconnected: Disconnected;
  /** The connection is up again: after the last replayed event, or before the first event if not recovered. */
  reconnected: Reconnected;
  /**
   * The connection is up, but the server has other actions, events or types than the registry that createClient
   * got: calls may fail with `unknown_action` or `invalid_args`, and events be missing. A page that is loaded
   * anew has those of the server. Told each time that the connection comes up, before its events.
   */
  stale: Stale;
  /** Something went wrong that no call reports; the code says what, and retries go on until `closed`. */
  error: ActorError;
  /** The last event: undefined after `dispose()`, else why the server ended the connection. */
  closed: ActorError | undefined;
}

/** Given to a params function. */
export interface Attempt {
  /** 1 for the first attempt since the connection was last up. */
  attempt: number;
  /** Aborted when the attempt is void, because the link was lost or the connection disposed. */
  signal: AbortSignal;
}

/**
 * Params, or a function that makes them anew for every attempt to connect or to resume (fresh tokens).
 *
 * A connection that the server ends with `unauthorized` is over; but with a function there is one more attempt, if
 * the function makes other params then. So a token that has expired is replaced, and none is shown twice.
 */
export type ParamsSource<P> = P | ((attempt: Attempt) => P | PromiseLike<P>);

/** Options of `handle.connect`. */
export interface ConnectOptions {
  /** Time-out of the connection's calls [that of the client]. */
  timeoutMs?: number;
  /**
   * Told after every change of status and every `error`, before the listeners.
   * For code that owns the connection: unlike a listener it is not removed by `off()`.
   */
  onChange?: (status: Status, error: ActorError | undefined) => void;
}

/** Options of calls, for `withOptions`. What is undefined stays as it was. */
export interface CallOptions {
  /** Gives a call up after so long, waiting included [60,000]; 0 means never. */
  timeoutMs?: number;
  /** Gives a call up when aborted. */
  signal?: AbortSignal;
}

/** What `call` takes and returns for an action. */
type Call<D> = <N extends keyof Actions<D> & string>(
  action: N,
  ...args: Actions<D>[N] extends (...args: infer P) => unknown ? P : never
) => Actions<D>[N] extends (...args: never[]) => infer R ? R : never;

/** What every connection has beside its actor's actions. */
export interface ConnectionApi<D> {
  /** Where the connection stands. */
  readonly status: Status;
  /** The connection's id on the server; undefined until it was connected. */
  readonly id: string | undefined;
  /**
   * Listens to an event. A listener that throws is reported and harms no other.
   * The function returned removes the listener.
   */
  on<N extends keyof EventsOf<D> & string>(event: N, handler: (data: EventsOf<D>[N]) => void): () => void;
  /** Listens to the next event of that name only. */
  once<N extends keyof EventsOf<D> & string>(event: N, handler: (data: EventsOf<D>[N]) => void): () => void;
  /** Removes a handler, all handlers of an event, or all handlers. */
  off<N extends keyof EventsOf<D> & string>(event?: N, handler?: (data: EventsOf<D>[N]) => void): void;
  /**
   * Calls any action, also one whose name is taken (`on`, `call`, …).
   *
   * It runs at most once. While disconnected it waits. The promise resolves after
   * the events that the action caused were dispatched here, and code that awaits
   * it runs before any later event is dispatched (through two layers of async
   * functions; deeper ones may see later events first).
   */
  call: Call<D>;
  /** The same connection; calls through it have these options. */
  withOptions(options: CallOptions): Connection<D>;
  /**
   * Tells the server new params without a disconnection, such as a fresh token: those that the params function
   * makes now. Resolves when they are on their way, at once while there is no link (the next attempt makes its
   * own). If the server does not like them, it ends the connection. Rejects if there are none: with what the
   * function throws, with `too_large`, or with an `AbortError` when the link is lost meanwhile.
   */
  refresh(): Promise<void>;
  /** Ends the connection. Waiting calls reject: `not_sent`, or `maybe_ran` if they were sent. */
  dispose(): void;
}

/** A connection: its actor's actions as methods, and events. */
export type Connection<D = UntypedActor> = ConnectionApi<D> & Omit<Actions<D>, keyof ConnectionApi<D>>;

/** What every handle has beside its actor's actions. */
export interface HandleApi<D> {
  /** Opens a connection; it connects by itself and stays until `dispose()`. */
  connect(
    ...args: undefined extends ParamsOf<D>
      ? [params?: ParamsSource<ParamsOf<D>>, options?: ConnectOptions]
      : [params: ParamsSource<ParamsOf<D>>, options?: ConnectOptions]
  ): Connection<D>;
  /** Calls any action over HTTP, also one whose name is taken. It runs at most once. */
  call: Call<D>;
  /** The same handle; calls through it have these options. */
  withOptions(options: CallOptions): Handle<D>;
  /** The actor's id; rejects with `not_found` if it does not exist. */
  resolve(): Promise<string>;
}

/** Names an actor: its actions as methods, each a single HTTP call, and `connect`. */
export type Handle<D = UntypedActor> = HandleApi<D> & Omit<Actions<D>, keyof HandleApi<D>>;

/** Makes handles for the actors of one definition. Making a handle sends nothing. */
export interface Accessor<D = UntypedActor> {
  /** The actor with this key, which is created with input when it is first used. */
  getOrCreate(key: Key, options?: { input?: Field<D, "input"> }): Handle<D>;
  /** The actor with this key, which must exist (`not_found`). */
  get(key: Key): Handle<D>;
  /**
   * A new actor, created when the handle is first used; using it fails with `exists` if the key is taken.
   *
   * If the answer to a creation was lost, the handle tries again when it is next used (a connection by
   * itself), and takes an actor that exists by then for its own: it cannot tell it from one that somebody
   * else created in between. Where that matters, let the actor check, by something unique in the input.
   */
  create(
    key: Key,
    ...input: undefined extends Field<D, "input"> ? [input?: Field<D, "input">] : [input: Field<D, "input">]
  ): Handle<D>;
  /** The actor with this id, which must exist (`not_found`). */
  getForId(id: string): Handle<D>;
}

/** What a client has beside its actor definitions, none of which can have these names. */
export interface ClientApi<R> {
  /** Disposes all connections and closes the socket. */
  dispose(): void;
  /**
   * Makes the next attempt now, wherever one is waited for: for a "Try now" button. It is made by itself when
   * the browser comes online or the page becomes visible. Does nothing to what is connected, or closed.
   */
  reconnect(): void;
  /** The server has other actions, events or types than the registry that createClient got; as of the last time it was reached. */
  readonly stale: boolean;
  /** For types only; never there. */
  readonly "~registry"?: R;
}

/** A client: actor definitions by name. */
export type Client<R = UntypedRegistry> = { readonly [N in keyof R]: Accessor<R[N]> } & ClientApi<R>;

/** Options of createClient. */
export interface ClientOptions {
  /** The generated registry: what it was made of is compared with the server's, see the event `stale`. */
  registry?: object;
  /** For places that have no WebSocket (Node 20: the package `ws`) [the global one]. */
  WebSocket?: WebSocketClass;
  /** For single calls, and connections over HTTP [the global fetch]. */
  fetch?: typeof fetch;
  /**
   * How the client talks to the server:
   *
   * - `"auto"` [default]: over a WebSocket, and where those are blocked (refused, closed right away, or
   *   without a sign of life for 2 s) over HTTP: the connection is there within 5 s all the same. For the
   *   next 5 minutes HTTP is tried first, then the WebSocket again, whenever the link is lost.
   * - `"websocket"`: over a WebSocket only
   * - `"sse"`: over HTTP only: frames come as server-sent events, or as answers to polls where a proxy
   *   holds these back, and go in POSTs. All tabs of a browser hold at most four streams per server at once,
   *   because HTTP/1.1 allows six connections; the others poll once a second (every 5 s while hidden). Only
   *   pages with https or of localhost can count them.
   * - a function: a transport of your own
   */
  transport?: "auto" | "websocket" | "sse" | Transport;
  /**
   * Headers of single calls, and of connections over HTTP; a function is called for every request. A
   * browser's WebSocket has no headers of its own: for connections, `params` are the better place.
   */
  headers?: Record<string, string> | (() => Record<string, string> | PromiseLike<Record<string, string>>);
  /** Cookies for single calls and connections over HTTP, as in `fetch`; `"include"` sends them to another origin. */
  credentials?: RequestCredentials;
  /** Time-out of calls [60,000]; 0 means never. */
  timeoutMs?: number;
  /** How long the socket stays open after the last connection was disposed [500]. */
  idleMs?: number;
}
