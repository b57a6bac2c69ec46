// The one socket of a client. It carries the channels of all connections, keeps
// itself alive, stays under the server's limits, and reconnects when it is lost.
import { backoff } from "./backoff.js";
import { now, soon } from "./clock.js";
import { compareContracts, type Contract } from "./contract.js";
import { ActorError, errorFrom, retryAfterMs } from "./errors.js";
import { createHeartbeat } from "./heartbeat.js";
import { createInbox } from "./inbox.js";
import type { Limits } from "./limits.js";
import { createOutbox } from "./outbox.js";
import { listenToPage } from "./pageEvents.js";
import { FROZEN_MS, STABLE_MS } from "./timing.js";
import type { Link, Transport } from "./transport/websocket.js";
import { decodeFrame, encode, encodeFrame, type ChannelMessage, type Hello, type ServerMessage } from "./wire.js";

/** What a socket needs from a connection. */
export interface Channel {
  /** The socket is up: open the channel. */
  onUp(): void;
  /**
   * The socket is lost, or could not be opened. The next attempt starts in retryInMs. crashed: the server may have died
   * of the first call of this connection that has no answer.
   */
  onDown(error: ActorError, retryInMs: number, crashed: boolean): void;
  /** When the first of its calls that have no answer was sent on this link; Infinity if there is none. */
  busySince(): number;
  /** If the connection waits for its next attempt, that starts now. */
  reconnectNow(): void;
  /** Opens the connection again, which the server has ended. */
  reopen(): void;
  /** Handles a message; returns true if it answered a call. */
  receive(message: ChannelMessage): boolean;
  /** The server reported an error that concerns the whole socket. */
  onError(error: ActorError): void;
  /** Ends the connection. */
  dispose(): void;
}

/** The one socket of a client. */
export interface Socket {
  /** The server's limits; undefined before its hello. */
  readonly limits: Limits | undefined;
  /** What differs between the client's contract and the server's; undefined if nothing does. */
  readonly stale: readonly string[] | undefined;
  /**
   * Keeps the socket open for a connection, and opens it if necessary. newLink: the link on which the server ended the
   * connection must be replaced, unless it was for another one. Throws if no transport works here.
   */
  attach(channel: Channel, newLink?: boolean): void;
  /** The connection is over; canReopen: until reconnect. The socket closes idleMs after the last one. */
  detach(channel: Channel, canReopen: boolean): void;
  /** Ends all connections, sends what is queued and closes the link. The next attach opens it again. */
  dispose(): void;
  /** Starts the next attempt now, for the socket and for every connection that waits for one. */
  reconnectNow(): void;
  /** The same, and opens the connections again that the server has ended. */
  reconnect(): void;
  /** Returns a channel number that was not used before. */
  open(channel: Channel): number;
  /** Forgets a channel number. Messages that still arrive for it or wait to be sent are dropped. */
  close(number: number): void;
  /** Queues a message of channel c; see Outbox. */
  push(c: number, encode: () => string | undefined, paced?: boolean): void;
  /** Logs an error that no listener handled; once per code. */
  report(error: ActorError): void;
}

/** Creates the socket of a client. createTransport and base are called at the first attach. */
export function createSocket(
  createTransport: () => Transport,
  base: () => string,
  idleMs: number,
  contract: Contract,
): Socket {
  /** The connections that keep the socket open. */
  const attached = new Set<Channel>();
  /** The connections that the server has ended, with the epoch of that. */
  const ended = new Map<Channel, number>();
  /** Open channels by number. */
  const channels = new Map<number, Channel>();
  let transport: Transport | undefined;
  let lastNumber = 0;

  // The link. Whatever an older epoch's link still delivers is ignored.
  let epoch = 0;
  /** When a link was last replaced because of who the user is; connections that ended before need no other one. */
  let replacedAt = 0;
  let link: Link | undefined;
  let hello: Hello | undefined;
  let stale: string[] | undefined;
  let openedAt = 0;
  /** The link delivered a message for a channel. */
  let carriedTraffic = false;
  /** The link delivered the answer to a call. */
  let answered = false;
  /** The delay that the server asked for in its bye. */
  let byeMs: number | undefined;
  /** Why the server refused the link, if it said so before hello. */
  let refusal: ActorError | undefined;
  let failures = 0;
  /** The server asked not to be contacted before this time. */
  let notBefore = 0;
  /** Runs until the next attempt, or until an unused link is closed. */
  let linkTimer: ReturnType<typeof setTimeout> | undefined;
  let stopListening: (() => void) | undefined;
  const inbox = createInbox();

  const stopLinkTimer = () => {
    clearTimeout(linkTimer);
    linkTimer = undefined;
  };

  const dial = () => {
    stopLinkTimer();
    const dialEpoch = ++epoch;
    carriedTraffic = answered = false;
    byeMs = refusal = undefined;
    heartbeat.start();
    const push = (task: () => boolean | void) => inbox.push(() => dialEpoch === epoch && task());
    const end = (why: string) => {
      push(() => onLost(why));
      // A transport may fail before it returns a link, and before the caller of connect() has added listeners.
      if (link) inbox.process();
      else soon(inbox.process);
    };
    try {
      link = transport!(base(), {
        frame(text) {
          if (dialEpoch !== epoch) return;
          let beat = false;
          try {
            for (const message of decodeFrame(text)) {
              if (message.t === "beat") beat = true;
              else push(() => handle(message));
            }
          } catch (error) {
            push(() => onLost(`invalid frame: ${error}`, "protocol"));
          }
          heartbeat.received(beat);
          inbox.process();
        },
        end,
      });
    } catch (error) {
      end(String(error));
    }
  };

  /** Calls fn for every connection, except those that a listener of an earlier one disposed. */
  const forEachAttached = (fn: (channel: Channel) => void) => {
    for (const channel of [...attached]) if (attached.has(channel)) fn(channel);
  };

  /** Closes the link and drops everything that belongs to it. */
  const closeLink = () => {
    epoch++;
    link?.close();
    link = hello = undefined;
    outbox.reset();
    channels.clear();
    heartbeat.stop();
    stopLinkTimer();
    if (attached.size) return;
    stopListening?.();
    stopListening = undefined;
  };

  /** Sends what is queued and closes the link, if no connection needs it: a listener may have connected again. */
  const closeIdle = () => {
    if (attached.size) return;
    outbox.flush();
    closeLink();
  };

  /** The link ended. ownMs: the client did that itself, and dials again after that time. */
  const onLost = (why: string, code = byeMs === undefined ? "link" : "shutdown", ownMs?: number) => {
    // If the server died of a call, then probably of the one that it has had for the longest time.
    const [suspect] = [...attached].sort((a, b) => a.busySince() - b.busySince());
    // A link that carried traffic, but not for long, keeps the back-off under half a second. If calls got no answer,
    // the server may have died of one: then the back-off doubles as usual.
    if (!carriedTraffic) failures ||= 1;
    else if (now() - openedAt >= STABLE_MS) failures = 0;
    else if (answered || !suspect || suspect.busySince() === Infinity) failures = Math.min(failures, 2);
    // A server that shuts down spreads its clients itself.
    const retryInMs = Math.round(
      Math.max(
        notBefore - now(),
        ownMs ?? (byeMs ?? Math.random() * (hello?.spreadMs ?? 0)) + (failures ? backoff(failures - 1) : 0),
      ),
    );
    failures++;
    const error = new ActorError(
      refusal?.code ?? code,
      `${refusal?.message ?? why}; trying ${base()} again in ${retryInMs} ms`,
      { ...(refusal?.metadata as object), retryInMs },
    );
    closeLink();
    if (!attached.size) return;
    linkTimer = setTimeout(dial, retryInMs);
    const crashed = code === "link" && ownMs === undefined && suspect;
    forEachAttached((channel) => channel.onDown(error, retryInMs, channel === crashed));
  };

  const handle = (message: ServerMessage): boolean | void => {
    if (message.t === "hello") {
      hello = message;
      openedAt = now();
      outbox.reset(hello.limits);
      stale = compareContracts(contract, hello);
      if (stale?.[0]) console.warn(`stale contract: ${stale.join(", ")}`);
      heartbeat.start(hello);
      forEachAttached((channel) => channel.onUp());
    } else if (message.c) {
      carriedTraffic = true;
      if (!channels.get(message.c)?.receive(message)) return;
      return (answered = true);
    } else if (message.t === "bye") {
      byeMs = message.delayMs;
    } else if (message.t === "error") {
      const error = errorFrom(message);
      notBefore = now() + retryAfterMs(error);
      if (hello) forEachAttached((channel) => channel.onError(error));
      else refusal = error; // the link ends next, and onLost reports it
    }
  };

  const transmit = (frame: string) => {
    heartbeat.sent();
    try {
      link?.send(frame);
    } catch {
      // The link is closing. Its end follows, and unanswered calls are sent again after it.
    }
  };

  const outbox = createOutbox(transmit);
  const heartbeat = createHeartbeat(transmit, (why) => onLost(why + (link?.failures ? `; ${link.failures}` : "")));

  const reconnectNow = () => {
    if (linkTimer && !link && now() >= notBefore) dial();
    forEachAttached((channel) => channel.reconnectNow());
  };

  const onWake = () => {
    reconnectNow();
    heartbeat.probe();
  };

  /** The page stops running, maybe for long: closes the link, which would look alive, and dials when it runs again. */
  const onFreeze = () => {
    if (!link) return;
    outbox.flush();
    onLost("the page froze", "link", FROZEN_MS);
  };

  /** Closes the channels, so that the server does not wait for the connections to resume. */
  const onUnload = () => {
    outbox.flush();
    if (channels.size) transmit(encodeFrame([...channels.keys()].map((c) => encode({ t: "close", c }))));
  };

  /** Each code is logged once; that an actor has moved, never: the next attempt finds it. */
  const reportedCodes = new Set(["moved"]);
  const socket: Socket = {
    get stale() {
      return stale;
    },
    get limits() {
      return outbox.limits;
    },
    attach(channel, newLink) {
      if (newLink && ended.get(channel)! >= replacedAt) {
        // A link without a hello is a new one.
        if (hello) onLost("replaced", "link", 0);
        replacedAt = epoch;
        if (!ended.has(channel)) return; // a listener disposed it
      }
      transport ??= createTransport();
      base();
      attached.add(channel);
      ended.delete(channel);
      stopListening ??= listenToPage(onWake, heartbeat.offline, onFreeze, onUnload);
      if (link) {
        stopLinkTimer();
        if (hello) channel.onUp();
      } else if (!linkTimer) {
        linkTimer = setTimeout(dial, Math.max(notBefore - now(), 0));
        reconnectNow(); // unless it is too early
      }
    },
    detach(channel, canReopen) {
      if (canReopen) ended.set(channel, epoch);
      else ended.delete(channel);
      if (!attached.delete(channel) || attached.size) return;
      stopLinkTimer();
      if (link) linkTimer = setTimeout(closeIdle, idleMs);
      else closeIdle();
    },
    dispose() {
      for (const channel of [...ended.keys(), ...attached]) channel.dispose();
      closeIdle();
    },
    reconnectNow,
    reconnect() {
      for (const channel of [...ended.keys()]) channel.reopen();
      reconnectNow();
    },
    open(channel) {
      channels.set(++lastNumber, channel);
      return lastNumber;
    },
    close(number) {
      channels.delete(number);
      outbox.remove(number);
    },
    push: outbox.push,
    report(error) {
      if (reportedCodes.has(error.code)) return;
      reportedCodes.add(error.code);
      console.error(error);
    },
  };
  return socket;
}
