// A connection to one actor. It outlives sockets: it keeps the cursor, the
// subscriptions and the unanswered calls while the socket is replaced.
//
// The status, and the lifecycle event that each change emits. Any number of
// `error` events, and a `stale` after each opened, may come between them. Nothing
// comes after `closed`, unless reconnect() opens again what the server has ended.
//
//   connecting   → connected     opened                             connected
//   connecting   → closed        closed without reconnect           error, closed
//   connected    → disconnected  socket lost, closed with reconnect disconnected {willRetry: true}
//   connected    → disconnected  closed without reconnect           disconnected {willRetry: false}
//   disconnected → closed        right after that                   closed
//   disconnected → connected     opened, replayed, at               reconnected {recovered: true}
//                                opened with a gap, or not resumed  reconnected {recovered: false}
//   disconnected → closed        closed without reconnect           error, closed
//   any          → closed        dispose()                          closed
//   closed       → connecting    reconnect(), never connected
//   closed       → disconnected  reconnect(), connected before
import { backoff } from "./backoff.js";
import { mergeOptions } from "./callOptions.js";
import { createCallQueue } from "./callQueue.js";
import { now, soon } from "./clock.js";
import { createCursor } from "./cursor.js";
import { createEmitter, type Handler } from "./emitter.js";
import { abandonedError, ActorError, asActorError, errorFrom, guarded, retryAfterMs } from "./errors.js";
import type { ClientParts, Target } from "./handle.js";
import { toJSON } from "./json.js";
import { byteLength, checkSize } from "./limits.js";
import { callable } from "./proxy.js";
import type { Channel } from "./socket.js";
import { BACKOFF_MOVED, PREPARE_MS, STABLE_MS } from "./timing.js";
import type {
  Attempt,
  CallOptions,
  ConnectionApi,
  ConnectOptions,
  Disconnected,
  LifecycleEvents,
  ParamsSource,
  Reconnected,
  Stale,
  Status,
  UntypedActor,
} from "./types.js";
import {
  encode,
  encodeCall,
  randomSecret,
  type ChannelMessage,
  type ClientMessage,
  type Gap,
  type Open,
  type Opened,
} from "./wire.js";

/** The names in LifecycleEvents. They are never subscribed to at the server. */
const isLifecycleEvent = (name: string) => /^((dis|re)?connected|stale|error|closed)$/.test(name);

/**
 * Creates a connection, which connects by itself. Throws if no transport works here. ensureCreated creates the actor, if
 * that is needed before the first open; its error ends the connection unless it can be retried.
 */
export function createConnection(
  { socket, random }: ClientParts,
  target: Target,
  ensureCreated: (() => Promise<unknown>) | undefined,
  params: ParamsSource<unknown>,
  options: CallOptions,
  onChange: ConnectOptions["onChange"],
): ConnectionApi<UntypedActor> {
  const k = randomSecret(random);
  const caller = randomSecret(random);
  let status: Status = "connecting";
  let id: string | undefined;
  let actorId: string | undefined;
  /** Tells the server whose connection it was. */
  let owner: string | undefined;
  /** Why the connection is closed; undefined if it is open or disposed. */
  let endError: ActorError | undefined;

  // The channel on the current socket.
  /** 0: there is none. */
  let channelNumber = 0;
  /** The replay is over (the server's `at` has arrived): calls may be sent. */
  let live = false;
  let liveSince = 0;
  /** Events that arrived since the last opened, before its `at`. */
  let replayed = 0;

  // Attempts to open it.
  let attempt = 0;
  let failures = 0;
  let opening: AbortController | undefined;
  /** Runs until the next attempt, or limits what has to be waited for before the open can be sent. */
  let timer: ReturnType<typeof setTimeout> | undefined;
  /** The timer is that of the next attempt. */
  let waiting = false;

  /** What the params function threw last. */
  let paramsError: ActorError | undefined;
  /** The params that were sent last, as JSON. */
  let lastParams = "";
  /** The server's `unauthorized` for lastParams, until other params are accepted. */
  let rejection: ActorError | undefined;

  /** Event names that the present, or the next, channel is subscribed to. */
  let subscribed = new Set<string>();
  let syncQueued = false;
  const emitter = createEmitter(() => {
    if (syncQueued) return;
    syncQueued = true;
    soon(syncSubscriptions);
  });

  /** The only function that changes status. Emits the event that belongs to the change. */
  const setStatus = (next: Status, data?: unknown, event: keyof LifecycleEvents = next as "closed") => {
    status = next;
    notifyOwner(data instanceof ActorError ? data : undefined);
    emitter.emit(event, data);
  };
  const notifyOwner = (error?: ActorError) => guarded(() => onChange?.(status, error));
  const emitError = (error: ActorError) => {
    notifyOwner(error);
    if (!emitter.emit("error", error)) socket.report(error);
  };

  const send = (message: ClientMessage & { c: number }, paced?: boolean) =>
    socket.push(message.c, () => encode(message), paced);

  const listenedEvents = () => new Set(emitter.names().filter((name) => !isLifecycleEvent(name)));

  /** Subscribes to names that got their first listener, and unsubscribes from those that lost their last. */
  const syncSubscriptions = () => {
    syncQueued = false;
    const added = listenedEvents();
    const removed = [...subscribed].filter((name) => !added.delete(name));
    for (const name of removed) subscribed.delete(name);
    if (!channelNumber) return; // the next open, or a sub behind it, has the others
    subscribed = new Set([...subscribed, ...added]);
    if (added.size) send({ t: "sub", c: channelNumber, e: [...added] });
    if (removed.length) send({ t: "unsub", c: channelNumber, e: removed });
  };

  const calls = createCallQueue(socket, (next) =>
    socket.push(channelNumber, () => {
      const call = next();
      return (
        call && encodeCall({ t: "call", c: channelNumber, id: call.id, a: call.action, ...cursor.acks() }, call.args)
      );
    }),
  );
  const cursor = createCursor(calls.ackedId, () => {
    const acks = live ? cursor.acks() : {};
    if (acks.s || acks.ack) send({ t: "ack", c: channelNumber, ...acks });
  });

  /** The params to send now. Throws if they are not JSON, too large, rejected before, or if signal is aborted. */
  const resolveParams = async (signal: AbortSignal) => {
    let value = params;
    if (typeof value === "function") {
      try {
        value = await (value as (a: Attempt) => unknown)({ attempt, signal });
      } catch (cause) {
        throw (paramsError = asActorError("params_failed", "the params function", cause));
      }
    }
    if (signal.aborted) throw signal.reason;
    const text = toJSON("invalid_params", value) ?? "";
    if (rejection && text === lastParams) throw rejection;
    checkSize(socket.limits, "params", byteLength(text));
    lastParams = text;
    return value;
  };

  const open = async () => {
    clearTimeout(timer);
    waiting = false;
    const { signal } = (opening = new AbortController());
    let waitsFor = "the creation of the actor";
    timer = setTimeout(
      () => retryLater(new ActorError("timeout", `${waitsFor} takes over ${PREPARE_MS} ms`)),
      PREPARE_MS,
    );
    attempt++;
    try {
      // Wait a microtask: listeners added right after connect() are in the first open, and get its errors.
      await null;
      if (signal.aborted) return;
      await ensureCreated?.();
      ensureCreated = undefined;
      if (signal.aborted) return;
      waitsFor = "the params function";
      const value = await resolveParams(signal);
      clearTimeout(timer);
      sendOpen(value);
    } catch (cause) {
      if (signal.aborted) return;
      const error = asActorError("internal_error", "the client", cause);
      // The server would refuse the same creation (exists, invalid_input) or the same token again, and what cannot be
      // sent stays so. A params function may know that there is no token any more.
      const retryable =
        error === paramsError
          ? error.code !== "unauthorized"
          : /^(not_sent|maybe_ran|unavailable|overloaded|rate_limited|shutdown|timeout)$/.test(error.code);
      (retryable ? retryLater : end)(error);
    }
  };

  /**
   * Sends the open. If it resumes, it subscribes to the same names as before, from the cursor's position on;
   * names that are new follow in a sub, and start at the present.
   */
  const sendOpen = (value: unknown) => {
    if (!cursor.log()) subscribed = listenedEvents();
    const message: Open = {
      t: "open",
      c: 0xffffffff, // the longest number, for checkSize
      n: 0xffffffff, // the same: channel numbers rise
      ...target,
      params: value,
      subs: subscribed.size ? [...subscribed] : undefined,
      k,
      caller,
      owner,
      ...cursor.resume(),
    };
    // A frame over the limit would close the socket for all connections, again at every attempt.
    checkSize(socket.limits, "message", byteLength(encode(message)));
    channelNumber = message.c = message.n = socket.open(channel);
    send(message, false);
    syncSubscriptions();
  };

  /** Leaves the channel, or stops opening one. Unanswered calls wait for the next one. */
  const leaveChannel = (crashed = false) => {
    if (live && now() - liveSince >= STABLE_MS) failures = 0;
    socket.close(channelNumber);
    opening?.abort();
    clearTimeout(timer);
    waiting = live = false;
    channelNumber = 0;
    cursor.stop();
    calls.suspend(crashed);
  };

  /** Opens a channel on the same socket after the back-off. */
  const retryLater = (error: ActorError) => {
    leaveChannel();
    if (error.code === "moved") failures = Math.min(failures, BACKOFF_MOVED);
    const retryInMs = Math.round(Math.max(retryAfterMs(error), backoff(failures++)));
    waiting = true;
    timer = setTimeout(open, retryInMs);
    reportLoss(error, retryInMs);
  };

  /** Emits that the channel is lost or could not be opened; without retryInMs, there is no other attempt. */
  const reportLoss = (error: ActorError, retryInMs?: number) => {
    if (status !== "connected") return emitError(error);
    setStatus("disconnected", {
      reason: error.code,
      willRetry: retryInMs !== undefined,
      retryInMs,
    } satisfies Disconnected);
  };

  /** Closes the connection: with an error if it was refused, without one if it was disposed. */
  const end = (error?: ActorError) => {
    const wasClosed = status === "closed";
    const c = channelNumber;
    if (!wasClosed) {
      leaveChannel();
      if (c) send({ t: "close", c }, false);
    }
    socket.detach(channel, !!error);
    if (error) {
      reportLoss(error);
      if ((status as Status) === "closed") return; // a listener disposed the connection
    }
    endError = error;
    if (!wasClosed) {
      calls.abandon(error);
      setStatus("closed", error);
    }
    if (!error) emitter.off();
  };

  /** Starts the next attempt now, also after the server has ended the connection. */
  const reconnect = () => {
    if (endError) {
      // A socket keeps the cookies that it was opened with; those of the user may be others now.
      const otherIdentity = /^(unauthorized|forbidden)$/.test(endError.code);
      endError = rejection = undefined;
      status = id ? "disconnected" : "connecting";
      notifyOwner();
      // A listener may have disposed it.
      if ((status as Status) !== "closed") socket.attach(channel, otherIdentity);
    }
    if (status !== "closed") socket.reconnectNow();
  };

  const emitReconnected = (gap?: Gap) => {
    // The calls of one user must not run as another one's.
    if (gap?.reason === "identity") calls.abandon();
    const data: Reconnected = { recovered: !gap, missed: 0, exact: true, ...gap, replayed };
    setStatus("connected", data, "reconnected");
  };

  const onOpened = (m: Opened) => {
    const first = !id;
    const reason = cursor.log() ? "expired" : "destroyed";
    cursor.open(m.log, m.s);
    id = m.connId;
    actorId = m.actorId;
    owner = m.owner;
    attempt = replayed = 0;
    if (first) setStatus("connected");
    else if (m.lost || !m.resumed) emitReconnected(m.lost ?? { missed: 0, exact: false, reason });
    if (socket.stale) emitter.emit("stale", { differs: socket.stale } satisfies Stale);
  };

  const call = (own: CallOptions, action: string, args: readonly unknown[]) =>
    status === "closed" ? Promise.reject(abandonedError(false, "closed", endError)) : calls.add(own, action, args);

  const refresh = async () => {
    const c = channelNumber;
    if (!c) return; // the next open sends new params anyway
    send({ t: "params", c, params: await resolveParams(opening!.signal) });
  };

  const channel: Channel = {
    onUp: open,
    busySince: () => calls.busySince(),
    onDown(error, retryInMs, crashed) {
      leaveChannel(crashed);
      reportLoss(error, retryInMs);
    },
    reconnectNow() {
      if (waiting) void open();
    },
    reopen() {
      if (endError?.code !== "destroyed") reconnect();
    },
    onError: emitError,
    dispose: () => end(),
    receive(m: ChannelMessage) {
      if ("s" in m) cursor.advance(m.s);
      switch (m.t) {
        case "opened":
          onOpened(m);
          break;
        case "event":
          if (!live) replayed++;
          if (!isLifecycleEvent(m.e)) emitter.emit(m.e, m.d);
          break;
        case "reply":
          return calls.answer(m.id, undefined, m.d);
        case "fail":
          return calls.answer(m.id, errorFrom(m));
        case "at":
          if (live) break;
          live = true;
          rejection = undefined;
          liveSince = now();
          if (status === "disconnected") emitReconnected();
          calls.open();
          break;
        case "closed": {
          socket.close(channelNumber);
          channelNumber = 0;
          const error = errorFrom(m);
          if (m.code === "destroyed") {
            calls.abandon(error, m.h);
            cursor.open(); // to resume would end in the same way
          }
          // An expired token is replaced once, if the params function returns another one.
          const replaceToken = m.code === "unauthorized" && typeof params === "function" && !rejection;
          if (replaceToken) rejection = error;
          (replaceToken || m.reconnect ? retryLater : end)(error);
          break;
        }
        case "error":
          emitError(errorFrom(m));
      }
      return false;
    },
  };

  const view = (own: CallOptions): ConnectionApi<UntypedActor> =>
    callable(
      {
        get status() {
          return status;
        },
        get id() {
          return id;
        },
        get actorId() {
          return actorId;
        },
        on: (name: string, handler: Handler) => emitter.on(name, handler),
        once: (name: string, handler: Handler) => emitter.on(name, handler, true),
        off: emitter.off,
        call: (action: string, ...args: unknown[]) => call(own, action, args),
        withOptions: (more: CallOptions) => view(mergeOptions(own, more)),
        refresh,
        reconnect,
        dispose: channel.dispose,
      },
      (action) =>
        (...args: unknown[]) =>
          call(own, action, args),
    ) as unknown as ConnectionApi<UntypedActor>;

  socket.attach(channel);
  return view(options);
}
