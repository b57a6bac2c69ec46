import { ActorError } from "@troupe/client";
import { base } from "../app/router";
import type { Subscription } from "../registry.gen";

/**
 * Sets the visitor's subscription in a signed cookie. Returns a pass that proves the same to the room for a minute,
 * because an open WebSocket does not have the new cookie. Throws an ActorError if the server refuses.
 */
export async function setSubscription(subscription: Subscription): Promise<string> {
  const response = await fetch(`${base}/api/session`, {
    method: "POST",
    body: JSON.stringify({ subscription }),
  });
  const { code, message, pass } = await response.json();
  if (!response.ok) throw new ActorError(code, message);
  return pass;
}
