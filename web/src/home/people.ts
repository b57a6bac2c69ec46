// The two people of the home page. Each has a client, and so a socket, of their own.

import { createClient } from "@troupe/client";
import { registry } from "../registry.gen";
import { Plug } from "./plug";
import { createStage } from "./useStage";

const TIMEOUT_MS = 600_000; // a plug may stay out for long while somebody reads

function person(name: string) {
  const plug = new Plug();
  const client = createClient<typeof registry>(undefined, {
    registry,
    transport: "websocket",
    WebSocket: plug.WebSocket,
    timeoutMs: TIMEOUT_MS,
  });
  return {
    name,
    plug,
    useStage: createStage(client),
    insert: () => {
      plug.insert();
      client.reconnect();
    },
    reconnect: client.reconnect,
  };
}

export type Person = ReturnType<typeof person>;

export const ada = person("Ada");
export const bob = person("Bob");
