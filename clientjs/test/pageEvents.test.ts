// Outside of browsers' pages; browser.test.ts has the tests with a page.
import { expect, it, vi } from "vitest";
import { listenToPage } from "../src/pageEvents.js";

it("wakes up in a worker, which has events but no document", () => {
  const worker = new EventTarget();
  vi.stubGlobal("addEventListener", worker.addEventListener.bind(worker));
  const onWake = vi.fn();
  const stop = listenToPage(onWake, vi.fn(), vi.fn(), vi.fn());
  worker.dispatchEvent(new Event("online"));
  expect(onWake).toHaveBeenCalledTimes(1);
  stop();
  worker.dispatchEvent(new Event("online"));
  expect(onWake).toHaveBeenCalledTimes(1);
  vi.unstubAllGlobals();
});

it("does nothing where there are no events", () => {
  expect(typeof addEventListener).toBe("undefined");
  listenToPage(vi.fn(), vi.fn(), vi.fn(), vi.fn())();
});
