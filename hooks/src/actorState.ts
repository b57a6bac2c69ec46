// A state that is loaded by an action and kept up to date by events. Knows no React.
import type { Connection, EventsOf, UntypedActor } from "@troupe/client";

/** How to load a state, and what events do to it. */
export interface StateOptions<D, S> {
  /**
   * Asks the actor for the state, by one action of the connection that it is given; what it
   * makes of the answer is the state as of that answer, however long that takes. It is called
   * again when events were missed for good. Its call has no time-out.
   */
  load: (connection: Connection<D>) => S | PromiseLike<S>;
  /** Makes one state of what was known and what was loaded anew [the latter]. */
  merge?: (known: S, loaded: S) => S;
  /**
   * By event name: the state after the event. As in a reducer, a changed state is a new value.
   * (Write `(state, data) => reduce(state, data)`: beside a bare `reduce`, TypeScript does not
   * infer the state's type from load.)
   */
  on: { [N in keyof EventsOf<D>]?: (state: S, data: EventsOf<D>[N]) => S };
}

/** What is known of a state; the same object until something changed. */
export type ActorState<S> =
  /** The state is as the actor's, but for what is on its way. */
  | { readonly status: "ready"; readonly state: S; readonly error: undefined }
  /** The state is being loaded; if that is not the first time, it is that of before. */
  | { readonly status: "loading"; readonly state: S | undefined; readonly error: undefined }
  /** Loading failed, or a function of the options threw. */
  | { readonly status: "error"; readonly state: S | undefined; readonly error: unknown };

/** Before anything was loaded. */
export const LOADING = { status: "loading", state: undefined, error: undefined } as const;

/** A state that is being followed. */
export interface Follower {
  /** Loads it anew. */
  reload(): void;
  stop(): void;
}

/**
 * Loads a state and applies events to it until it is stopped; tell is called after every
 * change. Each event is in the state exactly once: replies and events of a connection are
 * one stream in the order of the actor's turns, so those before the reply are in what was
 * loaded, and those after it are applied to it. What was missed while the link was down is
 * replayed in the same order; if that is impossible (`recovered: false`), it loads anew.
 */
export function followState<S>(
  connection: Connection,
  events: readonly string[],
  options: () => StateOptions<UntypedActor, S>,
  tell: (state: ActorState<S>) => void,
): Follower {
  let now: ActorState<S> = LOADING;
  let loading: AbortController | undefined;
  /** What came after the reply while load makes a state of it. */
  let behind: Array<(state: S) => S> = [];

  const change = (next: ActorState<S>) => tell((now = next));

  const reload = async () => {
    loading?.abort();
    const { signal } = (loading = new AbortController());
    behind = [];
    if (now !== LOADING) change({ status: "loading", state: now.state, error: undefined });
    // New listeners are told to the server at the end of this tick; the call goes behind that.
    await null;
    if (signal.aborted) return;
    let next: ActorState<S>;
    try {
      const view = replying(connection.withOptions({ signal, timeoutMs: 0 }), () => {
        if (!signal.aborted) behind = [];
      });
      let state: S = await options().load(view);
      if (now.state !== undefined) state = options().merge?.(now.state, state) ?? state;
      for (const apply of behind) state = apply(state);
      next = { status: "ready", state, error: undefined };
    } catch (error) {
      next = { status: "error", state: now.state, error };
    }
    if (signal.aborted) return;
    loading = undefined;
    change(next);
  };

  const offs = [
    // First, so that an event of the same name in the options finds it loading.
    connection.on("reconnected", ({ recovered }) => {
      if (!recovered || now.status === "error") void reload();
    }),
    ...events.map((name) =>
      connection.on(name, (data) => {
        const apply = (state: S) => options().on[name]!(state, data);
        if (loading) behind.push(apply);
        else if (now.status === "ready") {
          const state = apply(now.state);
          if (!Object.is(state, now.state)) change({ ...now, state });
        }
      }),
    ),
  ];
  void reload();

  return {
    reload: () => void reload(),
    stop() {
      loading?.abort();
      for (const off of offs) off();
    },
  };
}

/** The connection; replied is called when a call was answered, before any later event. */
function replying(connection: Connection, replied: () => void): Connection {
  return new Proxy(connection, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== "function") return value;
      return (...args: unknown[]) => {
        const result: unknown = (value as (...args: unknown[]) => unknown)(...args);
        if (name === "withOptions") return replying(result as Connection, replied);
        return result instanceof Promise ? result.finally(replied) : result;
      };
    },
  });
}
