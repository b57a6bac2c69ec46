// The calls of a connection that have no answer yet. A call waits, is sent, and
// may be sent again on the next link, under the same id, until it is answered or
// given up. Calls are sent in the order of their ids.
import { watchOptions } from "./callOptions.js";
import { now } from "./clock.js";
import { abandonedError, ActorError } from "./errors.js";
import { toJSON } from "./json.js";
import { byteLength, checkSize, type Limits } from "./limits.js";
import { CRASH_MS, CRASHES, ENVELOPE_BYTES, MAX_WAITING } from "./timing.js";
import type { CallOptions } from "./types.js";

/** A call without an answer. */
export interface Call {
  id: number;
  action: string;
  /** The arguments as JSON, as they were when the action was called. */
  args: string;
  size: number;
  /** It was handed to a link at least once, so it may have run. */
  sent: boolean;
  /** The number of links, one after the other, that ended soon after it was sent. */
  crashes: number;
  settle(error: ActorError | undefined, result?: unknown): void;
}

/** The unanswered calls of one connection. */
export interface CallQueue {
  /** The highest call id up to which every call was answered or given up. */
  ackedId(): number;
  /** Queues a call; the promise settles with its answer, or with the error why it was given up. */
  add(options: CallOptions, action: string, args: readonly unknown[]): Promise<unknown>;
  /** When the first call without an answer was sent on the present link; Infinity if there is none. */
  busySince(): number;
  /** The channel is open: sends the waiting calls, as far as the limit on calls in flight allows. */
  open(): void;
  /**
   * The channel is gone: unanswered calls wait for the next one. An actor runs the calls of a connection in order, so
   * if the server died of one, it was the first without an answer. crashed says that the link ended unexpectedly, and
   * that no other connection is suspected; a call to which that happens again and again is given up.
   */
  suspend(crashed: boolean): void;
  /** Settles a call with the server's answer; false if it was given up before. */
  answer(id: number, error: ActorError | undefined, result?: unknown): boolean;
  /**
   * Gives up all calls, because the connection is closed, or is another one now. If the highest id of a call that ran is
   * known, those up to it fail with `ran` and the others, which will not run, with cause.
   */
  abandon(cause?: ActorError, highest?: number): void;
}

/**
 * Creates the queue of a connection. send hands a call to the link; the function it gets is called when
 * the message is about to be sent, and returns undefined if the call was given up meanwhile.
 */
export function createCallQueue(
  link: { readonly limits: Limits | undefined },
  send: (next: () => Call | undefined) => void,
): CallQueue {
  /** By id, in ascending order. */
  const calls = new Map<number, Call>();
  /** Ids of the calls that the present link carries, with the time when each was sent; 0 before that. */
  const inFlight = new Map<number, number>();
  let lastId = 0;
  let isOpen = false;

  const sendWaiting = () => {
    for (const call of calls.values()) {
      if (!isOpen || inFlight.size >= link.limits!.inFlight) return;
      if (inFlight.has(call.id)) continue;
      inFlight.set(call.id, 0);
      send(() => {
        try {
          // The limit was a guess before the socket's hello, and may have changed since.
          checkSize(link.limits, "message", call.size);
        } catch (error) {
          call.settle(error as ActorError);
        }
        if (calls.has(call.id)) {
          call.sent = true;
          inFlight.set(call.id, now());
          return call;
        }
        inFlight.delete(call.id);
        sendWaiting();
        return undefined;
      });
    }
  };

  return {
    ackedId: () => (calls.keys().next().value ?? lastId + 1) - 1,
    add: (options, action, values) =>
      new Promise((resolve, reject) => {
        const { signal } = options;
        if (signal?.aborted) throw abandonedError(false, "aborted", signal.reason);
        // A call that was given up, but is still in flight, makes room for one more.
        if (calls.size - inFlight.size >= MAX_WAITING) {
          throw new ActorError("not_sent", `${MAX_WAITING} calls wait`, {
            reason: "queue",
            limit: MAX_WAITING,
            option: "queue",
          });
        }
        const args = toJSON("invalid_args", values);
        const size = byteLength(action + args) + ENVELOPE_BYTES;
        checkSize(link.limits, "message", size);

        const stopWatching = watchOptions(options, (reason, cause) =>
          call.settle(abandonedError(call.sent, reason, cause)),
        );
        const call: Call = {
          id: ++lastId,
          action,
          args,
          size,
          sent: false,
          crashes: 0,
          settle(error, result) {
            calls.delete(call.id);
            stopWatching();
            options["~onSettled"]?.();
            if (error) reject(error);
            else resolve(result);
          },
        };
        calls.set(call.id, call);
        sendWaiting();
      }),
    busySince: () => inFlight.values().next().value || Infinity,
    open() {
      isOpen = true;
      sendWaiting();
    },
    suspend(crashed) {
      isOpen = false;
      const [[id, sentAt] = []] = inFlight;
      const suspect = calls.get(id!);
      if (suspect && sentAt) {
        if (now() - sentAt >= CRASH_MS) suspect.crashes = 0;
        else if (crashed && ++suspect.crashes === CRASHES) {
          suspect.settle(abandonedError(true, "crash", `${CRASHES} links ended right after it`));
        }
      }
      inFlight.clear();
    },
    answer(id, error, result) {
      const call = calls.get(id);
      call?.settle(error, result);
      inFlight.delete(id);
      sendWaiting();
      return !!call;
    },
    abandon(cause, highest) {
      for (const call of [...calls.values()]) {
        call.settle(
          highest === undefined
            ? abandonedError(call.sent, "closed", cause)
            : call.id > highest
              ? cause
              : new ActorError("ran", "the call ran", undefined, { cause }),
        );
      }
    },
  };
}
