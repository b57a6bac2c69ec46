import { guarded } from "./errors.js";
import { SETTLE_TICKS } from "./timing.js";

/** What arrived and waits to be handled. */
export interface Inbox {
  /** Queues a task; it returns true if it answered a call. A task that throws is reported, and the next one runs. */
  push(task: () => boolean | void): void;
  /** Runs the queued tasks in order, and those that they queue. Does nothing while it runs already. */
  process(): void;
}

/** Creates an inbox. */
export function createInbox(): Inbox {
  const tasks: Array<() => boolean | void> = [];
  let processing = false;
  return {
    push: (task) => tasks.push(task),
    async process() {
      if (processing) return;
      processing = true;
      for (const task of tasks) {
        if (guarded(task)) for (let i = 0; i < SETTLE_TICKS; i++) await null;
      }
      tasks.length = 0;
      processing = false;
    },
  };
}
