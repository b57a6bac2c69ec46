import type { StreamStatus } from "./useStream";

const TEXT: Record<StreamStatus, string> = {
  connecting: "Connecting…",
  connected: "Live",
  disconnected: "Reconnecting…",
  closed: "Ended",
};

/** A dot and a word: whether what is shown is live. */
export function Live({ status }: { status: StreamStatus }) {
  return (
    <span role="status" aria-label="Stream" className="status" data-status={status}>
      {TEXT[status]}
    </span>
  );
}
