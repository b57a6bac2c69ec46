import type { Contract } from "./contract.js";
import { createConnection } from "./connection.js";
import { ActorError } from "./errors.js";
import { createHandle, type Target } from "./handle.js";
import { createLoader } from "./loadHttp.js";
import { callable } from "./proxy.js";
import { createSocket } from "./socket.js";
import { autoTransport } from "./transport/auto.js";
import { lazyTransport } from "./transport/lazy.js";
import { webSocketTransport } from "./transport/websocket.js";
import type { Accessor, Client, ClientOptions, Key, UntypedRegistry } from "./types.js";

/** Returns the key as an array of strings. Throws `bad_key`. */
function keyArray(key: Key): readonly string[] {
  const parts = typeof key === "string" ? [key] : key;
  if (!Array.isArray(parts) || !parts.length || parts.some((part) => typeof part !== "string")) {
    throw new ActorError("bad_key", "a key is one or more strings");
  }
  return [...parts];
}

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
export function createClient<R extends object = UntypedRegistry>(url?: string, options: ClientOptions = {}): Client<R> {
  const base = () => {
    const address = url ?? (typeof location === "object" ? location.origin + pageBase() : "");
    if (!/^https?:/.test(address)) throw new ActorError("link", "createClient needs a URL: http(s)://host[:port]");
    return address.replace(/\/+$/, "");
  };
  const loadHttp = createLoader(options, url === undefined ? base : undefined);
  const socket = createSocket(
    () => {
      const { transport = "auto", WebSocket: injected } = options;
      if (typeof transport === "function") return transport;
      if (transport === "websocket") return webSocketTransport(injected);
      const sse = lazyTransport(async () => (await loadHttp()).transport);
      const hasWebSocket = injected ?? typeof WebSocket === "function";
      return transport === "auto" && hasWebSocket ? autoTransport(webSocketTransport(injected), sse) : sse;
    },
    base,
    options.idleMs ?? 500,
    (options.registry ?? {}) as Contract,
  );
  const timeoutMs = options.timeoutMs ?? 60_000;

  const handle = (actor: string, target: Target, isNew = false) =>
    createHandle({
      actor,
      target,
      isNew,
      base,
      loadHttp,
      options: { timeoutMs },
      connect: (ensureCreated, params, { timeoutMs: ownMs = timeoutMs, onChange } = {}) =>
        createConnection({ socket, target, ensureCreated, params, options: { timeoutMs: ownMs }, onChange }),
    });

  const accessor = (actor: string): Accessor => ({
    getOrCreate: (key, { input } = {}) => handle(actor, { actor, key: keyArray(key), input }),
    get: (key) => handle(actor, { actor, key: keyArray(key), create: false }),
    create: (key, input?) => handle(actor, { actor, key: keyArray(key), input }, true),
    getForId: (actorId) => handle(actor, { actorId }),
  });

  return callable(
    {
      dispose: socket.dispose,
      reconnect: socket.reconnectNow,
      get stale() {
        return !!socket.stale;
      },
    },
    accessor,
  ) as unknown as Client<R>;
}
