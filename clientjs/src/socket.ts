// The one socket of a client: it carries the channels of all connections, keeps
// itself alive and under the server's limits, and comes back when it is lost.
import { backoff, STABLE_MS } from "./backoff.js";
import { difference, type Contract } from "./contract.js";
import { ActorError, reportUncaught } from "./errors.js";
import { byteLength, createBucket, DEFAULT_LIMITS, type Limits } from "./limits.js";
import type { Link, Transport } from "./transport/websocket.js";
import { decode, encode, frame, type ChannelMessage, type Hello, type ServerMessage } from "./wire.js";

/** Without a hello for so long, an attempt to open the socket has failed. */
const HELLO_MS = 10_000;
/** How long the answer to a probe may take; how often the clock is looked at, to see that the machine slept. */
const PROBE_MS = 2_500;
/** A link that works is probed at most so often. */
const PROBE_EVERY_MS = 15_000;
/**
 * After a call was answered, the rest of what came waits for so many microtasks,
 * so that code behind `await connection.call(…)` runs before a later event is
 * dispatched. A direct await takes one, each async function around it up to three.
 */
const SETTLE_TICKS = 8;

const now = () => performance.now();

/** What a socket needs of a connection. */
export interface Channel {
  /** The socket is up: open on it. */
  up(): void;
  /** The socket is gone, or could not be opened; the next attempt comes in retryInMs. */
  down(error: ActorError, retryInMs: number): void;
  /** Whoever waits for the next attempt makes it now. */
  hurry(): void;
  /** A message came; true if that answered a call. */
  receive(message: ChannelMessage): boolean;
  /** The server reports something about the socket as a whole. */
  trouble(error: ActorError): void;
}

/** The one socket of a client. */
export interface Socket {
  /** What the server told, or the defaults. */
  readonly limits: Limits;
  /** What differs between the contracts of client and server, undefined if nothing does. */
  readonly stale: readonly string[] | undefined;
  /** Keeps the socket for a connection, opens it if need be. Throws if no socket can be had here. */
  attach(channel: Channel): void;
  /** The connection is over. The socket closes some time after the last one. */
  detach(channel: Channel): void;
  /**
   * Sends what waits and closes the link at once, unless it is in use; the next
   * attach opens it again.
   */
  dispose(): void;
  /** The next attempt, of the socket or a channel, comes now. */
  hurry(): void;
  /** A channel number that was not used before. */
  open(channel: Channel): number;
  /** Forgets a channel number: what still comes for it, or waits to be sent on it, is dropped. */
  close(number: number): void;
  /**
   * Sends a message of channel c with the others of this microtask. It is encoded
   * when its turn has come; undefined means that there is nothing to send any more.
   * One that is not paced waits for no token, nor behind those that do.
   */
  push(c: number, encoded: () => string | undefined, paced?: boolean): void;
  /** Reports an error that no listener took; once per code. */
  report(error: ActorError): void;
}

/** Creates the socket of a client; transport and base are asked for at the first use. */
export function createSocket(transport: () => Transport, base: () => string, idleMs: number, contract: Contract): Socket {
  const attached = new Set<Channel>();
  const channels = new Map<number, Channel>();
  const reported = new Set<string>();

  let open: Transport | undefined;
  let lastNumber = 0;

  // The link. A new epoch makes all that an earlier link still says void.
  let epoch = 0;
  let link: Link | undefined;
  let hello: Hello | undefined;
  let stale: string[] | undefined;
  let upAt = 0;
  let useful = false;
  let lastReceived = 0;
  let lastSent = 0;
  let probeDue = 0;
  let nextProbe = 0;
  let byeMs: number | undefined;
  let refusal: ActorError | undefined;
  let failures = 0;
  /** Until then, the server does not want to see this client again. */
  let notBefore = 0;

  // Timers: waiting to dial or to let go of an unused link, judging the link, waiting for a token.
  let pause: ReturnType<typeof setTimeout> | undefined;
  let watchdog: ReturnType<typeof setTimeout> | undefined;
  let refill: ReturnType<typeof setTimeout> | undefined;

  // What waits to be sent, and what came but was not handled.
  let outbox: Array<{ c: number; encoded: () => string | undefined; paced: boolean }> = [];
  let flushing = false;
  let bucket = createBucket(DEFAULT_LIMITS, now);
  const inbox: Array<{ epoch: number; message?: ServerMessage; end?: string; code?: string }> = [];
  let draining = false;

  const dial = () => {
    clearTimeout(pause);
    pause = undefined;
    const mine = ++epoch;
    lastReceived = now();
    useful = false;
    byeMs = refusal = undefined;
    probeDue = nextProbe = 0;
    watch();
    const end = (why: string) => {
      inbox.push({ epoch: mine, end: why });
      // It may come before the link is there, and before those who asked for it listen.
      if (link) void drain();
      else queueMicrotask(drain);
    };
    try {
      link = open!(base(), {
        frame(text) {
          if (mine === epoch) received(text);
        },
        end,
      });
    } catch (error) {
      end(String(error));
    }
  };

  /** Tells the channels, except those that a listener of an earlier one has let go of. */
  const each = (tell: (channel: Channel) => void) => {
    for (const channel of [...attached]) if (attached.has(channel)) tell(channel);
  };

  /** Lets go of the link and of everything that belongs to it. */
  const drop = () => {
    epoch++;
    link?.close();
    link = hello = undefined;
    outbox = [];
    channels.clear();
    clearTimeout(watchdog);
    clearTimeout(refill);
    clearTimeout(pause);
    refill = pause = undefined;
  };

  const lost = (why: string, code = byeMs === undefined ? "link" : "shutdown") => {
    const wasUp = hello;
    // A link that carried a connection, but not for long, keeps the back-off under half a second.
    if (!useful) failures ||= 1;
    else failures = now() - upAt >= STABLE_MS ? 0 : Math.min(failures, 2);
    // A server that goes away for good reasons spreads its clients itself.
    const retryInMs = Math.round(
      Math.max(notBefore - now(), (byeMs ?? Math.random() * (wasUp?.spreadMs ?? 0)) + (failures ? backoff(failures - 1) : 0)),
    );
    failures++;
    const error = new ActorError(
      refusal?.code ?? code,
      `${refusal?.message ?? why}; trying ${base()} again in ${retryInMs} ms`,
      { ...(refusal?.metadata as object), retryInMs },
    );
    drop();
    if (!attached.size) return listen(false);
    pause = setTimeout(dial, retryInMs);
    each((channel) => channel.down(error, retryInMs));
  };

  /** Judges the link when nothing came for too long, but not before what waits behind this timer was read. */
  const watch = () => {
    clearTimeout(watchdog);
    const left = () => Math.min(lastReceived + (hello?.deadMs ?? HELLO_MS), probeDue || Infinity) - now();
    const wall = Date.now();
    watchdog = setTimeout(
      () => {
        const seen = lastReceived;
        // After a sleep, what came meanwhile, if anything did, is still to be read.
        if (hello && Date.now() - wall > 2 * PROBE_MS) probe(true);
        else if (left() > 0) watch();
        else {
          watchdog = setTimeout(() =>
            seen === lastReceived ? lost(`nothing came for ${Math.round(now() - seen)} ms`) : watch(),
          );
        }
      },
      Math.min(left(), PROBE_MS),
    );
  };

  /** Asks for a sign of life where the link may have died unnoticed; soon after another one only if there is news. */
  const probe = (news = false) => {
    if (!hello || (!news && (probeDue || now() < nextProbe))) return;
    probeDue = now() + PROBE_MS;
    nextProbe = now() + PROBE_EVERY_MS;
    transmit(encode({ t: "beat", probe: true }));
    watch();
  };

  const received = (text: string) => {
    lastReceived = now();
    probeDue = 0;
    try {
      for (const message of decode(text)) {
        if (message.t === "beat") lastSent = -Infinity;
        else inbox.push({ epoch, message });
      }
    } catch (error) {
      inbox.push({ epoch, end: `not understood: ${error}`, code: "protocol" });
    }
    // From here and not from a timer, because timers of hidden tabs are late. Half
    // of beatMs keeps the gap under deadMs also if the server never falls silent.
    if (hello && lastReceived - lastSent > hello.beatMs / 2) transmit(encode({ t: "beat" }));
    void drain();
  };

  /** Handles what came, in order; one loop at a time. */
  const drain = async () => {
    if (draining) return;
    draining = true;
    for (const item of inbox) {
      try {
        if (item.epoch !== epoch) continue;
        if (item.end !== undefined) lost(item.end, item.code);
        else if (handle(item.message!)) for (let i = 0; i < SETTLE_TICKS; i++) await null;
      } catch (error) {
        reportUncaught(error);
      }
    }
    inbox.length = 0;
    draining = false;
  };

  const handle = (message: ServerMessage): boolean | void => {
    if (message.t === "hello") {
      hello = message;
      upAt = now();
      bucket = createBucket(hello.limits, now);
      stale = difference(contract, hello);
      if (stale?.[0]) console.warn(`stale: the server differs in ${stale.join(", ")}`);
      watch();
      each((channel) => channel.up());
    } else if (message.c !== undefined) {
      useful = true;
      return channels.get(message.c)?.receive(message);
    } else if (message.t === "bye") {
      byeMs = message.delayMs;
    } else if (message.t === "error") {
      const error = new ActorError(message.code, message.message, message.metadata);
      notBefore = now() + ((message.metadata as { retryAfterMs?: number } | undefined)?.retryAfterMs ?? 0);
      if (hello) each((channel) => channel.trouble(error));
      else refusal = error; // the end that follows tells it
    }
  };

  const transmit = (text: string) => {
    lastSent = now();
    try {
      link?.send(text);
    } catch {
      // The link is closing: its end is on the way, and calls are sent again after it.
    }
  };

  const flush = () => {
    flushing = false;
    let batch: string[] = [];
    let size = 2;
    const send = () => {
      if (batch.length) transmit(frame(batch));
      batch = [];
      size = 2;
    };
    while (outbox[0]) {
      if (outbox[0].paced) {
        const wait = refill ? 0 : bucket.take();
        if (wait) {
          refill = setTimeout(() => {
            refill = undefined;
            flush();
          }, Math.ceil(wait));
        }
        if (refill) break;
      }
      const text = outbox.shift()!.encoded();
      if (!text) continue;
      const bytes = byteLength(text) + 1;
      if (size + bytes > socket.limits.frame) send();
      batch.push(text);
      size += bytes;
    }
    send();
  };

  const hurry = () => {
    if (pause && !link && now() >= notBefore) dial();
    each((channel) => channel.hurry());
  };
  const onWake = () => {
    if (typeof document !== "undefined" && document.hidden) return;
    hurry();
    probe();
  };
  const onOffline = () => {
    probe(true);
    nextProbe = 0; // it is another network that one is online in next
  };
  /** The page goes away for good: the connections are over, not dropped. */
  const onHide = (event: Event) => {
    if ((event as PageTransitionEvent).persisted) return;
    flush();
    if (channels.size) transmit(frame([...channels.keys()].map((c) => encode({ t: "close", c }))));
  };

  let listening = false;
  const listen = (on: boolean) => {
    if (on === listening || typeof addEventListener !== "function") return;
    listening = on;
    const change = (target: EventTarget, name: string, handler: (event: Event) => void) =>
      on ? target.addEventListener(name, handler) : target.removeEventListener(name, handler);
    const page = globalThis as unknown as EventTarget;
    for (const name of ["online", "pageshow"]) change(page, name, onWake);
    change(page, "offline", onOffline);
    change(page, "pagehide", onHide);
    if (typeof document !== "undefined") for (const name of ["visibilitychange", "resume"]) change(document, name, onWake);
  };

  const socket: Socket = {
    get stale() {
      return stale;
    },
    get limits() {
      return hello?.limits ?? DEFAULT_LIMITS;
    },
    attach(channel) {
      open ??= transport();
      base();
      attached.add(channel);
      listen(true);
      if (link) {
        clearTimeout(pause);
        pause = undefined;
        if (hello) channel.up();
      } else if (!pause) {
        if (now() < notBefore) pause = setTimeout(dial, notBefore - now());
        else dial();
      }
    },
    detach(channel) {
      if (!attached.delete(channel) || attached.size) return;
      clearTimeout(pause);
      if (link) pause = setTimeout(socket.dispose, idleMs);
      else socket.dispose();
    },
    dispose() {
      if (attached.size) return;
      flush();
      drop();
      listen(false);
    },
    hurry,
    open(channel) {
      channels.set(++lastNumber, channel);
      return lastNumber;
    },
    close(number) {
      channels.delete(number);
      outbox = outbox.filter(({ c }) => c !== number);
    },
    push(c, encoded, paced = true) {
      const at = paced ? -1 : outbox.findIndex((other) => other.paced);
      outbox.splice(at < 0 ? outbox.length : at, 0, { c, encoded, paced });
      if (flushing) return;
      flushing = true;
      queueMicrotask(flush);
    },
    report(error) {
      if (reported.has(error.code)) return;
      reported.add(error.code);
      console.error(error);
    },
  };
  return socket;
}
