// Chance in tests: the same in every run, so that a failing one can be run again.
// RANDOM_SEED=<number> makes it another one, for whoever looks for trouble.
import { vi } from "vitest";
import { createRandom } from "./chance.js";

/** Math.random begins anew from seed, until the end of the test. */
export function seedRandom(seed = 0): void {
  const extra = Number(process.env["RANDOM_SEED"] ?? 0);
  vi.spyOn(Math, "random").mockImplementation(createRandom(seed + extra * 1_000_003));
}
