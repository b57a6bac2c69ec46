// @vitest-environment jsdom
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { afterPress } from "./afterPress";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => {
  vi.runAllTimers(); // ends a press
  vi.useRealTimers();
});

const point = (type: string) => window.dispatchEvent(new Event(type));

test("a change is made at once while nothing is pressed", () => {
  const change = vi.fn();
  afterPress(change);
  expect(change).toHaveBeenCalledOnce();
});

test("changes wait for the end of a press and its click, and keep their order", () => {
  const made: number[] = [];
  point("pointerdown");
  afterPress(() => made.push(1));
  point("pointerup");
  afterPress(() => made.push(2));
  vi.advanceTimersByTime(99);
  expect(made).toEqual([]);
  vi.advanceTimersByTime(1);
  expect(made).toEqual([1, 2]);
});

test("a press that follows at once keeps the changes waiting", () => {
  const change = vi.fn();
  point("pointerdown");
  afterPress(change);
  point("pointerup");
  point("pointerdown");
  vi.advanceTimersByTime(1_000);
  expect(change).not.toHaveBeenCalled();
  point("pointercancel");
  vi.advanceTimersByTime(100);
  expect(change).toHaveBeenCalledOnce();
});

test("behind the click nothing waits any longer", () => {
  const made: string[] = [];
  point("pointerdown");
  afterPress(() => made.push("change"));
  point("pointerup");
  window.addEventListener("click", () => made.push("click"), { once: true });
  point("click");
  vi.advanceTimersByTime(0);
  expect(made).toEqual(["click", "change"]);
});

test("pointing at a canvas is no press", () => {
  const change = vi.fn();
  const canvas = document.body.appendChild(document.createElement("canvas"));
  canvas.dispatchEvent(new Event("pointerdown", { bubbles: true }));
  canvas.remove();
  afterPress(change);
  expect(change).toHaveBeenCalledOnce();
});

test("a change that throws holds no other one up", () => {
  const change = vi.fn();
  const report = vi.fn();
  vi.stubGlobal("reportError", report);
  const fault = new Error("it is damaged");
  point("pointerdown");
  afterPress(() => {
    throw fault;
  });
  afterPress(change);
  point("pointercancel");
  vi.advanceTimersByTime(100);
  expect(change).toHaveBeenCalledOnce();
  expect(report).toHaveBeenCalledExactlyOnceWith(fault);
  vi.unstubAllGlobals();
});

test("a press without an end holds nothing up for ever", () => {
  const change = vi.fn();
  point("pointerdown");
  afterPress(change);
  vi.advanceTimersByTime(5_000);
  expect(change).toHaveBeenCalledOnce();
});
