const BASE_MS = 250;
const MAX_MS = 30_000;

/** What was up for so long counts as good: its next loss starts the back-off anew. */
export const STABLE_MS = 5_000;

/**
 * How long to wait before attempt n + 1, after n failed ones (n from 0): full
 * jitter, uniform in [0, 250 ms · 2ⁿ], at most 30 s. Full jitter spreads clients
 * that failed together better than any fixed part does.
 */
export function backoff(n: number): number {
  return Math.random() * Math.min(MAX_MS, BASE_MS * 2 ** n);
}
