import type { ClientApi } from "@troupe/client";
import { actorStore } from "./actorStore.js";
import { useStoreActor, type UseActor, type UseActorOptions } from "./useActor.js";
import { useEvent } from "./useEvent.js";

/** The hooks of a client. */
export interface Hooks<R> {
  /**
   * Connects to an actor while the component is mounted. All components that use
   * the same actor with the same params share one connection.
   *
   * Events that an actor sends when a connection opens arrive once per connection, at the
   * components that are mounted by then. A component that may share an existing connection
   * should load its data by an action, such as `room.connection.getMessages()`.
   */
  useActor<N extends keyof R & string>(options: UseActorOptions<R, N>): UseActor<R[N]>;
  /** Listens to an event of an actor that useActor returned. */
  useEvent: typeof useEvent;
}

/**
 * Creates the hooks of a client.
 *
 * ```tsx
 * export const { useActor, useEvent } = createHooks(client);
 *
 * function Room() {
 *   const room = useActor({ name: "chatRoom", key: ["general"] });
 *   useEvent(room, "messageReceived", (message) => console.log(message.text));
 *   return <button onClick={() => room.connection?.sendMessage("ada", "hello")}>Hello</button>;
 * }
 * ```
 */
export function createHooks<R>(client: ClientApi<R>): Hooks<R> {
  const store = actorStore(client);
  return {
    useActor: (options) => useStoreActor(store, options),
    useEvent,
  };
}
