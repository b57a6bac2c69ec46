"use client";

import { createClient } from "@troupe/client";
import { createHooks, useActorState } from "@troupe/react";
import type { registry } from "./registry";

const client = createClient<typeof registry>(process.env.NEXT_PUBLIC_TROUPE_URL);
const { useActor } = createHooks(client);

export function NextCounter({ of }: { of: string }) {
  const counter = useActor({ name: "counter", key: [of] });
  const { state } = useActorState(counter, {
    load: (connection) => connection.get(),
    on: { changed: (_, { value }) => value },
  });
  return <button onClick={() => counter.connection?.add(1)}>{state ?? "…"}</button>;
}
