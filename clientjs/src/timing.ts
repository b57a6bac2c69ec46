// Times and limits of the client. (Bundlers inline them, because nothing else is in this file.)

/** The first back-off is at most this long; it doubles with every failure, up to BACKOFF_MAX_MS. */
export const BACKOFF_MS = 250;
export const BACKOFF_MAX_MS = 30_000;
/** The back-off does not double more often than this while the actor moves: its next server has it within seconds. */
export const BACKOFF_MOVED = 2;
/** A link or channel that was up for this long counts as good: its next loss resets the back-off. */
export const STABLE_MS = 5_000;

/** How long the server has to say hello on a new link. */
export const HELLO_MS = 10_000;
/** How long the answer to a probe may take, and how often the watchdog looks at the clock to notice a sleep. */
export const PROBE_MS = 2_500;
/** Minimum time between two probes of a link that works. */
export const PROBE_INTERVAL_MS = 15_000;
/** A page that was frozen dials when it wakes up, or at the latest after this time of running. */
export const FROZEN_MS = 30_000;

/** Of what the code for HTTP and the rest of the client call of each other: raise it when that changes. */
export const HTTP_VERSION = 1;
/** A WebSocket that is silent for this long is blocked. */
export const SILENCE_MS = 2_000;
/** A transport that was found to be blocked is not tried first again for this long. */
export const BLOCKED_MS = 300_000;

/** How long the creation of the actor and the params function may take together. */
export const PREPARE_MS = 10_000;
/** How often a connection without calls acknowledges the events that it received. */
export const ACK_MS = 30_000;

/** How many calls may wait to be sent. */
export const MAX_WAITING = 500;
/** Room for the fields of a call message beside its action and arguments, in bytes. */
export const ENVELOPE_BYTES = 128;
/** The largest message of a server with default limits: assumed until the server has said hello. */
export const MESSAGE_BYTES = 65_536;
/** A link that ends this soon after a call was sent on it may have been ended by that call … */
export const CRASH_MS = 1_000;
/** … and after this many of them, one after the other, the call is not sent again. */
export const CRASHES = 3;
/**
 * After a call was answered, the next task waits for this many microtasks, so that code behind
 * `await connection.call(…)` runs before a later event is dispatched. A direct await takes one,
 * each async function around it up to three.
 */
export const SETTLE_TICKS = 8;
