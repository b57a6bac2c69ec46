import { reportUncaught } from "./errors.js";

/** Takes what an event carries. */
export type Handler = (data: unknown) => void;

interface Listener {
  handler: Handler;
  once: boolean;
  removed?: boolean;
}

/** Listeners by event name. */
export interface Emitter {
  /** Adds a listener; the function returned removes it, calling that twice is harmless. */
  on(name: string, handler: Handler, once?: boolean): () => void;
  /** Removes one handler of an event, all handlers of an event, or all there are. */
  off(name?: string, handler?: Handler): void;
  /** Calls the listeners of an event; false if there are none. */
  emit(name: string, data?: unknown): boolean;
  /** Names with at least one listener. */
  names(): string[];
}

/**
 * Creates an emitter. changed is called when a name may have got its first or
 * lost its last listener.
 *
 * A listener that throws is reported and harms no other. Listeners added while
 * an event is dispatched wait for the next one; removed ones are not called any
 * more. A `once` listener is removed before it is called.
 */
export function createEmitter(changed: () => void): Emitter {
  const listeners = new Map<string, Listener[]>();

  /** Removes the listeners of name that match. Arrays are replaced, never changed: emit iterates over them. */
  const remove = (name: string, matches: (l: Listener) => boolean) => {
    const kept = (listeners.get(name) ?? []).filter((l) => !(l.removed ||= matches(l)));
    if (kept.length) listeners.set(name, kept);
    else listeners.delete(name);
    changed();
  };

  return {
    on(name, handler, once = false) {
      const listener: Listener = { handler, once };
      listeners.set(name, [...(listeners.get(name) ?? []), listener]);
      changed();
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
