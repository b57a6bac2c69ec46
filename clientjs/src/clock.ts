/** Milliseconds on a clock that only goes forward, where there is one. */
export const now = (): number => (globalThis.performance ?? Date).now();

/** Runs fn in a microtask. Not by queueMicrotask, which fake timers of tests replace. */
export const soon = (fn: () => void): void => void Promise.resolve().then(fn);
