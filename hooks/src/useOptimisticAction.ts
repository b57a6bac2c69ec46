import { useCallback, useLatest, useState } from "./react.js";

/**
 * Shows the effect of an action before the server has run it, and undoes that if the action fails.
 *
 * ```tsx
 * const [shown, send, isPending] = useOptimisticAction(
 *   messages,
 *   (text: string) => room.connection!.sendMessage("ada", text),
 *   (messages, text) => [...messages, { id: "", userId: "ada", text, timestamp: Date.now() }],
 * );
 * ```
 *
 * Returns the state with the updates of all pending actions, a function that runs the action, and
 * whether any action is pending. The function's promise settles like the action's; when it rejects,
 * the update has been undone. Actions may overlap, and each update is shown until its action is
 * answered. The events that an action causes arrive before its reply. A state that applies them
 * (useActorState) therefore already has the effect when the optimistic update is removed.
 */
export function useOptimisticAction<S, A extends unknown[], R>(
  state: S,
  action: (...args: A) => PromiseLike<R>,
  update: (state: S, ...args: A) => S,
): [state: S, run: (...args: A) => Promise<R>, isPending: boolean] {
  const [pending, setPending] = useState<readonly A[]>([]);
  const latest = useLatest(action);

  const run = useCallback(
    async (...args: A): Promise<R> => {
      setPending((pending) => [...pending, args]);
      try {
        return await latest.current(...args);
      } finally {
        setPending((pending) => pending.filter((other) => other !== args));
      }
    },
    [latest],
  );

  const shown = pending.reduce((state, args) => update(state, ...args), state);
  return [shown, run, !!pending[0]];
}
