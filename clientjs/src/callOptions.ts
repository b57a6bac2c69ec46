import { abandonedError, ActorError } from "./errors.js";
import type { CallOptions } from "./types.js";

/** Options over others; one that is undefined keeps the other's value. */
export const mergeOptions = (
  under: CallOptions,
  { timeoutMs = under.timeoutMs, signal = under.signal, ...more }: CallOptions,
): CallOptions => ({
  ...under,
  ...more,
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
  const end = (reason: string, cause?: unknown) => {
    stop();
    giveUp(reason, cause);
  };
  const onAbort = () => end("aborted", signal!.reason);
  // 0 means never, and no timer can wait for more than 2³¹ ms.
  const timer = timeoutMs && timeoutMs < 2 ** 31 ? setTimeout(end, timeoutMs, "timeout") : undefined;
  const stop = () => {
    clearTimeout(timer);
    signal?.removeEventListener("abort", onAbort);
  };
  signal?.addEventListener("abort", onAbort);
  if (signal?.aborted) onAbort();
  return stop;
}

/**
 * Runs step until it settles, or the options give it up, which aborts its signal. step calls onSend before it sends
 * its request. Rejects with `not_sent` or `maybe_ran` unless step does with what the server answered.
 */
export const limited = <T>(
  options: CallOptions,
  step: (signal: AbortSignal, onSend: () => void) => Promise<T>,
): Promise<T> =>
  new Promise((resolve, reject) => {
    let sent = false;
    const abort = new AbortController();
    const giveUp = (reason: string, cause?: unknown) => {
      reject(abandonedError(sent, reason, cause));
      abort.abort(cause);
    };
    const stopWatching = watchOptions(options, giveUp);
    if (abort.signal.aborted) return;
    step(abort.signal, () => (sent = true))
      .then(resolve, (cause) => {
        // A maybe_ran before the request was sent is that of the creation of its actor.
        if (cause instanceof ActorError && (sent || cause.code !== "maybe_ran")) reject(cause);
        else giveUp("link", cause);
      })
      .finally(stopWatching);
  });
