import type { EventsOf } from "@troupe/client";
import { useEffect, useInsertionEffect, useRef } from "react";
import type { ActorStore, ParamsGetter } from "./actorStore.js";

/** What useEvent needs: an actor that useActor returned. */
export interface EventActor<D> {
  /**
   * Listens to an event of the actor, or to a lifecycle event, while the component is mounted.
   * The handler may be a new function in each render; the latest one is called. A new handler
   * sends nothing to the server.
   *
   * A hook that is a method costs something: the React Compiler does not compile components that call it, and
   * eslint-plugin-react-hooks does not check the call. `useEvent(room, event, handler)`, of this package, does the same
   * without that.
   */
  useEvent<N extends keyof EventsOf<D> & string>(event: N, handler: (data: EventsOf<D>[N]) => void): void;
  /** For the hooks of this package. */
  readonly "~binding"?: unknown;
  /** For types only; never set. */
  readonly "~actor"?: D;
}

/** One actor in a store. */
export interface Binding {
  store: ActorStore;
  id: string;
  params: ParamsGetter;
}

/**
 * Listens to an event of an actor that useActor returned, or to a lifecycle event, while the component is mounted. The
 * handler may be a new function in each render; the latest one is called. A new handler sends nothing to the server.
 *
 * ```tsx
 * const room = useActor({ name: "chatRoom", key: ["general"] });
 * useEvent(room, "messageReceived", (message) => play(message));
 * ```
 */
export function useEvent<D, N extends keyof EventsOf<D> & string>(
  actor: EventActor<D>,
  event: N,
  handler: (data: EventsOf<D>[N]) => void,
): void {
  useBoundEvent(actor["~binding"] as Binding | undefined, event, handler as (data: never) => void);
}

/**
 * Listens through the store, not through the connection of the last render. The effects of children run
 * before those of their parents, and whichever runs first connects. In this way all listeners of a commit
 * are in the connection's first open.
 */
export function useBoundEvent(binding: Binding | undefined, event: string, handler: (data: never) => void): void {
  const latest = useRef(handler);
  useInsertionEffect(() => {
    latest.current = handler;
  });
  useEffect(() => {
    if (!binding) return;
    const release = binding.store.acquire(binding.id, binding.params);
    const unsubscribe = binding.store
      .snapshot(binding.id)
      .connection?.on(event, (data) => latest.current(data as never));
    return () => {
      unsubscribe?.();
      release();
    };
  }, [binding, event]);
}
