import { beforeEach, expect, it } from "vitest";
import { createCallQueue, type Call, type CallQueue } from "../src/callQueue.js";
import { ActorError } from "../src/errors.js";
import { DEFAULT_LIMITS } from "./fakeServer.js";

/** The calls that were handed to the link; each is taken from it by calling it. */
let handed: Array<() => Call | undefined>;
let calls: CallQueue;

beforeEach(() => {
  handed = [];
  calls = createCallQueue({ limits: { ...DEFAULT_LIMITS, inFlight: 2 } }, (next) => handed.push(next));
});

/** Ids of the calls that the link sends now. */
const sendAll = () => handed.splice(0).flatMap((next) => next()?.id ?? []);
const code = (promise: Promise<unknown>) =>
  promise.then(
    () => "resolved",
    (error: ActorError) => error.code,
  );

it("sends calls in order once it is open, no more at a time than the limit", () => {
  for (const name of ["a", "b", "c"]) void calls.add({}, name, []);
  expect(handed).toEqual([]);
  calls.open();
  expect(sendAll()).toEqual([1, 2]);
  calls.answer(1, undefined);
  expect(sendAll()).toEqual([3]);
});

it("settles a call with its answer", async () => {
  const result = calls.add({}, "a", []);
  const failed = calls.add({}, "b", []);
  calls.open();
  sendAll();
  expect(calls.answer(1, undefined, 42)).toBe(true);
  expect(calls.answer(2, new ActorError("forbidden", "no"))).toBe(true);
  expect(calls.answer(2, undefined)).toBe(false);
  expect(await result).toBe(42);
  expect(await code(failed)).toBe("forbidden");
});

it("sends unanswered calls again on the next channel, under the same ids", () => {
  for (const name of ["a", "b", "c"]) void calls.add({}, name, []);
  calls.open();
  sendAll();
  calls.answer(2, undefined);
  calls.suspend(false);
  handed = []; // the link is lost, with what it had not sent
  calls.open();
  expect(sendAll()).toEqual([1, 3]);
});

it("does not send a call that was given up while it waited on the link, but the next one", async () => {
  const abort = new AbortController();
  const given = code(calls.add({ signal: abort.signal }, "a", []));
  void calls.add({}, "b", []);
  void calls.add({}, "c", []);
  calls.open();
  abort.abort();
  expect(await given).toBe("not_sent");
  expect(sendAll()).toEqual([2]);
  expect(sendAll()).toEqual([3]);
});

it("counts the highest id up to which every call has an answer", () => {
  expect(calls.ackedId()).toBe(0);
  for (const name of ["a", "b"]) void calls.add({}, name, []);
  calls.open();
  sendAll();
  expect(calls.ackedId()).toBe(0);
  calls.answer(2, undefined);
  expect(calls.ackedId()).toBe(0);
  calls.answer(1, undefined);
  expect(calls.ackedId()).toBe(2);
});

it("tells sent calls from unsent ones when it gives all up", async () => {
  const codes = ["a", "b", "c"].map((name) => code(calls.add({}, name, [])));
  calls.open();
  sendAll();
  calls.abandon(undefined);
  expect(await Promise.all(codes)).toEqual(["maybe_ran", "maybe_ran", "not_sent"]);
  expect(calls.ackedId()).toBe(3);
});
