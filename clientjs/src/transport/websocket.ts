import { ActorError } from "../errors.js";

/** What a transport tells about a link. Nothing comes after `end`. */
export interface LinkEvents {
  /** A frame came. */
  frame(text: string): void;
  /** The link could not be opened, or is over; why, for people. */
  end(why: string): void;
}

/** One link to the server. */
export interface Link {
  send(frame: string): void;
  /** Lets go of the link. It is not waited for, and what it still says is not heard: one in a black hole stays closing. */
  close(): void;
}

/** Opens a link to a base address (http or https). Throws if that cannot work here at all. */
export type Transport = (base: string, events: LinkEvents) => Link;

/** The type of a method, because handlers of real WebSockets are declared with more that comes in an event. */
type Handler<E> = { handle(event: E): void }["handle"] | null;

/** The part of the WebSocket API that is used; the `WebSocket` of browsers and of the package `ws` fit. */
export interface WebSocketLike {
  onmessage: Handler<{ data: unknown }>;
  onclose: Handler<{ code: number; reason: string }>;
  onerror: Handler<unknown>;
  send(data: string): void;
  close(): void;
}

/** A WebSocket constructor. */
export type WebSocketClass = new (url: string) => WebSocketLike;

/** Links over WebSocket. Throws if there is no constructor. */
export function webSocketTransport(injected?: WebSocketClass): Transport {
  const WebSocketImpl = injected ?? (typeof WebSocket === "function" ? (WebSocket as unknown as WebSocketClass) : undefined);
  if (!WebSocketImpl) throw new ActorError("link", "no WebSocket here: pass one to createClient(url, { WebSocket })");
  return (base, events) => {
    const ws = new WebSocketImpl(`${base.replace(/^http/, "ws")}/api/socket?v=1`);
    ws.onmessage = (event) => events.frame(String(event.data));
    ws.onclose = ({ code, reason }) => events.end(`the socket closed with ${code}${reason && ` (${reason})`}`);
    ws.onerror = () => {}; // a close follows; Node's ws throws without a handler
    return {
      send: (frame) => ws.send(frame),
      close: () => ws.close(),
    };
  };
}
