// The one socket of a client: it carries the channels of all connections, keeps
// itself alive and under the server's limits, and comes back when it is lost.
import { backoff, STABLE_MS } from "./backoff.js";
import { difference, type Contract } from "./contract.js";
import { ActorError, errorFrom, retryAfterMs } from "./errors.js";
import { createHeartbeat } from "./heartbeat.js";
import { createInbox } from "./inbox.js";
import type { Limits } from "./limits.js";
import { createOutbox } from "./outbox.js";
import { listenToPage } from "./pageEvents.js";
import type { Link, Transport } from "./transport/websocket.js";
import { decode, encode, frame, type ChannelMessage, type Hello, type ServerMessage } from "./wire.js";

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
  /** Ends the connection. */
  dispose(): void;
}

/** The one socket of a client. */
export interface Socket {
  /** The limits of the server; undefined before its hello. */
  readonly limits: Limits | undefined;
  /** What differs between the contracts of client and server, undefined if nothing does. */
  readonly stale: readonly string[] | undefined;
  /** Keeps the socket for a connection, opens it if need be. Throws if no socket can be had here. */
  attach(channel: Channel): void;
  /** The connection is over. The socket closes some time after the last one. */
  detach(channel: Channel): void;
  /** Ends all connections, sends what waits and closes the link. The next attach opens it again. */
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
  let byeMs: number | undefined;
  let refusal: ActorError | undefined;
  let failures = 0;
  /** Until then, the server does not want to see this client again. */
  let notBefore = 0;

  /** Waits to dial, or to let go of an unused link. */
  let pause: ReturnType<typeof setTimeout> | undefined;

  let stopListening: (() => void) | undefined;

  const inbox = createInbox();

  const dial = () => {
    clearTimeout(pause);
    pause = undefined;
    const mine = ++epoch;
    useful = false;
    byeMs = refusal = undefined;
    heartbeat.start();
    const push = (task: () => boolean | void) => inbox.push(() => mine === epoch && task());
    const end = (why: string) => {
      push(() => lost(why));
      // It may come before the link is there, and before those who asked for it listen.
      if (link) inbox.process();
      else queueMicrotask(inbox.process);
    };
    try {
      link = open!(base(), {
        frame(text) {
          if (mine !== epoch) return;
          let beat = false;
          try {
            for (const message of decode(text)) {
              if (message.t === "beat") beat = true;
              else push(() => handle(message));
            }
          } catch (error) {
            push(() => lost(`invalid frame: ${error}`, "protocol"));
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

  /** Tells the channels, except those that a listener of an earlier one has let go of. */
  const each = (tell: (channel: Channel) => void) => {
    for (const channel of [...attached]) if (attached.has(channel)) tell(channel);
  };

  /** Lets go of the link and of everything that belongs to it. */
  const drop = () => {
    epoch++;
    link?.close();
    link = hello = undefined;
    outbox.reset();
    channels.clear();
    heartbeat.stop();
    clearTimeout(pause);
    pause = undefined;
    if (attached.size) return;
    stopListening?.();
    stopListening = undefined;
  };

  const lost = (why: string, code = byeMs === undefined ? "link" : "shutdown") => {
    // A link that carried a connection, but not for long, keeps the back-off under half a second.
    if (!useful) failures ||= 1;
    else failures = performance.now() - upAt >= STABLE_MS ? 0 : Math.min(failures, 2);
    // A server that goes away for good reasons spreads its clients itself.
    const retryInMs = Math.round(
      Math.max(notBefore - performance.now(), (byeMs ?? Math.random() * (hello?.spreadMs ?? 0)) + (failures ? backoff(failures - 1) : 0)),
    );
    failures++;
    const error = new ActorError(
      refusal?.code ?? code,
      `${refusal?.message ?? why}; trying ${base()} again in ${retryInMs} ms`,
      { ...(refusal?.metadata as object), retryInMs },
    );
    drop();
    if (!attached.size) return;
    pause = setTimeout(dial, retryInMs);
    each((channel) => channel.down(error, retryInMs));
  };

  const handle = (message: ServerMessage): boolean | void => {
    if (message.t === "hello") {
      hello = message;
      upAt = performance.now();
      outbox.reset(hello.limits);
      stale = difference(contract, hello);
      if (stale?.[0]) console.warn(`the server has another contract: ${stale.join(", ")}`);
      heartbeat.start(hello);
      each((channel) => channel.up());
    } else if (message.c !== undefined) {
      useful = true;
      return channels.get(message.c)?.receive(message);
    } else if (message.t === "bye") {
      byeMs = message.delayMs;
    } else if (message.t === "error") {
      const error = errorFrom(message);
      notBefore = performance.now() + retryAfterMs(error);
      if (hello) each((channel) => channel.trouble(error));
      else refusal = error; // the end that follows tells it
    }
  };

  const transmit = (text: string) => {
    heartbeat.sent();
    try {
      link?.send(text);
    } catch {
      // The link is closing: its end is on the way, and calls are sent again after it.
    }
  };

  const outbox = createOutbox(transmit);
  const heartbeat = createHeartbeat(transmit, (why) => lost(why));

  const hurry = () => {
    if (pause && !link && performance.now() >= notBefore) dial();
    each((channel) => channel.hurry());
  };

  const onWake = () => {
    hurry();
    heartbeat.probe();
  };
  /** The connections are over, not dropped. */
  const onUnload = () => {
    outbox.flush();
    if (channels.size) transmit(frame([...channels.keys()].map((c) => encode({ t: "close", c }))));
  };

  const socket: Socket = {
    get stale() {
      return stale;
    },
    get limits() {
      return outbox.limits;
    },
    attach(channel) {
      open ??= transport();
      base();
      attached.add(channel);
      stopListening ??= listenToPage(onWake, heartbeat.offline, onUnload);
      if (link) {
        clearTimeout(pause);
        pause = undefined;
        if (hello) channel.up();
      } else if (!pause) {
        if (performance.now() < notBefore) pause = setTimeout(dial, notBefore - performance.now());
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
      each((channel) => channel.dispose());
      if (attached.size) return; // a listener connected again
      outbox.flush();
      drop();
    },
    hurry,
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
      if (reported.has(error.code)) return;
      reported.add(error.code);
      console.error(error);
    },
  };
  return socket;
}
