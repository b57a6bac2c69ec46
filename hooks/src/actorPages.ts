// Pages of a table that are loaded by an action, from its end on, and kept up to date by events. Does not depend on React.
import type { Connection, EventsOf, UntypedActor } from "@troupe/client";

/** The key of an item: keys have an order. */
export type PageKey = string | number;

/** An item of a table. */
export interface PageItem<K, V> {
  readonly key: K;
  readonly value: V;
}

/** Items of a table, in the order of their keys: what `actor.Page` is in TypeScript. */
export interface Page<K, V> {
  readonly items: readonly PageItem<K, V>[];
  /** The table has items before these. */
  readonly hasBefore: boolean;
}

/** What has happened to one item: it has this value now, or was deleted if there is no value. */
export interface ItemChange<K, V> {
  readonly key: K;
  readonly value?: V;
}

/** How to load pages, and what events say of items. */
export interface PagesOptions<D, K extends PageKey, V> {
  /**
   * Loads the items before a key, or the last ones if it is null, by calling one action of the given connection. The
   * result counts as the table at the moment of the action's reply, however long load takes after it. The call has no
   * time-out. (Pass the key on as it is, or write its type, such as `before: number | null`: TypeScript infers the type of
   * keys from what load returns.)
   */
  load: (connection: Connection<D>, before: never) => Page<K, V> | PromiseLike<Page<K, V>>;
  /**
   * By event name: returns how the event changes an item, or undefined if it changes none. An event about an item that is
   * not loaded may be told like any other: it changes nothing.
   */
  on: { [N in keyof EventsOf<D>]?: (data: EventsOf<D>[N]) => ItemChange<K, V> | undefined };
}

/** The items that are loaded: all from one key on to the end. The same object until something changes. */
export interface ActorPages<K, V> {
  /** In the order of their keys. */
  readonly items: readonly PageItem<K, V>[];
  /** There are items before the first one that is loaded. */
  readonly hasOlder: boolean;
  readonly isLoadingOlder: boolean;
  /**
   * `ready`: the items are the actor's, except for events that have not arrived yet. `loading`: they are loaded for the
   * first time, or again; meanwhile they are those from before. `error`: that has failed.
   */
  readonly status: "loading" | "ready" | "error";
  /** Why loading has failed; also with status `ready` if it was that of older items, which loadOlder tries again. */
  readonly error: unknown;
  /**
   * Loads the page before the first item. Does nothing while there is none, while pages are being loaded, and while
   * status is not `ready`. It stays the same function, as reload does, until the actor is another one.
   */
  loadOlder(): void;
  /** Loads again what is loaded, for example after an error. */
  reload(): void;
}

/** The pages before there is a connection. */
export const NO_PAGES: ActorPages<never, never> = {
  items: [],
  hasOlder: false,
  isLoadingOlder: false,
  status: "loading",
  error: undefined,
  loadOlder() {},
  reload() {},
};

/** How many pages are loaded again, at most, when missed events cannot be replayed. Older ones are dropped. */
const MAX_RELOADED = 20;

/** Items without a gap up to the end. */
interface Loaded<K, V> {
  items: readonly PageItem<K, V>[];
  /** They are all items from this key on; null: all there are; undefined: none was loaded. */
  from: K | null | undefined;
}

/** Compares keys as the server does: strings by their code points, which UTF-16 orders in another way. */
function compare<K extends PageKey>(a: K, b: K): number {
  if (typeof a === "number" || typeof b === "number") return Number(a) - Number(b);
  let i = 0;
  while (i < a.length && a[i] === b[i]) i++;
  // A pair of surrogates is above all other units.
  const rank = (unit: number) => (unit >> 11 === 27 ? unit + 0x10000 : unit);
  return (i < a.length ? rank(a.charCodeAt(i)) : -1) - (i < b.length ? rank(b.charCodeAt(i)) : -1);
}

/** Applies a change. One of an item before those that are loaded changes nothing. */
function changed<K extends PageKey, V>(loaded: Loaded<K, V>, { key, value }: ItemChange<K, V>): Loaded<K, V> {
  const { items, from } = loaded;
  if (from === undefined || (from !== null && compare(key, from) < 0)) return loaded;
  let i = items.length; // most changes are near the end
  while (i > 0 && compare(items[i - 1]!.key, key) >= 0) i--;
  const isKnown = items[i] && compare(items[i]!.key, key) === 0;
  if (value === undefined && !isKnown) return loaded;
  const after = items.slice(isKnown ? i + 1 : i);
  return { from, items: [...items.slice(0, i), ...(value === undefined ? [] : [{ key, value }]), ...after] };
}

/** Adds the page before the items. One that has nothing older is the first. */
function prepended<K extends PageKey, V>({ items, from }: Loaded<K, V>, page: Page<K, V>): Loaded<K, V> {
  const older = page.items.filter(({ key }) => from === undefined || compare(key, from!) < 0);
  return { items: [...older, ...items], from: page.hasBefore && older[0] ? older[0].key : null };
}

/**
 * Loads the last page and applies events to it until the function returned is called. Calls onChange after every change.
 *
 * The items are always those of the actor from some key on, without a gap, each once. The replies and events of a
 * connection arrive in the order of the actor's turns, so a page contains the events before its reply, and those after
 * it are applied. Events missed while the link was down are replayed in the same order; if that is impossible
 * (`recovered: false`), all pages are loaded again.
 */
export function followPages<K extends PageKey, V>(
  connection: Connection,
  events: readonly string[],
  options: () => PagesOptions<UntypedActor, K, V>,
  onChange: (pages: ActorPages<K, V>) => void,
): () => void {
  let current: ActorPages<K, V> = NO_PAGES;
  let shown: Loaded<K, V> = { items: [], from: undefined };
  /** What events change: the items shown or, while they are loaded again, those that will be. */
  let live = shown;
  /** null once it was stopped: components may still call the functions that were shown last. */
  let loading: AbortController | null | undefined;
  /** What events have changed since the reply, while load is still running. */
  let queued: ItemChange<K, V>[] = [];

  const show = (next: Partial<ActorPages<K, V>>) => {
    const { items, from } = shown;
    const hasOlder = from !== undefined && from !== null;
    onChange((current = { ...current, error: undefined, ...next, items, hasOlder, loadOlder, reload }));
  };

  /** Loads pages in front of live while wanted says so, and then calls done. */
  const loadPages = async (wanted: () => boolean, done: () => void, failed: (error: unknown) => void) => {
    const { signal } = (loading = new AbortController());
    // New listeners are subscribed in the next microtask; the call must be sent after that.
    await null;
    try {
      while (!signal.aborted && wanted()) {
        queued = [];
        const view = connection.withOptions({
          signal,
          timeoutMs: 0,
          "~onSettled"() {
            if (!signal.aborted) queued = [];
          },
        });
        const page = await options().load(view, (live.from ?? null) as never);
        if (signal.aborted) return;
        live = queued.reduce(changed<K, V>, prepended(live, page));
      }
      if (signal.aborted) return;
      loading = undefined;
      done();
    } catch (error) {
      if (signal.aborted) return;
      loading = undefined;
      failed(error);
    }
  };

  const loadOlder = () => {
    if (loading !== undefined || current.status !== "ready" || !current.hasOlder) return;
    show({ isLoadingOlder: true });
    const { from } = live;
    void loadPages(
      () => live.from === from,
      () => {
        shown = live;
        show({ isLoadingOlder: false });
      },
      (error) => show({ isLoadingOlder: false, error }),
    );
  };

  const reload = () => {
    if (loading === null) return;
    loading?.abort();
    const { from } = shown;
    let pages = 0;
    live = { items: [], from: undefined };
    show({ status: "loading", isLoadingOlder: false });
    void loadPages(
      // Those that were shown, and at least the last page.
      () =>
        !pages++ ||
        (from !== undefined &&
          live.from !== null &&
          pages <= MAX_RELOADED &&
          (from === null || compare(live.from!, from) > 0)),
      () => {
        shown = live;
        show({ status: "ready" });
      },
      (error) => {
        live = { items: [], from: undefined };
        show({ status: "error", error });
      },
    );
  };

  /** Loads again after missed events, and after a refusal, which has failed the load. */
  const onConnected = (data?: { recovered: boolean }) => {
    if (data?.recovered === false || current.status === "error") reload();
  };
  const unsubscribes = [
    connection.on("reconnected", onConnected),
    connection.on("connected", onConnected),
    ...events.map((name) =>
      connection.on(name, (data) => {
        const change = options().on[name]!(data);
        if (!change) return;
        if (loading) queued.push(change);
        const before = live;
        live = changed(live, change);
        if (live === before || current.status !== "ready") return;
        shown = live;
        show({ error: current.error });
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
