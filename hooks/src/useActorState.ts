import type { UntypedActor } from "@troupe/client";
import { useCallback, useEffect, useInsertionEffect, useMemo, useRef, useState } from "react";
import { followState, LOADING, type ActorState, type Follower, type StateOptions } from "./actorState.js";
import type { Binding, EventActor } from "./useEvent.js";

/** The result of useActorState. */
export type UseActorState<S> = ActorState<S> & {
  /** Loads the state again, for example after an error. */
  reload(): void;
};

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
  const latest = useRef(options);
  useInsertionEffect(() => {
    latest.current = options;
  });

  // The state belongs to a binding: that of another actor is not shown.
  const [stored, setStored] = useState<{ of: Binding | undefined; state: ActorState<S> }>({
    of: undefined,
    state: LOADING,
  });
  const follower = useRef<Follower>(undefined);
  useEffect(() => {
    if (!binding) return;
    const release = binding.store.acquire(binding.id, binding.params);
    const { connection } = binding.store.snapshot(binding.id);
    const followed =
      connection &&
      followState<S>(
        connection,
        JSON.parse(names) as string[],
        () => latest.current as unknown as StateOptions<UntypedActor, S>,
        (state) => setStored({ of: binding, state }),
      );
    follower.current = followed;
    return () => {
      followed?.stop();
      release();
    };
  }, [binding, names]);

  const reload = useCallback(() => follower.current?.reload(), []);
  const state = stored.of === binding ? stored.state : LOADING;
  return useMemo(() => ({ ...state, reload }), [state, reload]);
}
