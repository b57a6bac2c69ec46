// Keeps a link alive, and finds out when it is dead.
//
// On a working link, both sides receive a frame at least every deadMs. After a sleep or
// a change of network the link may have died unnoticed, so the client probes it: the
// server answers a probe at once.
import { now } from "./clock.js";
import { HELLO_MS, PROBE_INTERVAL_MS, PROBE_MS } from "./timing.js";
import { encode, type Hello } from "./wire.js";

/** Watches one link at a time. */
export interface Heartbeat {
  /** A link is being opened, or, with a hello, is open: from now on the server's intervals count. */
  start(hello?: Hello): void;
  /** The link is gone. */
  stop(): void;
  /** A frame arrived; beat says that it holds a heartbeat, which is answered. */
  received(beat: boolean): void;
  /** A frame was sent. */
  sent(): void;
  /** Probes the link, unless it was probed a short while ago; force probes it anyway. */
  probe(force?: boolean): void;
  /** The network is gone: probes now, and again as soon as there is another one. */
  offline(): void;
}

/** Creates a heartbeat; send transmits a frame, onTimeout is called once when the link is dead. */
export function createHeartbeat(send: (frame: string) => void, onTimeout: (why: string) => void): Heartbeat {
  let hello: Hello | undefined;
  let lastReceived = 0;
  let lastSent = 0;
  /** When the answer to the probe on its way is due; 0 if there is none. */
  let probeDue = 0;
  let nextProbe = 0;
  let watchdog: ReturnType<typeof setTimeout> | undefined;

  const watch = () => {
    clearTimeout(watchdog);
    const left = () => Math.min(lastReceived + (hello?.deadMs ?? HELLO_MS), probeDue || Infinity) - now();
    const wall = Date.now();
    watchdog = setTimeout(
      () => {
        const seen = lastReceived;
        // After a sleep, frames that arrived meanwhile are still to be read.
        if (hello && Date.now() - wall > 2 * PROBE_MS) probe(true);
        else if (left() > 0) watch();
        else {
          // A late timer may run before frames that have already arrived: let those be read first.
          watchdog = setTimeout(() =>
            seen === lastReceived ? onTimeout(`nothing received for ${Math.round(now() - seen)} ms`) : watch(),
          );
        }
      },
      Math.min(left(), PROBE_MS),
    );
  };

  const probe = (force = false) => {
    if (!hello || (!force && (probeDue || now() < nextProbe))) return;
    probeDue = now() + PROBE_MS;
    nextProbe = now() + PROBE_INTERVAL_MS;
    send(encode({ t: "beat", probe: true }));
    watch();
  };

  return {
    start(message) {
      hello = message;
      lastReceived = now();
      probeDue = nextProbe = 0;
      watch();
    },
    stop() {
      hello = undefined;
      clearTimeout(watchdog);
    },
    received(beat) {
      lastReceived = now();
      probeDue = 0;
      // Sent from here and not from a timer, because timers of hidden tabs are late. Half of
      // beatMs keeps the gap under deadMs even if the server never falls silent.
      if (hello && (beat || lastReceived - lastSent > hello.beatMs / 2)) send(encode({ t: "beat" }));
    },
    sent() {
      lastSent = now();
    },
    probe,
    offline() {
      probe(true);
      nextProbe = 0;
    },
  };
}
