import { followPages, NO_PAGES, type ActorPages, type PageKey, type PagesOptions } from "./actorPages.js";
import type { EventActor } from "./useEvent.js";
import { useFollowed } from "./useFollowed.js";

/**
 * Returns the last items of an `actor.Table`, and older ones as they are asked for: an infinite list that is live at its
 * end. It never has a gap, and no item twice, whatever happens to the link.
 *
 * ```tsx
 * const { items, hasOlder, loadOlder } = useActorPages(room, {
 *   load: (connection, before) => connection.getPage(before, 50),
 *   on: {
 *     messageReceived: ({ key, message }) => ({ key, value: message }),
 *     messageDeleted: ({ key }) => ({ key }),
 *   },
 * });
 * ```
 *
 * If events were lost for which the actor's log is too short, up to 20 pages are loaded again; older ones are dropped and
 * can be loaded by loadOlder. The functions may be new ones in each render; the latest are called.
 */
export function useActorPages<D, K extends PageKey, V>(
  actor: EventActor<D>,
  options: PagesOptions<D, K, V>,
): ActorPages<K, V> {
  return useFollowed<D, PagesOptions<D, K, V>, ActorPages<K, V>>(actor, options, followPages as never, NO_PAGES);
}
