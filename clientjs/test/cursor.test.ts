import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { createCursor, type Acks, type Cursor } from "../src/cursor.js";

let ackedId: number;
let acks: Acks[];
let cursor: Cursor;

beforeEach(() => {
  vi.useFakeTimers();
  ackedId = 0;
  acks = [];
  cursor = createCursor(
    () => ackedId,
    () => acks.push(cursor.acks()),
  );
});
afterEach(() => {
  vi.useRealTimers();
});

it("resumes where it was, and nowhere before the first opened", () => {
  expect(cursor.resume()).toEqual({});
  cursor.open("log", 5);
  cursor.advance(9);
  cursor.advance(7);
  ackedId = 2;
  expect(cursor.resume()).toEqual({ log: "log", s: 9, ack: 2 });
});

it("acknowledges only what the server does not know", () => {
  cursor.open("log", 5);
  expect(cursor.acks()).toEqual({});
  cursor.advance(6);
  ackedId = 1;
  expect(cursor.acks()).toEqual({ s: 6, ack: 1 });
  expect(cursor.acks()).toEqual({});
});

it("starts at the position of another log, even a lower one", () => {
  cursor.open("log", 500);
  cursor.open("other", 3);
  expect(cursor.log()).toBe("other");
  expect(cursor.acks()).toEqual({});
  cursor.advance(4);
  expect(cursor.acks()).toEqual({ s: 4 });
});

it("acknowledges 30 s after the first message, once for all that came meanwhile", async () => {
  cursor.open("log", 0);
  cursor.advance(1);
  await vi.advanceTimersByTimeAsync(20_000);
  cursor.advance(2);
  await vi.advanceTimersByTimeAsync(10_000);
  expect(acks).toEqual([{ s: 2 }]);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(acks).toHaveLength(1);
});

it("acknowledges nothing after its channel is gone", async () => {
  cursor.advance(1);
  cursor.stop();
  expect(vi.getTimerCount()).toBe(0);
});
