import { reportUncaught } from "./errors.js";

/** Handles the payload of an event. */
export type Handler = (data: unknown) => void;

interface Listener {
  handler: Handler;
  once: boolean;
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
  /** Returns the names that have at least one listener. */
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
  const listeners = new Map<string, Listener[]>();

  /** Removes the listeners of name that match. Replaces the array, because emit may be iterating over it. */
  const remove = (name: string, matches: (l: Listener) => boolean) => {
    const remaining = (listeners.get(name) ?? []).filter((l) => !(l.removed ||= matches(l)));
    if (remaining.length) listeners.set(name, remaining);
    else listeners.delete(name);
    onChange();
  };

  return {
    on(name, handler, once = false) {
      if (typeof handler !== "function") throw new TypeError(`on("${name}") needs a function`);
      const listener: Listener = { handler, once };
      listeners.set(name, [...(listeners.get(name) ?? []), listener]);
      onChange();
      return () => {
        if (!listener.removed) remove(name, (l) => l === listener);
      };
    },
    off(name, handler) {
      for (const n of name === undefined ? [...listeners.keys()] : [name]) {
        remove(n, (l) => !handler || l.handler === handler);
      }
    },
    emit(name, data) {
      const all = listeners.get(name);
      for (const l of all ?? []) {
        if (l.removed) continue;
        if (l.once) remove(name, (other) => other === l);
        try {
          l.handler(data);
        } catch (error) {
          reportUncaught(error);
        }
      }
      return !!all;
    },
    names: () => [...listeners.keys()],
  };
}
