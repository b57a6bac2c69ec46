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
import { mergeOptions } from "./callOptions.js";
import { createCallQueue } from "./callQueue.js";
import { createCursor } from "./cursor.js";
import { createEmitter, type Handler } from "./emitter.js";
import { abandonedError, ActorError, errorFrom, retryAfterMs, reportUncaught } from "./errors.js";
import type { Target } from "./handle.js";
import { byteLength, checkSize } from "./limits.js";
import { callable } from "./proxy.js";
import type { Channel, Socket } from "./socket.js";
import type { Attempt, CallOptions, ConnectionApi, ConnectOptions, Disconnected, LifecycleEvents, ParamsSource, Reconnected, Stale, Status, UntypedActor } from "./types.js";
import { encode, encodeCall, randomSecret, type ChannelMessage, type ClientMessage, type Lost, type Open, type Opened } from "./wire.js";

/** Names of LifecycleEvents: the server does not know them. */
const isLifecycle = (name: string) => /^((dis|re)?connected|stale|error|closed)$/.test(name);

/** What a connection is made of. */
export interface ConnectionSpec {
  socket: Socket;
  target: Target;
  /** To be done before the first open; what rejects for good ends the connection. */
  ready: (() => Promise<unknown>) | undefined;
  params: ParamsSource<unknown>;
  options: CallOptions;
  onChange: ConnectOptions["onChange"];
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

  let id: string | undefined;
  /** How many events arrived since the last opened, before its at. */
  let replayed = 0;

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
      spec.onChange?.(status, error);
    } catch (thrown) {
      reportUncaught(thrown);
    }
  };
  const emitError = (error: ActorError) => {
    changed(error);
    if (!emitter.emit("error", error)) socket.report(error);
  };

  const send = (message: ClientMessage & { c: number }, paced?: boolean) =>
    socket.push(message.c, () => encode(message), paced);

  const wanted = () => new Set(emitter.names().filter((name) => !isLifecycle(name)));

  /** Tells the server which names got their first or lost their last listener, once per microtask. */
  const syncSubs = () => {
    syncing = false;
    const want = wanted();
    const gone = [...subscribed].filter((name) => !want.delete(name));
    for (const name of gone) subscribed.delete(name);
    if (!number) return; // the next open names the rest, or a sub behind it
    for (const name of want) subscribed.add(name);
    if (want.size) send({ t: "sub", c: number, e: [...want] });
    if (gone.length) send({ t: "unsub", c: number, e: gone });
  };

  const calls = createCallQueue(socket, (next) =>
    socket.push(number, () => {
      const call = next();
      return call && encodeCall({ t: "call", c: number, id: call.id, a: call.action, ...cursor.acks() }, call.args);
    }),
  );
  const cursor = createCursor(
    () => calls.ackedId,
    () => {
      const acks = live ? cursor.acks() : {};
      if (acks.s || acks.ack) send({ t: "ack", c: number, ...acks });
    },
  );

  /** Params for the server, made anew. Throws if they are too large, known to be refused, or no longer wanted. */
  const makeParams = async (signal: AbortSignal) => {
    const params =
      typeof spec.params === "function"
        ? await (spec.params as (a: Attempt) => unknown)({ attempt, signal })
        : spec.params;
    signal.throwIfAborted();
    const text = JSON.stringify(params) ?? "";
    if (refused && text === told) throw refused;
    checkSize(socket.limits, "params", byteLength(text));
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
    if (!cursor.log) subscribed = wanted();
    const message: Open = {
      t: "open",
      c: 0xffffffff, // as long as one can be, until it is known
      ...target,
      params,
      subs: subscribed.size ? [...subscribed] : undefined,
      k,
      caller,
      ...cursor.resume(),
    };
    // A frame over the limit would cost all connections their socket, again and again.
    checkSize(socket.limits, "message", byteLength(encode(message)));
    number = message.c = socket.open(channel);
    send(message, false);
    syncSubs();
  };

  /** Detaches from the present link or channel; calls wait for the next one. */
  const detach = () => {
    if (live && performance.now() - liveAt >= STABLE_MS) failures = 0;
    socket.close(number);
    opening?.abort();
    clearTimeout(retry);
    retry = undefined;
    number = 0;
    live = false;
    cursor.stop();
    calls.suspend();
  };

  /** Opens again on the same socket after a while. */
  const later = (error: ActorError) => {
    detach();
    const retryInMs = Math.round(Math.max(retryAfterMs(error), backoff(failures++)));
    retry = setTimeout(open, retryInMs);
    interrupted(error, retryInMs);
  };

  /** The connection is not up any more; it ends here if there is no retry. */
  const interrupted = (error: ActorError, retryInMs?: number) => {
    if (status !== "connected") return emitError(error);
    const willRetry = retryInMs !== undefined;
    setStatus("disconnected", "disconnected", { reason: error.code, willRetry, retryInMs } satisfies Disconnected);
  };

  /** The connection is over; error says why, undefined means disposed. */
  const end = (error?: ActorError) => {
    if (status === "closed") return;
    const c = number;
    detach();
    if (c) send({ t: "close", c }, false);
    socket.detach(channel);
    if (error) {
      interrupted(error);
      if ((status as Status) === "closed") return; // a listener disposed
    }
    setStatus("closed", "closed", error);
    calls.abandon(error);
    emitter.off();
  };

  const reconnected = (lost?: Lost) => {
    const { missed, exact, reason } = lost ?? { missed: 0, exact: true };
    setStatus("connected", "reconnected", { recovered: !lost, missed, exact, reason, replayed } satisfies Reconnected);
  };

  const onOpened = (m: Opened) => {
    const first = !cursor.log;
    const recovered = !!m.resumed && !m.lost;
    cursor.open(m.log, m.s);
    id = m.connId;
    attempt = 0;
    replayed = 0;
    if (first) setStatus("connected", "connected");
    else if (!recovered) reconnected(m.lost ?? { missed: 0, exact: false, reason: "expired" });
    if (socket.stale) emitter.emit("stale", { differs: socket.stale } satisfies Stale);
  };

  const onAt = () => {
    if (live) return;
    live = true;
    refused = undefined;
    liveAt = performance.now();
    if (status === "disconnected") reconnected();
    calls.open();
  };

  const call = (options: CallOptions, action: string, args: readonly unknown[]) =>
    status === "closed" ? Promise.reject(abandonedError(false, "closed")) : calls.add(options, action, args);

  const refresh = async () => {
    const c = number;
    if (!c) return; // the open that comes has new ones
    const params = await makeParams(opening!.signal);
    send({ t: "params", c, params });
  };

  const channel: Channel = {
    up: open,
    down(error, retryInMs) {
      detach();
      interrupted(error, retryInMs);
    },
    hurry() {
      if (retry) void open();
    },
    trouble: emitError,
    dispose: () => end(),
    receive(m: ChannelMessage) {
      if ("s" in m) cursor.advance(m.s);
      switch (m.t) {
        case "opened":
          onOpened(m);
          break;
        case "event":
          if (!live) replayed++;
          if (!isLifecycle(m.e)) emitter.emit(m.e, m.d);
          break;
        case "reply":
          return calls.answer(m.id, undefined, m.d);
        case "fail":
          return calls.answer(m.id, errorFrom(m));
        case "at":
          onAt();
          break;
        case "closed": {
          socket.close(number);
          number = 0;
          const error = errorFrom(m);
          // A token that has expired gets one successor, if that is another one.
          const fresh = m.code === "unauthorized" && typeof spec.params === "function" && !refused;
          if (fresh) refused = error;
          if (fresh || m.reconnect) later(error);
          else end(error);
          break;
        }
        case "error":
          emitError(errorFrom(m));
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
        withOptions: (more: CallOptions) => view(mergeOptions(options, more)),
        refresh,
        dispose: channel.dispose,
      },
      (action) =>
        (...args: unknown[]) =>
          call(options, action, args),
    ) as unknown as ConnectionApi<UntypedActor>;

  socket.attach(channel);
  return view(spec.options);
}
