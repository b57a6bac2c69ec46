// A connection to one actor: what outlives the socket on the client's side. It
// owns the cursor, the subscriptions and the calls without an answer.
//
// Status, and the lifecycle events that a change emits. There are no others; any
// number of `error`, and a `stale` after each opened, may come between them, nothing comes after `closed`.
//
//   connecting   → connected     opened                             connected
//   connecting   → closed        closed for good                    error, closed
//   connected    → disconnected  socket lost, closed with reconnect disconnected {willRetry: true}
//   connected    → disconnected  closed for good                    disconnected {willRetry: false}
//   disconnected → closed        right after that                   closed
//   disconnected → connected     opened, replayed, at               reconnected {recovered: true}
//                                opened with lost or not resumed    reconnected {recovered: false}
//   disconnected → closed        closed for good                    error, closed
//   any          → closed        dispose()                          closed
import { backoff, STABLE_MS } from "./backoff.js";
import { createEmitter, type Handler } from "./emitter.js";
import { ActorError, reportUncaught } from "./errors.js";
import { abandoned, deadline, merge, type Target } from "./handle.js";
import { byteLength } from "./limits.js";
import { callable } from "./proxy.js";
import type { Channel, Socket } from "./socket.js";
import type { Attempt, CallOptions, ConnectionApi, LifecycleEvents, ParamsSource, Reconnected, Stale, Status, UntypedActor } from "./types.js";
import { encode, encodeCall, randomSecret, type ChannelMessage, type Open, type Opened } from "./wire.js";

/** Calls that may wait to be sent. */
const QUEUE = 500;
/** How often a connection that calls nothing tells how far it has read. */
const ACK_MS = 30_000;
/** Room for what a call message has beside its action and arguments. */
const ENVELOPE = 128;

const LIFECYCLE: ReadonlySet<string> = new Set<keyof LifecycleEvents>([
  "connected",
  "disconnected",
  "reconnected",
  "stale",
  "error",
  "closed",
]);

/** What a connection is made of. */
export interface ConnectionSpec {
  socket: Socket;
  target: Target;
  /** To be done before the first open; what rejects for good ends the connection. */
  ready: (() => Promise<unknown>) | undefined;
  params: ParamsSource<unknown>;
  options: CallOptions;
  onChange(status: Status, error: ActorError | undefined): void;
}

/** A call without an answer. */
interface Call {
  id: number;
  action: string;
  /** JSON, as the arguments were when the action was called. */
  args: string;
  size: number;
  /** Handed to a link at least once: it may have run. */
  sent: boolean;
  settle(error: ActorError | undefined, result?: unknown): void;
}

/** Creates a connection; it connects by itself. Throws if there can be no socket here. */
export function createConnection(spec: ConnectionSpec): ConnectionApi<UntypedActor> {
  const { socket, target } = spec;
  const k = randomSecret();
  const caller = randomSecret();
  let status: Status = "connecting";

  // The attachment to the present socket. 0: none. live: the `at` of the opening
  // has come, so calls may be sent.
  let number = 0;
  let live = false;
  let liveAt = 0;
  let attempt = 0;
  let failures = 0;
  let opening: AbortController | undefined;
  let retry: ReturnType<typeof setTimeout> | undefined;

  // The params that the server was told last, as JSON, and why it did not like them, until it does.
  let told = "";
  let refused: ActorError | undefined;

  // The cursor. log is undefined until the first opened.
  let id: string | undefined;
  let log: string | undefined;
  let seq = 0;
  let replayed = 0;

  // Calls, in the order of their ids: all without an answer, those of them that
  // wait to be sent (again), and the ids that the present link carries.
  const calls = new Map<number, Call>();
  let waiting: Call[] = [];
  const inFlight = new Set<number>();
  let lastId = 0;

  // What the server knows of what was seen and answered.
  let toldSeq = 0;
  let toldAck = 0;
  let telling: ReturnType<typeof setTimeout> | undefined;

  /** Event names that the present, or the next, attachment receives. */
  let subscribed = new Set<string>();
  let syncing = false;
  const emitter = createEmitter(() => {
    if (syncing) return;
    syncing = true;
    queueMicrotask(syncSubs);
  });

  /** The only place that changes status, and that emits what the change means. */
  const setStatus = (next: Status, event: keyof LifecycleEvents, data?: unknown) => {
    const before = status;
    status = next;
    if (next !== before) changed(next === "closed" ? (data as ActorError | undefined) : undefined);
    emitter.emit(event, data);
  };
  const changed = (error?: ActorError) => {
    try {
      spec.onChange(status, error);
    } catch (thrown) {
      reportUncaught(thrown);
    }
  };
  const emitError = (error: ActorError) => {
    changed(error);
    if (!emitter.emit("error", error)) socket.report(error);
  };

  const wanted = () => new Set(emitter.names().filter((name) => !LIFECYCLE.has(name)));

  /** Tells the server which names got their first or lost their last listener, once per microtask. */
  const syncSubs = () => {
    syncing = false;
    const want = wanted();
    const gone = [...subscribed].filter((name) => !want.delete(name));
    for (const name of gone) subscribed.delete(name);
    if (!number) return; // the next open names the rest, or a sub behind it
    for (const name of want) subscribed.add(name);
    const c = number;
    if (want.size) socket.push(c, () => encode({ t: "sub", c, e: [...want] }));
    if (gone.length) socket.push(c, () => encode({ t: "unsub", c, e: gone }));
  };

  /** The highest call id up to which every call has been answered or given up. */
  const acked = () => (calls.keys().next().value ?? lastId + 1) - 1;

  /** s and ack for a message that carries them, if they say something new. */
  const progress = () => {
    const news: { s?: number; ack?: number } = {};
    if (seq > toldSeq) news.s = toldSeq = seq;
    if (acked() > toldAck) news.ack = toldAck = acked();
    return news;
  };

  const tellLater = () => {
    telling ??= setTimeout(() => {
      telling = undefined;
      const c = number;
      const news = live ? progress() : {};
      if (news.s || news.ack) socket.push(c, () => encode({ t: "ack", c, ...news }));
    }, ACK_MS);
  };

  /** Params for the server, made anew. Throws if they are too large, known to be refused, or no longer wanted. */
  const makeParams = async (signal: AbortSignal) => {
    const params =
      typeof spec.params === "function"
        ? await (spec.params as (a: Attempt) => unknown)({ attempt, signal })
        : spec.params;
    signal.throwIfAborted();
    const text = JSON.stringify(params) ?? "";
    if (refused && text === told) throw refused;
    const size = byteLength(text);
    if (size > socket.limits.params) throw tooLarge("params", size, socket.limits.params);
    told = text;
    return params;
  };

  const open = async () => {
    clearTimeout(retry);
    retry = undefined;
    const { signal } = (opening = new AbortController());
    attempt++;
    try {
      // Listeners that are added in the tick of connect() are in the first open, and hear what goes wrong before it.
      await null;
      signal.throwIfAborted();
      await spec.ready?.();
      spec.ready = undefined;
      signal.throwIfAborted();
      attach(await makeParams(signal));
    } catch (error) {
      if (signal.aborted) return;
      const known = error instanceof ActorError;
      // A create that was refused (exists, invalid_input) will be refused again, and so will be the same token.
      const again = /^(not_sent|maybe_ran|unavailable|overloaded)$/;
      if (known && (error === refused || error.code === "too_large" || (spec.ready && !again.test(error.code)))) return end(error);
      later(known ? error : new ActorError("link", `params: ${error}`, undefined, { cause: error }));
    }
  };

  /**
   * Sends the open. To resume means: what was subscribed, from s on. Names that
   * are new since go as a sub behind the open, from now on.
   */
  const attach = (params: unknown) => {
    if (!log) subscribed = wanted();
    toldAck = acked();
    const { actor, key, actorId, create, input } = target;
    const message: Open = {
      t: "open",
      c: 0xffffffff, // as long as one can be, until it is known
      ...(actorId === undefined ? { actor, key, create, input } : { actorId }),
      params,
      subs: subscribed.size ? [...subscribed] : undefined,
      k,
      caller,
      log,
      s: log === undefined ? undefined : seq,
      ack: toldAck || undefined,
    };
    // A frame over the limit would cost all connections their socket, again and again.
    const size = byteLength(encode(message));
    if (size > socket.limits.message) return end(tooLarge("message", size, socket.limits.message));
    number = message.c = socket.open(channel);
    socket.push(number, () => encode(message), false);
    syncSubs();
  };

  /** Detaches from the present link or channel; calls wait for the next one. */
  const detach = () => {
    if (live && performance.now() - liveAt >= STABLE_MS) failures = 0;
    socket.close(number);
    opening?.abort();
    clearTimeout(retry);
    clearTimeout(telling);
    retry = telling = undefined;
    number = 0;
    live = false;
    inFlight.clear();
    waiting = [...calls.values()];
  };

  /** Opens again on the same socket after a while. */
  const later = (error: ActorError) => {
    detach();
    const told = (error.metadata as { retryAfterMs?: number } | undefined)?.retryAfterMs;
    const retryInMs = Math.round(Math.max(told ?? 0, backoff(failures++)));
    retry = setTimeout(open, retryInMs);
    interrupted(error, retryInMs);
  };

  const interrupted = (error: ActorError, retryInMs: number) => {
    if (status === "connected") setStatus("disconnected", "disconnected", { reason: error.code, willRetry: true, retryInMs });
    else emitError(error);
  };

  /** The connection is over; error says why, undefined means disposed. */
  const end = (error?: ActorError) => {
    if (status === "closed") return;
    const c = number;
    detach();
    if (c) socket.push(c, () => encode({ t: "close", c }), false);
    socket.detach(channel);
    if (error) {
      if (status === "connected") setStatus("disconnected", "disconnected", { reason: error.code, willRetry: false });
      else emitError(error);
      if ((status as Status) === "closed") return; // a listener disposed
    }
    setStatus("closed", "closed", error);
    for (const call of [...calls.values()]) call.settle(abandoned(call.sent, "closed", error));
    emitter.off();
  };

  const onOpened = (m: Opened) => {
    const first = !log;
    const recovered = !!m.resumed && !m.lost;
    ({ log, s: seq, connId: id } = m);
    toldSeq = seq; // lower than before, if this is another log
    attempt = 0;
    replayed = 0;
    if (first) setStatus("connected", "connected");
    else if (!recovered) {
      const { missed = 0, exact = false, reason = "expired" } = m.lost ?? {};
      setStatus("connected", "reconnected", { recovered, missed, exact, reason, replayed } satisfies Reconnected);
    }
    if (socket.stale) emitter.emit("stale", { differs: socket.stale } satisfies Stale);
  };

  const onAt = () => {
    if (live) return;
    live = true;
    refused = undefined;
    liveAt = performance.now();
    if (status === "disconnected") {
      setStatus("connected", "reconnected", { recovered: true, missed: 0, exact: true, replayed } satisfies Reconnected);
    }
    pump();
  };

  /** Sends waiting calls, in order, as far as the window allows. */
  const pump = () => {
    while (live && waiting[0] && inFlight.size < socket.limits.inFlight) {
      const call = waiting.shift()!;
      const c = number;
      inFlight.add(call.id);
      socket.push(c, () => {
        const limit = socket.limits.message;
        // The limit was a guess before the socket's hello, and may be another one since.
        if (call.size > limit) call.settle(tooLarge("message", call.size, limit));
        if (!calls.has(call.id)) {
          inFlight.delete(call.id);
          pump();
          return undefined;
        }
        call.sent = true;
        return encodeCall({ t: "call", c, id: call.id, a: call.action, ...progress() }, call.args);
      });
    }
  };

  const call = (options: CallOptions, action: string, values: readonly unknown[]) =>
    new Promise<unknown>((resolve, reject) => {
      const { timeoutMs, signal } = options;
      if (status === "closed") return reject(abandoned(false, "closed"));
      if (signal?.aborted) return reject(abandoned(false, "aborted", signal.reason));
      if (waiting.length >= QUEUE) {
        return reject(
          new ActorError("not_sent", `${QUEUE} calls wait already`, { reason: "queue", limit: QUEUE, option: "queue" }),
        );
      }
      let args: string;
      try {
        args = JSON.stringify(values);
      } catch (cause) {
        return reject(new ActorError("invalid_args", `arguments must be JSON: ${cause}`, undefined, { cause }));
      }
      const size = byteLength(action + args) + ENVELOPE;
      const limit = socket.limits.message;
      if (size > limit) return reject(tooLarge("message", size, limit));

      const giveUp = (reason: string, cause?: unknown) => pending.settle(abandoned(pending.sent, reason, cause));
      const onAbort = () => giveUp("aborted", signal!.reason);
      const timer = deadline(timeoutMs, () => giveUp("timeout"));
      signal?.addEventListener("abort", onAbort);
      const pending: Call = {
        id: ++lastId,
        action,
        args,
        size,
        sent: false,
        settle(error, result) {
          calls.delete(pending.id);
          if (!inFlight.has(pending.id)) waiting = waiting.filter((other) => other !== pending);
          clearTimeout(timer);
          signal?.removeEventListener("abort", onAbort);
          if (error) reject(error);
          else resolve(result);
        },
      };
      calls.set(pending.id, pending);
      waiting.push(pending);
      pump();
    });

  const refresh = async () => {
    const c = number;
    if (!c) return; // the open that comes has new ones
    const params = await makeParams(opening!.signal);
    socket.push(c, () => encode({ t: "params", c, params }));
  };

  const channel: Channel = {
    up: () => void open(),
    down(error, retryInMs) {
      detach();
      interrupted(error, retryInMs);
    },
    hurry() {
      if (retry) void open();
    },
    trouble: emitError,
    receive(m: ChannelMessage) {
      if ("s" in m) {
        tellLater();
        if (m.t !== "opened") seq = Math.max(seq, m.s);
      }
      switch (m.t) {
        case "opened":
          onOpened(m);
          break;
        case "event":
          if (!live) replayed++;
          if (!LIFECYCLE.has(m.e)) emitter.emit(m.e, m.d);
          break;
        case "reply":
        case "fail": {
          const answered = calls.get(m.id);
          if (m.t === "reply") answered?.settle(undefined, m.d);
          else answered?.settle(new ActorError(m.code, m.message, m.metadata));
          inFlight.delete(m.id);
          pump();
          return !!answered;
        }
        case "at":
          onAt();
          break;
        case "closed": {
          socket.close(number);
          number = 0;
          const error = new ActorError(m.code, m.message, m.metadata);
          // A token that has expired gets one successor, if that is another one.
          const fresh = m.code === "unauthorized" && typeof spec.params === "function" && !refused;
          if (fresh) refused = error;
          if (fresh || m.reconnect) later(error);
          else end(error);
          break;
        }
        case "error":
          emitError(new ActorError(m.code, m.message, m.metadata));
      }
      return false;
    },
  };

  const view = (options: CallOptions): ConnectionApi<UntypedActor> =>
    callable(
      {
        get status() {
          return status;
        },
        get id() {
          return id;
        },
        on: (name: string, handler: Handler) => emitter.on(name, handler),
        once: (name: string, handler: Handler) => emitter.on(name, handler, true),
        off: emitter.off,
        call: (action: string, ...args: unknown[]) => call(options, action, args),
        withOptions: (more: CallOptions) => view(merge(options, more)),
        refresh,
        dispose: () => end(),
      },
      (action) =>
        (...args: unknown[]) =>
          call(options, action, args),
    ) as unknown as ConnectionApi<UntypedActor>;

  socket.attach(channel);
  return view(spec.options);
}

function tooLarge(option: "message" | "params", size: number, limit: number): ActorError {
  return new ActorError("too_large", `${option} of ${size} bytes is over the limit of ${limit}`, { size, limit, option });
}
