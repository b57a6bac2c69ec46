import type { Connection } from "@troupe/client";
import { useEffect, useLatest, useState } from "./react.js";
import type { Binding, EventActor } from "./useEvent.js";

/**
 * Returns the latest state that follow has told while the component is mounted. `follow` must always be the same
 * function; options may be others in each render, and initial is the state until there is one.
 */
export function useFollowed<D, O extends { on: object }, S>(
  actor: EventActor<D>,
  options: O,
  follow: (
    connection: Connection,
    events: readonly string[],
    options: () => O,
    onChange: (state: S) => void,
  ) => () => void,
  initial: S,
): S {
  const binding = actor["~binding"] as Binding | undefined;
  const names = JSON.stringify(Object.keys(options.on).sort());
  const latest = useLatest(options);

  // The state belongs to a binding: that of another actor is not shown.
  const [[of, state], setStored] = useState<readonly [of: Binding | undefined, state: S]>([undefined, initial]);
  useEffect(
    () =>
      binding?.store.use(binding, (connection) =>
        follow(
          connection,
          JSON.parse(names) as string[],
          () => latest.current,
          (state) => setStored([binding, state]),
        ),
      ),
    [binding, names, latest, follow],
  );
  return of === binding ? state : initial;
}
