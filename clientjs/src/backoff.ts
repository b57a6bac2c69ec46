const BASE_MS = 250;
const MAX_MS = 30_000;

/** A link or channel that was up for this long counts as good: its next loss resets the back-off. */
export const STABLE_MS = 5_000;

/**
 * Returns how many milliseconds to wait before the next attempt, after n failed ones (n from 0):
 * uniform in [0, 250 ms · 2ⁿ], at most 30 s. Full jitter spreads clients that failed together
 * better than a delay with a fixed part.
 */
export function backoff(n: number): number {
  return Math.random() * Math.min(MAX_MS, BASE_MS * 2 ** n);
}
