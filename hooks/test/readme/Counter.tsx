import { useState } from "react";
import { createClient } from "@troupe/client";
import { createHooks } from "@troupe/react";
import type { registry } from "./registry";

export const client = createClient<typeof registry>();
const { useActor } = createHooks(client);

export function Counter({ of, me }: { of: string; me: string }) {
  const [counted, setCounted] = useState({ value: 0, by: "" });
  const counter = useActor({ name: "counter", key: [of] });

  counter.useEvent("changed", setCounted);

  return (
    <button disabled={!counter.isConnected} onClick={() => counter.connection?.add(me, 1)}>
      {of}: {counted.value} {counted.by && `(${counted.by})`}
    </button>
  );
}
