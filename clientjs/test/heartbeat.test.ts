import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { createHeartbeat, type Heartbeat } from "../src/heartbeat.js";
import type { Hello } from "../src/wire.js";
import { DEFAULT_LIMITS } from "./fakeServer.js";

const HELLO: Hello = { t: "hello", v: 1, limits: DEFAULT_LIMITS, beatMs: 15_000, deadMs: 25_000, spreadMs: 0 };
const BEAT = '{"t":"beat"}';
const PROBE = '{"t":"beat","probe":true}';

let sent: string[];
let timeouts: string[];
let heartbeat: Heartbeat;

beforeEach(() => {
  vi.useFakeTimers();
  sent = [];
  timeouts = [];
  heartbeat = createHeartbeat(
    (frame) => {
      sent.push(frame);
      heartbeat.sent();
    },
    (why) => timeouts.push(why),
  );
});
afterEach(() => {
  vi.useRealTimers();
});

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

it("gives a new link 10 s to say hello", async () => {
  heartbeat.start();
  await pass(9_999);
  expect(timeouts).toEqual([]);
  await pass(10);
  expect(timeouts).toEqual([expect.stringMatching(/^nothing received for 1000\d ms$/)]);
  expect(vi.getTimerCount()).toBe(0);
});

it("gives an open link deadMs between two frames", async () => {
  heartbeat.start(HELLO);
  await pass(20_000);
  heartbeat.received(false);
  await pass(24_999);
  expect(timeouts).toEqual([]);
  await pass(10);
  expect(timeouts).toHaveLength(1);
});

it("answers a heartbeat, and other frames once half of beatMs has passed since it sent something", async () => {
  heartbeat.start(HELLO);
  heartbeat.sent();
  heartbeat.received(true);
  expect(sent).toEqual([BEAT]);
  await pass(7_500);
  heartbeat.received(false);
  expect(sent).toEqual([BEAT]);
  await pass(1);
  heartbeat.received(false);
  expect(sent).toEqual([BEAT, BEAT]);
});

it("takes a link for dead that leaves a probe unanswered for 2.5 s", async () => {
  heartbeat.start(HELLO);
  heartbeat.probe();
  expect(sent).toEqual([PROBE]);
  await pass(2_499);
  expect(timeouts).toEqual([]);
  await pass(10);
  expect(timeouts).toHaveLength(1);
});

it("probes a link that works once in 15 s, unless forced", async () => {
  heartbeat.start(HELLO);
  heartbeat.probe();
  heartbeat.received(false);
  heartbeat.probe();
  expect(sent).toEqual([PROBE]);
  heartbeat.probe(true);
  expect(sent).toEqual([PROBE, PROBE]);
  heartbeat.received(false);
  await pass(15_000);
  heartbeat.probe();
  expect(sent).toEqual([PROBE, PROBE, PROBE]);
});

it("probes again as soon as the browser is back from being offline", async () => {
  heartbeat.start(HELLO);
  heartbeat.offline();
  heartbeat.received(false);
  heartbeat.probe();
  expect(sent).toEqual([PROBE, PROBE]);
});

it("probes a link when the machine has slept", async () => {
  heartbeat.start(HELLO);
  vi.setSystemTime(Date.now() + 60_000);
  await pass(2_500);
  expect(sent).toEqual([PROBE]);
});

it("does nothing for a link that is gone", async () => {
  heartbeat.start(HELLO);
  heartbeat.stop();
  heartbeat.probe(true);
  heartbeat.received(true);
  await pass(60_000);
  expect(sent).toEqual([]);
  expect(timeouts).toEqual([]);
  expect(vi.getTimerCount()).toBe(0);
});
