import { followState, LOADING, type StateOptions, type UseActorState } from "./actorState.js";
import type { EventActor } from "./useEvent.js";
import { useFollowed } from "./useFollowed.js";

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
  return useFollowed<D, StateOptions<D, S>, UseActorState<S>>(actor, options, followState as never, LOADING);
}
