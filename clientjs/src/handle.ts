// Handles: they name an actor, connect to it, and call its actions with single HTTP requests.
import { limited, mergeOptions } from "./callOptions.js";
import { createConnection } from "./connection.js";
import type { Http } from "./http.js";
import type { Caller } from "./httpCall.js";
import { toJSON } from "./json.js";
import { callable } from "./proxy.js";
import type { Socket } from "./socket.js";
import type { CallOptions, ConnectOptions, Handle, RandomSource } from "./types.js";
import type { Open } from "./wire.js";

/** Which actor is meant, and whether it may be created: fields of an open message. */
export type Target = Pick<Open, "actor" | "key" | "actorId" | "create" | "input">;

/** What the handles and connections of a client share. */
export interface ClientParts {
  socket: Socket;
  base: () => string;
  loadHttp: () => Promise<Http>;
  random: RandomSource | undefined;
  /** The options of calls that do not have their own. */
  options: CallOptions;
}

/**
 * Creates a handle, which sends nothing until it is used. isNew: the actor must not exist yet. Throws `invalid_input` if
 * the input is not JSON.
 */
export function createHandle(client: ClientParts, target: Target, isNew?: boolean): Handle {
  toJSON("invalid_input", target.input);
  let caller: Caller | undefined;
  /** Runs send with the code for HTTP. The options apply while it is loaded, too. */
  const request = <T>(
    options: CallOptions,
    send: (caller: Caller, signal: AbortSignal, onSend: () => void) => Promise<T>,
  ) =>
    limited(options, async (signal, onSend) => {
      const http = await client.loadHttp();
      return send((caller ??= http.createCaller(client, target, isNew)), signal, onSend);
    });

  const create = () =>
    request(client.options, (caller, _, onSend) => {
      onSend();
      return caller.create();
    });

  const withOptions = (options: CallOptions): Handle => {
    const call = async (action: string, ...args: unknown[]) => {
      const text = toJSON("invalid_args", args); // now, because the arguments may change
      return request(options, (caller, signal, onSend) => caller.call(signal, onSend, action, text));
    };
    return callable(
      {
        connect: (params?: unknown, { timeoutMs, onChange }: ConnectOptions = {}) =>
          createConnection(
            client,
            target,
            isNew ? create : undefined,
            params,
            mergeOptions(client.options, { timeoutMs }),
            onChange,
          ),
        call,
        withOptions: (more: CallOptions) => withOptions(mergeOptions(options, more)),
        resolve: () => request(options, (caller, signal, onSend) => caller.resolve(signal, onSend)),
      },
      (action) =>
        (...args: unknown[]) =>
          call(action, ...args),
    ) as unknown as Handle;
  };
  const handle = withOptions(client.options);
  if (!isNew) return handle;
  // Awaiting a new handle creates the actor. It resolves to a handle that cannot be awaited again.
  const then = (...args: Parameters<PromiseLike<Handle>["then"]>) =>
    create()
      .then(() => handle)
      .then(...args);
  // oxlint-disable-next-line unicorn/no-thenable -- it is meant to be awaited
  return callable({ then }, (name) => handle[name]) as unknown as Handle;
}
