import { ActorError } from "@troupe/client";
import { base } from "../app/router";
import type { Subscription } from "../registry.gen";

/**
 * Subscribes, or ends that: from now on the visitor has a signed cookie that says so. Resolves to a pass,
 * which says the same to the room for a minute: a WebSocket that is open does not have the new cookie.
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
