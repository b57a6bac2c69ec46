// Chance in tests: the same in every run, so that a failing one can be run again.
// RANDOM_SEED=<number> makes it another one, for whoever looks for trouble.
import { vi } from "vitest";

/** A small generator of numbers in [0, 1) with a seed (mulberry32). */
export function createRandom(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Math.random begins anew from seed, until the end of the test. */
export function seedRandom(seed = 0): void {
  const extra = Number(process.env["RANDOM_SEED"] ?? 0);
  vi.spyOn(Math, "random").mockImplementation(createRandom(seed + extra * 1_000_003));
}
