// The single HTTP requests of a handle: calls, the creation of its actor, and finding its id.
import type { Target } from "./handle.js";
import type { Fetch, Tools } from "./http.js";
import type { CallOptions } from "./types.js";

/** Sends the requests of one handle. */
export interface Caller {
  /** Runs an action; args is the array of its arguments as JSON. */
  call(signal: AbortSignal, onSend: () => void, action: string, args: string): Promise<unknown>;
  /** Returns the actor's id. */
  resolve(signal: AbortSignal, onSend: () => void): Promise<string>;
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

/** Creates the caller of a handle. options are those of the creation of its actor. */
export function createCaller(
  { base, options }: { base: () => string; options: CallOptions },
  target: Target,
  isNew: boolean | undefined,
  send: Fetch,
  tools: Tools,
): Caller {
  const address = `/api/actors/${encodeURIComponent(target.actor!)}`;
  const names = target.actorId !== undefined ? { id: target.actorId } : target.key!.map((part) => ["key", part]);
  /** Names the actor: `id=…`, `key=…&key=…`, or `key` alone if it has no key. */
  const query = new URLSearchParams(names).toString() || "key";

  /** A request that waits for the creation of the actor, if that is necessary, unless it is the creation itself. */
  const request = async (
    path: string,
    body: string | undefined,
    signal: AbortSignal,
    onSend: () => void,
    isCreation?: boolean,
  ) => {
    // Other requests may be waiting for the same creation: giving up this one does not end it.
    if (!isCreation) await create();
    if (signal.aborted) throw signal.reason;
    const url = base() + path;
    onSend();
    const response = await send(url, body, { signal });
    const answer = (await response.json()) as ResponseBody;
    if (response.ok) return answer;
    throw tools.errorFrom({ code: "protocol", message: `status ${response.status}`, ...answer });
  };

  let created: Promise<string | undefined> | undefined;
  let mayExist = false;
  /** Creates the actor and returns its id, or undefined if it exists and may exist. */
  const createNow = () =>
    (created ??= tools
      .limited(options, (signal, onSend) =>
        request(address, JSON.stringify({ key: target.key, input: target.input }), signal, onSend, true),
      )
      .then(
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

  const find = async (signal: AbortSignal, onSend: () => void) =>
    (await request(`${address}?${query}`, undefined, signal, onSend)).id!;

  return {
    call: async (signal, onSend, action, args) =>
      (
        await request(
          `${address}/actions/${encodeURIComponent(action)}?${query}${target.create === false ? "&create=false" : ""}`,
          `{"args":${args}}`,
          signal,
          onSend,
        )
      ).result,
    resolve: async (signal, onSend) =>
      target.actorId ??
      find(signal, onSend).catch(async (error: { code?: string }) => {
        if (error.code !== "not_found" || target.create === false) throw error;
        // The creation may be shared: giving up this one does not end it.
        return (await createNow()) ?? find(signal, onSend);
      }),
    create,
  };
}
