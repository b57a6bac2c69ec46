// The messages that wait to be sent on the socket. The outbox batches them into
// frames and keeps the client under the server's rate limit.
import { soon } from "./clock.js";
import { byteLength, createBucket, type Bucket, type Limits } from "./limits.js";
import { encodeFrame } from "./wire.js";

/** A queue of messages for one link. */
export interface Outbox {
  /** The limits of the server; undefined while there is no link that said hello. */
  readonly limits: Limits | undefined;
  /**
   * Queues a message of channel c; the queue is flushed in the next microtask. encode is called when the
   * message is about to be sent, and may return undefined to send nothing. A message that is not paced
   * takes no token of the rate limit, and overtakes those that wait for one. Without a link that said
   * hello, the message is dropped.
   */
  push(c: number, encode: () => string | undefined, paced?: boolean): void;
  /** Drops the queued messages of channel c. */
  remove(c: number): void;
  /** Sends what is queued now, as far as the rate limit allows. */
  flush(): void;
  /** Drops everything. A link with limits starts with a full token bucket. */
  reset(limits?: Limits): void;
}

/** A channel, and the function that encodes the message. */
type Message = [c: number, encode: () => string | undefined];

/** Creates an outbox; transmit sends one frame. */
export function createOutbox(transmit: (frame: string) => void): Outbox {
  let urgent: Message[] = [];
  let paced: Message[] = [];
  let limits: Limits | undefined;
  let bucket: Bucket;
  let flushing = false;
  /** Runs while the queue waits for a token. */
  let tokenTimer: ReturnType<typeof setTimeout> | undefined;

  const flush = () => {
    flushing = false;
    let batch: string[] = [];
    let size = 2;
    const send = () => {
      if (batch.length) transmit(encodeFrame(batch));
      batch = [];
      size = 2;
    };
    /** Takes the next message that may be sent. */
    const next = () => {
      if (urgent[0]) return urgent.shift();
      const wait = paced[0] && !tokenTimer ? bucket() : 0;
      if (wait) {
        tokenTimer = setTimeout(() => {
          tokenTimer = undefined;
          flush();
        }, Math.ceil(wait));
      }
      return tokenTimer ? undefined : paced.shift();
    };
    for (let message; (message = next());) {
      const text = message[1]();
      if (!text) continue;
      const bytes = byteLength(text) + 1;
      if (size + bytes > limits!.frame) send();
      batch.push(text);
      size += bytes;
    }
    send();
  };

  return {
    get limits() {
      return limits;
    },
    push(c, encode, isPaced = true) {
      if (!limits) return;
      (isPaced ? paced : urgent).push([c, encode]);
      if (!flushing) soon(flush);
      flushing = true;
    },
    remove(c) {
      const isOther = ([other]: Message) => other !== c;
      urgent = urgent.filter(isOther);
      paced = paced.filter(isOther);
    },
    flush,
    reset(next) {
      clearTimeout(tokenTimer);
      tokenTimer = undefined;
      urgent = [];
      paced = [];
      limits = next;
      if (next) bucket = createBucket(next);
    },
  };
}
