import type { Client } from "@troupe/client";
import { createHooks, useActorState, useOptimisticAction } from "@troupe/react";
import type { Registry } from "../registry.gen";

/** Makes the hook of a person who has a client of their own. */
export function createStage(client: Client<Registry>) {
  const { useActor } = createHooks(client);

  return function useStage(room: string, me: string) {
    const stage = useActor({ name: "stage", key: [room] });
    const { state: lines = [] } = useActorState(stage, {
      load: (connection) => connection.getLines(),
      on: { spoken: (lines, line) => [...lines, line] },
    });
    // Shown at once, sent when there is a link, and run once.
    const [shown, say] = useOptimisticAction(
      lines,
      (text: string) => stage.connection!.say(me, text),
      (lines, text) => [...lines, { number: 0, from: me, text }],
    );
    return { stage, lines: shown, say };
  };
}
