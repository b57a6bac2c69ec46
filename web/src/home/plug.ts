import type { WebSocketLike } from "@troupe/client";

const REFUSED_MS = 20;
const CLOSED = 3; // a readyState

/**
 * The link of one client, which can be cut: pass its WebSocket to createClient. While the plug is pulled, open
 * sockets are closed and new ones fail, as without a network.
 */
export class Plug {
  #pulled = false;
  readonly #open = new Set<WebSocketLike>();
  readonly #listeners = new Set<() => void>();

  /** The WebSocket class of the client. */
  readonly WebSocket: new (url: string) => WebSocketLike;

  constructor(Real: new (url: string) => WebSocketLike = WebSocket) {
    // A constructor that returns an object makes that object.
    const open = (url: string) => this.#dial(Real, url);
    this.WebSocket = function (url: string) {
      return open(url);
    } as unknown as new (url: string) => WebSocketLike;
  }

  /** Whether the plug is pulled. */
  readonly pulled = (): boolean => this.#pulled;

  /** Calls a function after each change. The function returned removes it. */
  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  };

  /** Cuts the link. */
  pull(): void {
    this.#set(true);
    for (const socket of this.#open) socket.close();
    this.#open.clear();
  }

  /** Makes new sockets work again. Call the client's reconnect() for one to be opened at once. */
  insert(): void {
    this.#set(false);
  }

  #set(pulled: boolean): void {
    this.#pulled = pulled;
    for (const listener of this.#listeners) listener();
  }

  #dial(Real: new (url: string) => WebSocketLike, url: string): WebSocketLike {
    if (this.#pulled) return refused();
    for (const old of this.#open) if (old.readyState === CLOSED) this.#open.delete(old);
    const socket = new Real(url);
    this.#open.add(socket);
    return socket;
  }
}

/** A socket that fails. */
function refused(): WebSocketLike {
  const socket: WebSocketLike = { onmessage: null, onclose: null, onerror: null, send() {}, close() {} };
  setTimeout(() => socket.onclose?.({ code: 1006, reason: "the plug is pulled" }), REFUSED_MS);
  return socket;
}
