import type { LifecycleEvents, Status } from "../src/index.js";

/** The published machine of a connection: from a status, an event, to a status. */
export const MACHINE: Record<Status, Partial<Record<keyof LifecycleEvents, Status>>> = {
  connecting: { connected: "connected", error: "connecting", closed: "closed" },
  connected: { disconnected: "disconnected", error: "connected", closed: "closed" },
  disconnected: { reconnected: "connected", error: "disconnected", closed: "closed" },
  closed: {},
};
