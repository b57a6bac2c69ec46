import { createClient } from "@troupe/client";
import { createHooks, useActorState } from "@troupe/react";
import type { registry } from "./registry";

export const client = createClient<typeof registry>();
const { useActor } = createHooks(client);

export function Counter({ of }: { of: string }) {
  const counter = useActor({ name: "counter", key: [of] });
  const { state = 0 } = useActorState(counter, {
    load: (connection) => connection.get(),
    on: { changed: (_, { value }) => value },
  });
  return <button onClick={() => counter.connection?.add(1)}>{`${of}: ${state}`}</button>;
}
