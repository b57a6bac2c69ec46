import { BACKOFF_MAX_MS, BACKOFF_MS } from "./timing.js";

/**
 * Returns how many milliseconds to wait before the next attempt, after n failed ones (n from 0):
 * uniform in [0, 250 ms · 2ⁿ], at most 30 s. Full jitter spreads clients that failed together
 * better than a delay with a fixed part.
 */
export function backoff(n: number): number {
  return Math.random() * Math.min(BACKOFF_MAX_MS, BACKOFF_MS * 2 ** n);
}
