import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { createOutbox, type Outbox } from "../src/outbox.js";
import { DEFAULT_LIMITS } from "./fakeServer.js";

let frames: string[];
let outbox: Outbox;

beforeEach(() => {
  vi.useFakeTimers();
  frames = [];
  outbox = createOutbox((frame) => frames.push(frame));
  outbox.reset(DEFAULT_LIMITS);
});
afterEach(() => {
  vi.useRealTimers();
});

const push = (text: string, c = 1, paced = true) => outbox.push(c, () => text, paced);
/** Runs the microtasks that are queued now. */
const tick = () => vi.advanceTimersByTimeAsync(0);

it("sends the messages of one microtask in one frame", async () => {
  push("1");
  push("2");
  expect(frames).toEqual([]);
  await tick();
  push("3");
  await tick();
  expect(frames).toEqual(["[1,2]", "3"]);
});

it("starts another frame before one would be over the limit", async () => {
  outbox.reset({ ...DEFAULT_LIMITS, frame: 10 });
  for (const text of ["111", "222", "333"]) push(text);
  await tick();
  expect(frames).toEqual(["[111,222]", "333"]);
});

it("waits for tokens, and sends what is not paced before what waits", async () => {
  outbox.reset({ ...DEFAULT_LIMITS, rate: 10, burst: 2 }); // one token now, 9 a second
  for (const text of ["1", "2", "3"]) push(text);
  await tick();
  push("now", 1, false);
  await tick();
  expect(frames).toEqual(["1", "now"]);
  await vi.advanceTimersByTimeAsync(112);
  expect(frames).toEqual(["1", "now", "2"]);
  await vi.advanceTimersByTimeAsync(112);
  expect(frames).toEqual(["1", "now", "2", "3"]);
});

it("encodes a message when it is sent, and leaves out one that is no longer wanted", async () => {
  outbox.reset({ ...DEFAULT_LIMITS, rate: 10, burst: 2 });
  let text: string | undefined = "early";
  push("1");
  outbox.push(1, () => text);
  await tick();
  text = undefined;
  push("3");
  await vi.advanceTimersByTimeAsync(1000);
  expect(frames).toEqual(["1", "3"]);
});

it("drops the messages of a channel that is closed", async () => {
  push("1", 1);
  push("2", 2);
  outbox.remove(1);
  await tick();
  expect(frames).toEqual(["2"]);
});

it("drops everything when the link is lost, and messages that come before the next hello", async () => {
  push("1");
  outbox.reset();
  expect(outbox.limits).toBeUndefined();
  push("2");
  await tick();
  expect(frames).toEqual([]);
  outbox.reset(DEFAULT_LIMITS);
  push("3");
  await tick();
  expect(frames).toEqual(["3"]);
  expect(vi.getTimerCount()).toBe(0);
});

it("keeps no timer of a link that is lost", async () => {
  outbox.reset({ ...DEFAULT_LIMITS, rate: 1, burst: 2 });
  push("1");
  push("2");
  await tick();
  expect(vi.getTimerCount()).toBe(1);
  outbox.reset();
  expect(vi.getTimerCount()).toBe(0);
});
