// Handles: an actor by name and key, its actions as single HTTP calls.
import { mergeOptions, watchOptions } from "./callOptions.js";
import { abandonedError, ActorError, errorFrom } from "./errors.js";
import { callable } from "./proxy.js";
import type { Http } from "./transport/sse.js";
import type { CallOptions, ConnectionApi, ConnectOptions, Handle, UntypedActor } from "./types.js";
import type { Open } from "./wire.js";

/** Which actor is meant, and whether it may be created: fields of an open message. */
export type Target = Pick<Open, "actor" | "key" | "actorId" | "create" | "input">;

/** What a handle is made of. */
export interface HandleSpec {
  /** The name of the actor definition. */
  actor: string;
  target: Target;
  /** The actor must not exist yet. */
  isNew: boolean;
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
  const { target, isNew } = spec;
  const address = `/api/actors/${encodeURIComponent(spec.actor)}`;
  const query = new URLSearchParams(
    target.actorId !== undefined ? { id: target.actorId } : target.key!.map((part) => ["key", part]),
  );

  const request = async (
    path: string,
    body: unknown,
    options: CallOptions,
    before?: () => Promise<unknown>,
  ): Promise<Answer> => {
    let sent = false;
    const abort = new AbortController();
    let reason = "link";
    const stopWatching = watchOptions(options, (why, cause) => {
      reason = why;
      abort.abort(cause);
    });
    try {
      abort.signal.throwIfAborted();
      // What comes before is shared: giving up here does not end it.
      if (before) await Promise.race([before(), new Promise((_, no) => abort.signal.addEventListener("abort", no))]);
      const url = spec.base() + path;
      const text = body && JSON.stringify(body);
      sent = true;
      const response = await spec.http(url, text as string | undefined, { signal: abort.signal });
      const answer = (await response.json()) as Answer;
      if (response.ok) return answer;
      throw errorFrom({ code: "protocol", message: `status ${response.status}`, ...answer });
    } catch (cause) {
      // maybe_ran is about the creation: the call itself was not sent.
      if (reason === "link" && cause instanceof ActorError && cause.code !== "maybe_ran") throw cause;
      throw abandonedError(sent, reason, cause);
    } finally {
      stopWatching();
    }
  };

  /** Creates the actor once if it needs input or must be new; a failed attempt may be repeated. */
  let created: Promise<unknown> | undefined;
  let unsure = false;
  const ready =
    isNew || target.input !== undefined
      ? () =>
          (created ??= request(address, { key: target.key, input: target.input }, spec.options).catch((error) => {
            const { code } = error as ActorError;
            // After a creation without an answer, what exists is taken for ours.
            if (code === "exists" && (unsure || !isNew)) return;
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
        connect: (params?: unknown, more?: ConnectOptions) => spec.connect(isNew ? ready : undefined, params, more),
        call,
        withOptions: (more: CallOptions) => withOptions(mergeOptions(options, more)),
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
