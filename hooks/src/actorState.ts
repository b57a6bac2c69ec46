// A state that is loaded by an action and kept up to date by events. Does not depend on React.
import type { Connection, EventsOf, UntypedActor } from "@troupe/client";

/** How to load a state, and how events change it. */
export interface StateOptions<D, S> {
  /**
   * Loads the state by calling one action of the given connection. The result counts as the state
   * at the moment of the action's reply, however long load takes after it. It is called again when
   * missed events cannot be replayed. The call has no time-out.
   */
  load: (connection: Connection<D>) => S | PromiseLike<S>;
  /** Combines the state so far with one that was loaded again [returns the loaded one]. */
  merge?: (known: S, loaded: S) => S;
  /**
   * Reducers by event name: each returns the state after the event, a new value if it changed.
   * (Write `(state, data) => reduce(state, data)`: with a bare `reduce`, TypeScript does not infer
   * the state's type from load.)
   */
  on: { [N in keyof EventsOf<D>]?: (state: S, data: EventsOf<D>[N]) => S };
}

/** A state and its status. The same object until something changes. */
export type ActorState<S> =
  /** The state is the actor's, except for events that have not arrived yet. */
  | { readonly status: "ready"; readonly state: S; readonly error: undefined }
  /** The state is being loaded. Meanwhile state is the one from before, if there is one. */
  | { readonly status: "loading"; readonly state: S | undefined; readonly error: undefined }
  /** Loading failed, or a function of the options threw. */
  | { readonly status: "error"; readonly state: S | undefined; readonly error: unknown };

/** The result of useActorState. */
export type UseActorState<S> = ActorState<S> & {
  /** Loads the state again, for example after an error. */
  reload(): void;
};

/** The state before there is a connection. */
export const LOADING = { status: "loading", reload() {} } as UseActorState<never>;

/**
 * Loads a state and applies events to it until the function returned is called. Calls onChange after every change.
 *
 * Each event is in the state exactly once. The replies and events of a connection arrive in the
 * order of the actor's turns, so the loaded state contains the events before the reply, and those
 * after it are applied. Events missed while the link was down are replayed in the same order; if
 * that is impossible (`recovered: false`), the state is loaded again.
 */
export function followState<S>(
  connection: Connection,
  events: readonly string[],
  options: () => StateOptions<UntypedActor, S>,
  onChange: (state: UseActorState<S>) => void,
): () => void {
  let current: UseActorState<S> = LOADING;
  /** null once it was stopped: components may still call the functions that were shown last. */
  let loading: AbortController | null | undefined;
  /** Events that arrived after the reply, while load is still running. */
  let queued: Array<(state: S) => S> = [];

  const setState = (status: ActorState<S>["status"], state: S | undefined, error?: unknown) =>
    onChange((current = { status, state, error, reload } as UseActorState<S>));

  const load = async () => {
    loading?.abort();
    const { signal } = (loading = new AbortController());
    queued = [];
    setState("loading", current.state);
    // New listeners are subscribed in the next microtask; the call must be sent after that.
    await null;
    if (signal.aborted) return;
    let next: Parameters<typeof setState>;
    try {
      let state: S = await options().load(
        connection.withOptions({
          signal,
          timeoutMs: 0,
          "~onSettled"() {
            if (!signal.aborted) queued = [];
          },
        }),
      );
      if (current.state !== undefined) state = options().merge?.(current.state, state) ?? state;
      for (const apply of queued) state = apply(state);
      next = ["ready", state];
    } catch (error) {
      next = ["error", current.state, error];
    }
    if (signal.aborted) return;
    loading = undefined;
    setState(...next);
  };
  const reload = () => {
    if (loading !== null) void load();
  };

  /** Loads the state again after missed events, and after a refusal, which has failed the load. */
  const onConnected = (data?: { recovered: boolean }) =>
    (data?.recovered === false || current.status === "error") && reload();
  const unsubscribes = [
    // Before the listeners below, so that a `reconnected` in options.on is queued while the state is loading.
    connection.on("connected", onConnected),
    connection.on("reconnected", onConnected),
    ...events.map((name) =>
      connection.on(name, (data) => {
        const apply = (state: S) => options().on[name]!(state, data);
        if (loading) queued.push(apply);
        if (current.status !== "ready") return;
        const state = apply(current.state);
        if (!Object.is(state, current.state)) setState("ready", state);
      }),
    ),
  ];
  reload();

  return () => {
    loading?.abort();
    for (const unsubscribe of unsubscribes) unsubscribe();
    loading = null;
  };
}
