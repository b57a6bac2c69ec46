// Handles: they name an actor, and call its actions with single HTTP requests.
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
    ensureCreated: (() => Promise<unknown>) | undefined,
    params: unknown,
    options?: ConnectOptions,
  ): ConnectionApi<UntypedActor>;
}

/** Creates a handle, which sends nothing until it is used. */
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
    prerequisite?: () => Promise<unknown>,
  ): Promise<ResponseBody> => {
    let sent = false;
    const abort = new AbortController();
    let reason = "link";
    const stopWatching = watchOptions(options, (why, cause) => {
      reason = why;
      abort.abort(cause);
    });
    try {
      abort.signal.throwIfAborted();
      // Other requests may be waiting for the same creation: giving up this one does not end it.
      if (prerequisite)
        await Promise.race([
          prerequisite(),
          new Promise((_, reject) => abort.signal.addEventListener("abort", reject)),
        ]);
      const url = spec.base() + path;
      const text = body && JSON.stringify(body);
      sent = true;
      const response = await spec.http(url, text as string | undefined, { signal: abort.signal });
      const answer = (await response.json()) as ResponseBody;
      if (response.ok) return answer;
      throw errorFrom({ code: "protocol", message: `status ${response.status}`, ...answer });
    } catch (cause) {
      // A maybe_ran is that of the creation; this call was not sent.
      if (reason === "link" && cause instanceof ActorError && cause.code !== "maybe_ran") throw cause;
      throw abandonedError(sent, reason, cause);
    } finally {
      stopWatching();
    }
  };

  /** Creates the actor if it needs input or must be new: once, but again after a failure. */
  let created: Promise<unknown> | undefined;
  let mayExist = false;
  const ensureCreated =
    isNew || target.input !== undefined
      ? () =>
          (created ??= request(address, { key: target.key, input: target.input }, spec.options).catch((error) => {
            const { code } = error as ActorError;
            // After a creation whose response was lost, an actor that exists is taken for the one created here.
            if (code === "exists" && (mayExist || !isNew)) return;
            mayExist ||= code === "maybe_ran";
            created = undefined;
            throw error;
          }))
      : undefined;

  const withOptions = (options: CallOptions): Handle => {
    const call = async (action: string, ...args: unknown[]) => {
      const path = `${address}/actions/${encodeURIComponent(action)}?${query}${target.create === false ? "&create=false" : ""}`;
      return (await request(path, { args }, options, ensureCreated)).result;
    };
    return callable(
      {
        connect: (params?: unknown, more?: ConnectOptions) =>
          spec.connect(isNew ? ensureCreated : undefined, params, more),
        call,
        withOptions: (more: CallOptions) => withOptions(mergeOptions(options, more)),
        resolve: async () =>
          target.actorId ?? (await request(`${address}?${query}`, undefined, options, ensureCreated)).id,
      },
      (action) =>
        (...args: unknown[]) =>
          call(action, ...args),
    ) as unknown as Handle;
  };
  return withOptions(spec.options);
}

/** The body of an HTTP response: a result, an id, or an error. */
interface ResponseBody {
  result?: unknown;
  id?: string;
  code?: string;
  message?: string;
  metadata?: unknown;
}
