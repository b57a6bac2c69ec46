/** What a server enforces and tells in `hello`. Sizes are in bytes. */
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
  /** Messages per second and socket, in the long run. */
  rate: number;
  /** Messages at once. */
  burst: number;
}

/** Assumed until the server has said hello. */
export const DEFAULT_LIMITS: Limits = {
  message: 65536,
  frame: 262144,
  params: 4096,
  inFlight: 64,
  channels: 500,
  rate: 100,
  burst: 200,
};

/** The length of text in UTF-8. */
export function byteLength(text: string): number {
  return new TextEncoder().encode(text).length;
}

/**
 * A token bucket that stays under the server's: 90 % of its rate and half of its
 * burst, because the network may deliver in one moment what was sent over a
 * second. `take` returns 0, or how many milliseconds to wait for a token.
 */
export function createBucket({ rate, burst }: Limits, now: () => number): { take(): number } {
  const perMs = (rate * 0.9) / 1000;
  const size = Math.max(1, burst / 2);
  let tokens = size;
  let at = now();
  return {
    take() {
      const t = now();
      tokens = Math.min(size, tokens + (t - at) * perMs);
      at = t;
      if (tokens < 1) return (1 - tokens) / perMs;
      tokens--;
      return 0;
    },
  };
}
