import type { UntypedActor } from "@troupe/client";
import { useCallback, useEffect, useInsertionEffect, useMemo, useRef, useState } from "react";
import { followState, LOADING, type ActorState, type Follower, type StateOptions } from "./actorState.js";
import type { Binding, EventActor } from "./useEvent.js";

/** What useActorState returns. */
export type UseActorState<S> = ActorState<S> & {
  /** Loads the state anew, for instance after an error. */
  reload(): void;
};

/**
 * The state of an actor that useActor returned: loaded by an action, then kept up to date
 * by events, each of which counts exactly once, whatever happens to the link in between.
 *
 * ```tsx
 * const { state: messages = [] } = useActorState(room, {
 *   load: (connection) => connection.getMessages(),
 *   on: { messageReceived: (messages, message) => [...messages, message] },
 * });
 * ```
 *
 * The functions may be new ones in each render: the latest are called. Volatile events that
 * the server drops for a slow reader are missed here, too.
 */
export function useActorState<D, S>(actor: EventActor<D>, options: StateOptions<D, S>): UseActorState<S> {
  const binding = actor["~binding"] as Binding | undefined;
  const names = JSON.stringify(Object.keys(options.on).sort());
  const latest = useRef(options);
  useInsertionEffect(() => {
    latest.current = options;
  });

  // What is known belongs to a binding: another actor's is not shown.
  const [known, setKnown] = useState<{ of: Binding | undefined; state: ActorState<S> }>({ of: undefined, state: LOADING });
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
        (state) => setKnown({ of: binding, state }),
      );
    follower.current = followed;
    return () => {
      followed?.stop();
      release();
    };
  }, [binding, names]);

  const reload = useCallback(() => follower.current?.reload(), []);
  const state = known.of === binding ? known.state : LOADING;
  return useMemo(() => ({ ...state, reload }), [state, reload]);
}
