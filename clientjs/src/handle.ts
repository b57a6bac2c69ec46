// Handles: they name an actor, connect to it, and call its actions with single HTTP requests.
import { mergeOptions } from "./callOptions.js";
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
  const getCaller = async () => {
    const http = await spec.loadHttp().catch((error: unknown) => {
      throw abandonedError(false, "link", error);
    });
    return (caller ??= http.createCaller(spec));
  };

  const create = async () => (await getCaller()).create();

  const withOptions = (options: CallOptions): Handle => {
    const call = async (action: string, ...args: unknown[]) => {
      const text = toJSON("invalid_args", args); // now, because the arguments may change
      return (await getCaller()).call(options, action, text);
    };
    return callable(
      {
        connect: (params?: unknown, more?: ConnectOptions) =>
          spec.connect(spec.isNew ? create : undefined, params, more),
        call,
        withOptions: (more: CallOptions) => withOptions(mergeOptions(options, more)),
        resolve: async () => (await getCaller()).resolve(options),
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
