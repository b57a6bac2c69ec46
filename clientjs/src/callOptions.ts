import type { CallOptions } from "./types.js";

/** Options over others; one that is undefined keeps the other's value. */
export const mergeOptions = (
  under: CallOptions,
  { timeoutMs = under.timeoutMs, signal = under.signal }: CallOptions,
): CallOptions => ({
  timeoutMs,
  signal,
});

/**
 * Calls giveUp when the time of a call is over, with "timeout", or when its signal is aborted, with
 * "aborted" and the signal's reason. A signal that is aborted already counts at once. The function returned ends this.
 */
export function watchOptions(
  { timeoutMs, signal }: CallOptions,
  giveUp: (reason: string, cause?: unknown) => void,
): () => void {
  const onAbort = () => giveUp("aborted", signal!.reason);
  // 0 means never, and no timer can wait for more than 2³¹ ms.
  const timer = timeoutMs && timeoutMs < 2 ** 31 ? setTimeout(giveUp, timeoutMs, "timeout") : undefined;
  if (signal?.aborted) onAbort();
  signal?.addEventListener("abort", onAbort);
  return () => {
    clearTimeout(timer);
    signal?.removeEventListener("abort", onAbort);
  };
}
