import { guarded } from "./errors.js";

/** Handles the payload of an event. */
export type Handler = (data: unknown) => void;

interface Listener {
  name: string;
  handler: Handler;
  once: boolean | undefined;
  removed?: boolean;
}

/** Listeners by event name. */
export interface Emitter {
  /** Adds a listener; the function returned removes it, and may be called twice. */
  on(name: string, handler: Handler, once?: boolean): () => void;
  /** Removes one handler of an event, all handlers of an event, or all handlers. */
  off(name?: string, handler?: Handler): void;
  /** Calls the listeners of an event; returns false if there are none. */
  emit(name: string, data?: unknown): boolean;
  /** Returns the name of each listener's event. */
  names(): string[];
}

/**
 * Creates an emitter. onChange is called when a name may have got its first listener or lost its last.
 *
 * If a listener throws, the error is reported and the others still run. A listener that is added while an
 * event is dispatched is first called for the next one; a listener that is removed is not called any more. A `once`
 * listener is removed before it is called.
 */
export function createEmitter(onChange: () => void): Emitter {
  let listeners: readonly Listener[] = [];

  /** Removes the listeners that match. Replaces the array, because emit may be iterating over it. */
  const remove = (matches: (l: Listener) => boolean) => {
    listeners = listeners.filter((l) => !(l.removed ||= matches(l)));
    onChange();
  };

  return {
    on(name, handler, once) {
      if (typeof handler !== "function") throw new TypeError(`on("${name}") needs a function`);
      const listener: Listener = { name, handler, once };
      listeners = [...listeners, listener];
      onChange();
      return () => remove((l) => l === listener);
    },
    off: (name, handler) => remove((l) => (name ?? l.name) === l.name && (handler ?? l.handler) === l.handler),
    emit(name, data) {
      const heard = listeners.filter((l) => l.name === name);
      for (const l of heard) {
        if (l.removed) continue;
        if (l.once) remove((other) => other === l);
        guarded(() => l.handler(data));
      }
      return !!heard[0];
    },
    names: () => listeners.map((l) => l.name),
  };
}
