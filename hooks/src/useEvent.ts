import type { EventsOf } from "@troupe/client";
import { useEffect, useLatest } from "./react.js";
import type { ActorStore, User } from "./actorStore.js";

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

/** One actor in a store, for one component. */
export interface Binding extends User {
  store: ActorStore;
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
  const binding = actor["~binding"] as Binding | undefined;
  const latest = useLatest(handler);
  // Through the store, not through the connection of the last render. The effects of children run before those of their
  // parents, and whichever runs first connects. In this way all listeners of a commit are in the connection's first open.
  useEffect(
    () =>
      binding?.store.use(binding, (connection) =>
        connection.on(event, (data) => latest.current(data as EventsOf<D>[N])),
      ),
    [binding, event, latest],
  );
}
