import type { ActorError, Connection, Handle, Key, ParamsOf, ParamsSource } from "@troupe/client";
import { useCallback, useInsertionEffect, useMemo, useRef, useSyncExternalStore } from "react";
import { actorId, CONNECTING, IDLE, type ActorStatus, type ActorStore } from "./actorStore.js";
import { useBoundEvent, type Binding, type EventActor } from "./useEvent.js";

/** Options of useActor. */
export type UseActorOptions<R, N extends keyof R & string> = {
  /** The actor definition. */
  name: N;
  /** The actor's key. The actor is created if it does not exist. */
  key: Key;
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
  /** undefined in the first render, on the server, and while not enabled. */
  readonly connection: Connection<D> | undefined;
  /** For single calls over HTTP, without a connection. */
  readonly handle: Handle<D>;
  readonly status: ActorStatus;
  /** Whether status is `connected`. */
  readonly isConnected: boolean;
  /** The last error; cleared when the connection is up again. */
  readonly error: ActorError | undefined;
}

/** Connects to an actor while the component is mounted, over the store's shared connection. */
export function useStoreActor<D>(
  store: ActorStore,
  { name, key, params, enabled = true }: { name: string; key: Key; params?: unknown; enabled?: boolean },
): UseActor<D> {
  const id = actorId(name, key, params);
  const latest = useRef(params);
  useInsertionEffect(() => {
    latest.current = params;
  });

  const binding = useMemo<Binding | undefined>(
    () => (enabled ? { store, id, params: () => latest.current } : undefined),
    [store, id, enabled],
  );
  const subscribe = useCallback(
    (listener: () => void) => binding?.store.subscribe(binding.id, binding.params, listener) ?? (() => {}),
    [binding],
  );
  const snapshot = useSyncExternalStore(
    subscribe,
    () => (binding ? store.snapshot(id) : IDLE),
    () => (binding ? CONNECTING : IDLE),
  );

  return useMemo(
    () => ({
      ...(snapshot as typeof snapshot & { connection: Connection<D> | undefined }),
      handle: store.handle(id) as Handle<D>,
      "~binding": binding,
      useEvent: (event: string, handler: (data: never) => void) => useBoundEvent(binding, event, handler),
    }),
    [snapshot, store, id, binding],
  );
}
