import { useCallback, useInsertionEffect, useRef, useState } from "react";

/**
 * Shows what an action will do before it is done, and takes that back when it fails.
 *
 * ```tsx
 * const [shown, send, isPending] = useOptimisticAction(
 *   messages,
 *   (text: string) => room.connection!.sendMessage("ada", text),
 *   (messages, text) => [...messages, { id: "", userId: "ada", text, timestamp: Date.now() }],
 * );
 * ```
 *
 * It returns the state with what is on its way, a function that runs the action, and whether
 * any is on its way. That function's promise is the action's: it rejects when the action
 * failed, after what was shown is taken back. Actions may overlap; each is shown until it is
 * answered. The events that an action causes come before its answer, so that a state which
 * follows them (useActorState) has the effect by the time that the forecast of it goes.
 */
export function useOptimisticAction<S, A extends unknown[], R>(
  state: S,
  action: (...args: A) => PromiseLike<R>,
  forecast: (state: S, ...args: A) => S,
): [state: S, run: (...args: A) => Promise<R>, isPending: boolean] {
  const [pending, setPending] = useState<readonly { args: A }[]>([]);
  const latest = useRef(action);
  useInsertionEffect(() => {
    latest.current = action;
  });

  const run = useCallback(async (...args: A): Promise<R> => {
    const mine = { args };
    setPending((pending) => [...pending, mine]);
    try {
      return await latest.current(...args);
    } finally {
      setPending((pending) => pending.filter((other) => other !== mine));
    }
  }, []);

  const shown = pending.reduce((state, { args }) => forecast(state, ...args), state);
  return [shown, run, pending.length > 0];
}
