import type { Contract } from "./contract.js";
import { ActorError } from "./errors.js";
import { createHandle } from "./handle.js";
import { createLoader } from "./loadHttp.js";
import { callable } from "./proxy.js";
import { createSocket } from "./socket.js";
import { autoTransport } from "./transport/auto.js";
import { webSocketTransport, type WebSocketClass } from "./transport/websocket.js";
import type { Client, ClientOptions, Key, UntypedRegistry } from "./types.js";

/** Returns the key, the first argument, as an array of strings; without arguments that of the actor without a key. Throws `bad_key`. */
function keyArray(args: readonly unknown[]): readonly string[] {
  const parts = [args.length ? args[0] : []].flat();
  if (!parts.every((part) => typeof part === "string")) {
    throw new ActorError("bad_key", "a key is a string, an array of strings, or left out");
  }
  return parts;
}

/** Returns the options of `create`, of which the input alone is an older form. `{}` is options without an input. */
const createOptions = (given: unknown = {}): { input?: unknown } =>
  Object.prototype.toString.call(given) === "[object Object]" &&
  Object.keys(given as object).every((k) => k === "input")
    ? (given as object)
    : { input: given };

/** The base path of the server that served the page. */
const pageBase = () => globalThis.document?.documentElement?.dataset.troupeBase ?? "";

/**
 * Creates a client of the server at url, `http(s)://host[:port][/base]`. The default is the page's origin, with
 * the base path in the attribute `data-troupe-base` of its `<html>` element. The client opens no socket before
 * the first `connect()`. An invalid url makes `connect()` throw and calls reject, with code `link`.
 *
 * ```ts
 * const client = createClient<typeof registry>(undefined, { registry });
 * const room = client.chatRoom.getOrCreate(["general"]).connect();
 * room.on("messageReceived", (message) => console.log(message.text));
 * await room.sendMessage("ada", "hello");
 * ```
 */
export function createClient<R extends object = UntypedRegistry>(
  url?: string | URL,
  options: ClientOptions = {},
): Client<R> {
  const base = () => {
    const address = String(url ?? (globalThis.location ? location.origin + pageBase() : ""));
    if (!/^https?:[^?#]+$/.test(address)) {
      throw new ActorError("link", `createClient needs a URL: http(s)://host[:port][/base], not "${address}"`);
    }
    return address.replace(/\/+$/, "");
  };
  const loadHttp = createLoader(options, url === undefined ? base : undefined);
  const { transport = "auto", WebSocket: injected, random, idleMs = 500, timeoutMs = 60_000 } = options;
  const socket = createSocket(
    () => {
      if (typeof transport === "function") return transport;
      const WebSocketImpl = injected ?? (globalThis.WebSocket as WebSocketClass | undefined);
      if (transport === "websocket") return webSocketTransport(WebSocketImpl);
      return autoTransport(
        transport === "auto" && WebSocketImpl ? webSocketTransport(WebSocketImpl) : undefined,
        loadHttp,
      );
    },
    base,
    idleMs,
    (options.registry ?? {}) as Contract,
  );
  const parts = { socket, base, loadHttp, random, options: { timeoutMs } };

  // Without arguments, they name the actor without a key; an undefined key is a mistake.
  const accessor = (actor: string) => ({
    getOrCreate: (...args: [] | [key: Key, options?: { input?: unknown }]) =>
      createHandle(parts, { actor, key: keyArray(args), input: args[1]?.input }),
    get: (...args: [] | [key: Key]) => createHandle(parts, { actor, key: keyArray(args), create: false }),
    create: (...args: [] | [key: Key, options?: unknown]) =>
      createHandle(parts, { actor, key: keyArray(args), ...createOptions(args[1]) }, true),
    getForId: (actorId: string) => createHandle(parts, { actor, actorId }),
  });

  return callable(
    {
      dispose: socket.dispose,
      reconnect: socket.reconnect,
      get stale() {
        return !!socket.stale;
      },
    },
    accessor,
  ) as unknown as Client<R>;
}
