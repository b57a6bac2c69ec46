import { now } from "./clock.js";
import { ActorError } from "./errors.js";
import { MESSAGE_BYTES } from "./timing.js";

/** The limits that the server enforces and sends in `hello`. Sizes are in bytes. */
export interface Limits {
  /** Largest message from a client. */
  message: number;
  /** Largest frame from a client. */
  frame: number;
  /** Largest params. */
  params: number;
  /** Unanswered calls per connection. */
  inFlight: number;
  /** Channels on one socket. */
  channels: number;
  /** Messages per second and socket, on average. */
  rate: number;
  /** Messages that may arrive at once. */
  burst: number;
}

/** The length of text in UTF-8. Not every runtime has a TextEncoder: jsdom has none. */
export function byteLength(text: string): number {
  let length = text.length;
  for (let i = length; i--;) {
    const unit = text.charCodeAt(i);
    // Three bytes, or half of the four of a pair of surrogates.
    if (unit > 127) length += unit < 2048 || unit >> 11 === 27 ? 1 : 2;
  }
  return length;
}

/** Throws `too_large` if a message, or params, of size bytes are over the limit. */
export function checkSize(limits: Limits | undefined, option: "message" | "params", size: number): void {
  const limit = limits ? limits[option] : MESSAGE_BYTES;
  if (size <= limit) return;
  throw new ActorError("too_large", `${option}: ${size} of ${limit} bytes`, {
    size,
    limit,
    option,
  });
}

/** Takes a token, one for each message, and returns 0; or returns how many milliseconds to wait for one. */
export type Bucket = () => number;

/**
 * Creates a token bucket that stays under the server's: 90 % of its rate and half of its burst, because the
 * network may deliver the messages of a second all at once.
 */
export function createBucket({ rate, burst }: Limits): Bucket {
  const perMs = (rate * 0.9) / 1000;
  const size = Math.max(1, burst / 2);
  let tokens = size;
  let refilledAt = now();
  return () => {
    const at = now();
    tokens = Math.min(size, tokens + (at - refilledAt) * perMs);
    refilledAt = at;
    return tokens < 1 ? (1 - tokens) / perMs : (tokens--, 0);
  };
}
