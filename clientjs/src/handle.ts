// Handles: an actor by name and key, its actions as single HTTP calls.
import { ActorError } from "./errors.js";
import { callable } from "./proxy.js";
import type { Http } from "./transport/sse.js";
import type { CallOptions, ConnectionApi, ConnectOptions, Handle, UntypedActor } from "./types.js";

/** Which actor is meant, and whether it may be created. */
export interface Target {
  actor: string;
  key?: readonly string[];
  actorId?: string;
  create?: false;
  input?: unknown;
  /** Must not exist yet. */
  isNew?: boolean;
}

/** What a handle is made of. */
export interface HandleSpec {
  target: Target;
  base: () => string;
  http: Http;
  options: CallOptions;
  connect(
    ready: (() => Promise<unknown>) | undefined,
    params: unknown,
    options?: ConnectOptions,
  ): ConnectionApi<UntypedActor>;
}

/** Creates a handle. It sends nothing until it is used. */
export function createHandle(spec: HandleSpec): Handle {
  const { target } = spec;
  const address = `/api/actors/${encodeURIComponent(target.actor)}`;
  const query = new URLSearchParams(
    target.actorId !== undefined ? { id: target.actorId } : target.key!.map((part) => ["key", part]),
  );

  const request = async (
    path: string,
    body: unknown,
    { timeoutMs, signal }: CallOptions,
    before?: () => Promise<unknown>,
  ): Promise<Answer> => {
    let sent = false;
    const abort = new AbortController();
    const onAbort = () => abort.abort(signal!.reason);
    const timer = deadline(timeoutMs, () => abort.abort());
    try {
      signal?.throwIfAborted();
      signal?.addEventListener("abort", onAbort);
      // What comes before is shared: giving up here does not end it.
      if (before) await Promise.race([before(), new Promise((_, no) => abort.signal.addEventListener("abort", no))]);
      const url = spec.base() + path;
      const text = body && JSON.stringify(body);
      sent = true;
      const response = await spec.http(url, text as string | undefined, { signal: abort.signal });
      const answer = (await response.json()) as Answer;
      if (response.ok) return answer;
      throw new ActorError(answer.code ?? "protocol", answer.message ?? `status ${response.status}`, answer.metadata);
    } catch (cause) {
      const reason = signal?.aborted ? "aborted" : abort.signal.aborted ? "timeout" : "link";
      // maybe_ran is about the creation: the call itself was not sent.
      if (reason === "link" && cause instanceof ActorError && cause.code !== "maybe_ran") throw cause;
      throw abandoned(sent, reason, cause);
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
    }
  };

  /** Creates the actor once if it needs input or must be new; a failed attempt may be repeated. */
  let created: Promise<unknown> | undefined;
  let unsure = false;
  const ready =
    target.isNew || target.input !== undefined
      ? () =>
          (created ??= request(address, { key: target.key, input: target.input }, spec.options).catch((error) => {
            const { code } = error as ActorError;
            // After a creation without an answer, what exists is taken for ours.
            if (code === "exists" && (unsure || !target.isNew)) return;
            unsure ||= code === "maybe_ran";
            created = undefined;
            throw error;
          }))
      : undefined;

  const withOptions = (options: CallOptions): Handle => {
    const call = async (action: string, ...args: unknown[]) => {
      const path = `${address}/actions/${encodeURIComponent(action)}?${query}${target.create === false ? "&create=false" : ""}`;
      return (await request(path, { args }, options, ready)).result;
    };
    return callable(
      {
        connect: (params?: unknown, more?: ConnectOptions) => spec.connect(target.isNew ? ready : undefined, params, more),
        call,
        withOptions: (more: CallOptions) => withOptions(merge(options, more)),
        resolve: async () => target.actorId ?? (await request(`${address}?${query}`, undefined, options, ready)).id,
      },
      (action) =>
        (...args: unknown[]) =>
          call(action, ...args),
    ) as unknown as Handle;
  };
  return withOptions(spec.options);
}

/** A body of an HTTP answer: a result, an id, or an error. */
interface Answer {
  result?: unknown;
  id?: string;
  code?: string;
  message?: string;
  metadata?: unknown;
}

/** Options over others; one that is undefined says nothing. */
export const merge = (under: CallOptions, { timeoutMs = under.timeoutMs, signal = under.signal }: CallOptions): CallOptions => ({
  timeoutMs,
  signal,
});

/** Runs fn after so many milliseconds; never, for 0 and what no timer can wait for. */
export const deadline = (ms: number | undefined, fn: () => void) =>
  ms && ms < 2 ** 31 ? setTimeout(fn, ms) : undefined;

/** The error of a call that the client gives up on. */
export function abandoned(sent: boolean, reason: string, cause?: unknown): ActorError {
  return new ActorError(
    sent ? "maybe_ran" : "not_sent",
    sent ? `the call was sent but not answered (${reason}): it may have run` : `the call was not sent (${reason})`,
    { reason },
    { cause },
  );
}
