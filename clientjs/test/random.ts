// Random numbers in tests: the same in every run, so that a failure can be reproduced.
// Set RANDOM_SEED=<number> for other ones.
import { vi } from "vitest";
import { createRandom } from "./createRandom.js";

/** Restarts Math.random from seed, until the end of the test. */
export function seedRandom(seed = 0): void {
  const extra = Number(process.env["RANDOM_SEED"] ?? 0);
  vi.spyOn(Math, "random").mockImplementation(createRandom(seed + extra * 1_000_003));
}
