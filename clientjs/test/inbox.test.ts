import { expect, it, vi } from "vitest";
import { createInbox } from "../src/inbox.js";

it("runs tasks in order, and those that they queue after them", async () => {
  const inbox = createInbox();
  const order: number[] = [];
  inbox.push(() => {
    order.push(1);
    inbox.push(() => void order.push(3));
    inbox.process(); // does nothing while it runs
  });
  inbox.push(() => void order.push(2));
  inbox.process();
  expect(order).toEqual([1, 2, 3]);
});

it("lets code that awaits an answer run before the next task", async () => {
  const inbox = createInbox();
  const order: string[] = [];
  const { promise, resolve } = answer();
  const inner = async () => await promise;
  const outer = async () => {
    await inner();
    order.push("awaited");
  };
  const done = outer();
  inbox.push(() => {
    resolve();
    return true;
  });
  inbox.push(() => void order.push("next"));
  inbox.process();
  await done;
  await vi.waitFor(() => expect(order).toEqual(["awaited", "next"]));
});

it("reports a task that throws, and runs the next one", () => {
  const log = vi.spyOn(console, "error").mockImplementation(() => {});
  const inbox = createInbox();
  const next = vi.fn();
  const error = new Error("broken");
  inbox.push(() => {
    throw error;
  });
  inbox.push(next);
  inbox.process();
  expect(log).toHaveBeenCalledWith(error);
  expect(next).toHaveBeenCalled();
});

function answer() {
  let resolve!: () => void;
  const promise = new Promise<void>((r) => (resolve = r));
  return { promise, resolve };
}
