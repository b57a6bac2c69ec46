import { expect, it } from "vitest";
import { isToCome, NOW, timingOf, toInput } from "./timing";

const now = new Date(2026, 9, 24, 17, 3, 20).getTime(); // the night before clocks change in Europe

it("has no timing for a message that is sent now and stays", () => {
  expect(timingOf(NOW, now)).toBeUndefined();
});

it("counts from now, and by the local calendar", () => {
  expect(timingOf({ ...NOW, send: "minute" }, now)).toEqual({ at: now + 60_000 });
  expect(timingOf({ ...NOW, send: "tomorrow" }, now)).toEqual({ at: new Date(2026, 9, 25, 9).getTime() });
  expect(timingOf({ ...NOW, keep: "hour" }, now)).toEqual({ keepMs: 3_600_000 });
  expect(timingOf({ send: "hour", at: "", keep: "day" }, now)).toEqual({ at: now + 3_600_000, keepMs: 86_400_000 });
});

it("takes a time of an input, in the local time zone", () => {
  const at = toInput(now + 3_600_000);
  expect(at).toBe("2026-10-24T18:03");
  expect(timingOf({ ...NOW, send: "at", at }, now)).toEqual({ at: new Date(2026, 9, 24, 18, 3).getTime() });
  expect(isToCome({ ...NOW, send: "at", at }, now)).toBe(true);
  expect(isToCome({ ...NOW, send: "at", at: toInput(now) }, now)).toBe(false); // the minute has begun
  expect(isToCome({ ...NOW, send: "at", at: "" }, now)).toBe(false);
  expect(isToCome(NOW, now)).toBe(true);
});
