import type { LifecycleEvents, Status } from "../src/index.js";

/** The documented state machine of a connection: the status after an event, by status and event. */
export const MACHINE: Record<Status, Partial<Record<keyof LifecycleEvents, Status>>> = {
  connecting: { connected: "connected", error: "connecting", closed: "closed" },
  connected: { disconnected: "disconnected", error: "connected", closed: "closed" },
  disconnected: { reconnected: "connected", error: "disconnected", closed: "closed" },
  closed: {},
};
