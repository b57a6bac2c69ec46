import type { UntypedActor } from "@troupe/client";
import { useEffect, useLatest, useState } from "./react.js";
import { followState, LOADING, type StateOptions, type UseActorState } from "./actorState.js";
import type { Binding, EventActor } from "./useEvent.js";

/**
 * Returns a state of an actor: loads it by an action, then keeps it up to date by events. Every
 * event is applied exactly once, even if the link is lost in between.
 *
 * ```tsx
 * const { state: messages = [] } = useActorState(room, {
 *   load: (connection) => connection.getMessages(),
 *   on: { messageReceived: (messages, message) => [...messages, message] },
 * });
 * ```
 *
 * The functions may be new ones in each render; the latest are called. Volatile events that the
 * server drops for a slow client are not applied.
 */
export function useActorState<D, S>(actor: EventActor<D>, options: StateOptions<D, S>): UseActorState<S> {
  const binding = actor["~binding"] as Binding | undefined;
  const names = JSON.stringify(Object.keys(options.on).sort());
  const latest = useLatest(options);

  // The state belongs to a binding: that of another actor is not shown.
  const [{ of, state }, setStored] = useState<{ of?: Binding; state: UseActorState<S> }>({ state: LOADING });
  useEffect(
    () =>
      binding?.store.use(binding, (connection) =>
        followState<S>(
          connection,
          JSON.parse(names) as string[],
          () => latest.current as unknown as StateOptions<UntypedActor, S>,
          (state) => setStored({ of: binding, state }),
        ),
      ),
    [binding, names, latest],
  );
  return of === binding ? state : LOADING;
}
