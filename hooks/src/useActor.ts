import type { ActorError, Connection, Handle, Key, ParamsOf, ParamsSource } from "@troupe/client";
import { useLatest, useMemo, useSyncExternalStore } from "./react.js";
import { actorId, CONNECTING, IDLE, type ActorStatus, type ActorStore } from "./actorStore.js";
import { createView } from "./connectionView.js";
import { useEvent, type Binding, type EventActor } from "./useEvent.js";

/** Options of useActor. */
export type UseActorOptions<R, N extends keyof R & string> = {
  /** The actor definition. */
  name: N;
  /** The actor's key; leave it out for the actor without a key. The actor is created if it does not exist. */
  key?: Key;
  /** false: no connection, and `status` is `idle` [true]. */
  enabled?: boolean;
} & (undefined extends ParamsOf<R[N]>
  ? { params?: ParamsSource<ParamsOf<R[N]>> }
  : {
      /**
       * The params of `connect(params)`. Different params make another connection. If it is a
       * function, the latest one is called for every attempt to connect; passing another
       * function does not reconnect.
       */
      params: ParamsSource<ParamsOf<R[N]>>;
    });

/** The result of useActor. The same object until something in it changes. */
export interface UseActor<D> extends EventActor<D> {
  /**
   * undefined in the first render, on the server, and while not enabled. Components share connections, so this is a view
   * of the shared one: `off()` and `dispose()` remove only the listeners that were added through it.
   */
  readonly connection: Connection<D> | undefined;
  /** For single calls over HTTP, without a connection. */
  readonly handle: Handle<D>;
  readonly status: ActorStatus;
  /** Whether status is `connected`. */
  readonly isConnected: boolean;
  /** The last error; cleared when the connection is up again. */
  readonly error: ActorError | undefined;
  /**
   * Starts the next attempt now, also after the server has ended the connection: for when the user has signed in. If the
   * actor was destroyed (`error.code` is `destroyed`), that makes a new one.
   */
  reconnect(): void;
}

/** Connects to an actor while the component is mounted, over the store's shared connection. */
export function useStoreActor<D>(
  store: ActorStore,
  options: { name: string; key?: Key; params?: unknown; enabled?: boolean },
): UseActor<D> {
  const { name, params, enabled = true } = options;
  // A key that is there but undefined is a mistake.
  const id = actorId(name, "key" in options ? options.key : [], params);
  const latest = useLatest(params);

  const binding = useMemo<Binding | undefined>(
    () => (enabled ? { store, id, params: () => latest.current } : undefined),
    [store, id, enabled, latest],
  );
  const subscribe = useMemo(
    () => (listener: () => void) => (binding ? store.subscribe(binding, listener) : () => {}),
    [store, binding],
  );
  const snapshot = useSyncExternalStore(
    subscribe,
    () => (binding ? store.snapshot(id) : IDLE),
    () => (binding ? CONNECTING : IDLE),
  );

  const shared = snapshot.connection;
  const connection = useMemo(() => shared && (createView(shared) as Connection<D>), [shared]);

  return useMemo(() => {
    const actor: UseActor<D> = {
      ...snapshot,
      connection,
      isConnected: snapshot.status === "connected",
      reconnect: () => binding && store.reconnect(id),
      handle: store.handle(id) as Handle<D>,
      "~binding": binding,
      useEvent: (event, handler) => useEvent(actor, event, handler),
    };
    return actor;
  }, [snapshot, connection, store, id, binding]);
}
