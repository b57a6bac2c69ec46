import type { ActorStatus } from "@troupe/react";

const TEXT: Record<ActorStatus, string> = {
  idle: "Not connected",
  connecting: "Connecting…",
  connected: "Connected",
  disconnected: "Reconnecting…",
  closed: "Disconnected",
};

/** A dot and a word. label is its accessible name. */
export function ConnectionStatus({ status, label = "Connection" }: { status: ActorStatus; label?: string }) {
  return (
    <span role="status" aria-label={label} className="status" data-status={status}>
      {TEXT[status]}
    </span>
  );
}
