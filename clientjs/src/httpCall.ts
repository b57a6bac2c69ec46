// The single HTTP requests of a handle: calls, the creation of its actor, and finding its id.
import type { HandleSpec } from "./handle.js";
import type { Fetch, Tools } from "./http.js";
import type { CallOptions } from "./types.js";

/** Sends the requests of one handle. */
export interface Caller {
  /** Runs an action; args is the array of its arguments as JSON. */
  call(options: CallOptions, action: string, args: string): Promise<unknown>;
  /** Returns the actor's id. */
  resolve(options: CallOptions): Promise<string>;
  /** Creates the actor, if this handle is one of `create` or has an input: once, but again after a failure. */
  create(): Promise<unknown>;
}

/** The body of an HTTP response: a result, an id, or an error. */
interface ResponseBody {
  result?: unknown;
  id?: string;
  code?: string;
  message?: string;
  metadata?: unknown;
}

/** Creates the caller of a handle. */
export function createCaller(spec: HandleSpec, send: Fetch, tools: Tools): Caller {
  const { target, isNew } = spec;
  const address = `/api/actors/${encodeURIComponent(spec.actor)}`;
  const names = target.actorId !== undefined ? { id: target.actorId } : target.key!.map((part) => ["key", part]);
  /** Names the actor: `id=…`, `key=…&key=…`, or `key` alone if it has no key. */
  const query = new URLSearchParams(names).toString() || "key";

  /** Runs step until it settles, or the options end it. It calls onSend before it sends something. */
  const limit = async <T>(options: CallOptions, step: (signal: AbortSignal, onSend: () => void) => Promise<T>) => {
    let sent = false;
    let reason: string | undefined;
    let stopWatching = () => {};
    const abort = new AbortController();
    const givenUp = new Promise<never>((_, reject) => {
      stopWatching = tools.watchOptions(options, (why, cause) => {
        reason = why;
        abort.abort(cause);
        reject(cause);
      });
    });
    try {
      return await Promise.race([givenUp, reason ? givenUp : step(abort.signal, () => (sent = true))]);
    } catch (cause) {
      // A maybe_ran is that of the creation; this call was not sent.
      const { name, code } = (cause ?? {}) as { name?: string; code?: string };
      if (!reason && name === "ActorError" && code !== "maybe_ran") throw cause;
      throw tools.abandonedError(sent, reason ?? "link", cause);
    } finally {
      stopWatching();
    }
  };

  /** A request that waits for the creation of the actor, if that is necessary, unless it is the creation itself. */
  const request = (path: string, body: string | undefined, options: CallOptions, isCreation?: boolean) =>
    limit(options, async (signal, onSend) => {
      // Other requests may be waiting for the same creation: giving up this one does not end it.
      if (!isCreation) await create();
      if (signal.aborted) throw signal.reason;
      const url = spec.base() + path;
      onSend();
      const response = await send(url, body, { signal });
      const answer = (await response.json()) as ResponseBody;
      if (response.ok) return answer;
      throw tools.errorFrom({ code: "protocol", message: `status ${response.status}`, ...answer });
    });

  let created: Promise<string | undefined> | undefined;
  let mayExist = false;
  /** Creates the actor and returns its id, or undefined if it exists and may exist. */
  const createNow = () =>
    (created ??= request(address, JSON.stringify({ key: target.key, input: target.input }), spec.options, true).then(
      ({ id }) => id,
      (error: { code?: string }) => {
        // After a creation whose response was lost, an actor that exists is taken for the one created here.
        if (error.code === "exists" && (mayExist || !isNew)) return undefined;
        mayExist ||= error.code === "maybe_ran";
        created = undefined;
        throw error;
      },
    ));
  const create = async () => (isNew || target.input !== undefined ? createNow() : undefined);

  const find = async (options: CallOptions) => (await request(`${address}?${query}`, undefined, options)).id!;

  return {
    call: async (options, action, args) =>
      (
        await request(
          `${address}/actions/${encodeURIComponent(action)}?${query}${target.create === false ? "&create=false" : ""}`,
          `{"args":${args}}`,
          options,
        )
      ).result,
    resolve: async (options) =>
      target.actorId ??
      find(options).catch(async (error: { code?: string }) => {
        if (error.code !== "not_found" || target.create === false) throw error;
        // The creation may be shared: giving up this one does not end it.
        const newId = await limit(options, (_, onSend) => {
          onSend();
          return createNow();
        });
        return newId ?? find(options);
      }),
    create,
  };
}
