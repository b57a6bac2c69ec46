// Handles: they name an actor, connect to it, and call its actions with single HTTP requests.
import { mergeOptions, watchOptions } from "./callOptions.js";
import { now } from "./clock.js";
import { abandonedError } from "./errors.js";
import type { Http } from "./http.js";
import type { Caller } from "./httpCall.js";
import { toJSON } from "./json.js";
import { callable } from "./proxy.js";
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
  loadHttp: () => Promise<Http>;
  options: CallOptions;
  connect(
    ensureCreated: (() => Promise<unknown>) | undefined,
    params: unknown,
    options?: ConnectOptions,
  ): ConnectionApi<UntypedActor>;
}

/** Creates a handle, which sends nothing until it is used. */
export function createHandle(spec: HandleSpec): Handle {
  let caller: Caller | undefined;
  /** Runs send with the code for HTTP. The options apply while it is loaded, too; send gets what is left of the time. */
  const request = async <T>(options: CallOptions, send: (caller: Caller, options: CallOptions) => Promise<T>) => {
    const { timeoutMs, signal } = options;
    const startedAt = now();
    if (!caller) {
      let stopWatching: () => void;
      const http = await new Promise<Http>((resolve, reject) => {
        const giveUp = (reason: string, cause?: unknown) => reject(abandonedError(false, reason, cause));
        stopWatching = watchOptions(options, giveUp);
        spec.loadHttp().then(resolve, (error) => giveUp("link", error));
      }).finally(() => stopWatching());
      caller ??= http.createCaller(spec);
    }
    return send(caller, { timeoutMs: timeoutMs && Math.max(1, timeoutMs - (now() - startedAt)), signal });
  };

  const create = () => request(spec.options, (caller) => caller.create());

  const withOptions = (options: CallOptions): Handle => {
    const call = async (action: string, ...args: unknown[]) => {
      const text = toJSON("invalid_args", args); // now, because the arguments may change
      return request(options, (caller, left) => caller.call(left, action, text));
    };
    return callable(
      {
        connect: (params?: unknown, more?: ConnectOptions) =>
          spec.connect(spec.isNew ? create : undefined, params, more),
        call,
        withOptions: (more: CallOptions) => withOptions(mergeOptions(options, more)),
        resolve: () => request(options, (caller, left) => caller.resolve(left)),
      },
      (action) =>
        (...args: unknown[]) =>
          call(action, ...args),
    ) as unknown as Handle;
  };
  const handle = withOptions(spec.options);
  if (!spec.isNew) return handle;
  // Awaiting a new handle creates the actor. It resolves to a handle that cannot be awaited again.
  const then = (...args: Parameters<PromiseLike<Handle>["then"]>) =>
    create()
      .then(() => handle)
      .then(...args);
  // oxlint-disable-next-line unicorn/no-thenable -- it is meant to be awaited
  return callable({ then }, (name) => handle[name]) as unknown as Handle;
}
