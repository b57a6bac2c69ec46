import { ActorError } from "../errors.js";

/** The callbacks of a link. The transport calls none of them after `end`. */
export interface LinkEvents {
  /** A frame arrived. */
  frame(text: string): void;
  /** The link could not be opened, or is closed. why is a text for people. */
  end(why: string): void;
}

/** One link to the server. A transport may drop frames that are sent after the link has failed. */
export interface Link {
  /** Why some ways to open it have failed, if others are still tried. Told when the link is given up. */
  readonly failures?: string;
  send(frame: string): void;
  /** Closes the link without waiting, because a broken link may take minutes to close. Later frames are ignored. */
  close(): void;
}

/** Opens a link to the server at base, an http or https URL. Throws if the transport cannot work here. */
export type Transport = (base: string, events: LinkEvents) => Link;

/** A method's type, whose parameters are bivariant: handlers of real WebSockets are declared with larger event types. */
type Handler<E> = { handle(event: E): void }["handle"] | null;

/** The part of the WebSocket API that the client uses. The `WebSocket` of browsers and of the package `ws` have it. */
export interface WebSocketLike {
  onmessage: Handler<{ data: unknown }>;
  onclose: Handler<{ code: number; reason: string }>;
  onerror: Handler<unknown>;
  readonly readyState?: number;
  send(data: string): void;
  close(): void;
}

/** A WebSocket constructor. */
export type WebSocketClass = new (url: string) => WebSocketLike;

/** Creates a transport over WebSocket. Throws `link` if there is no constructor of one. */
export function webSocketTransport(WebSocketImpl: WebSocketClass | undefined): Transport {
  if (!WebSocketImpl) throw new ActorError("link", "no WebSocket here: use createClient(url, { WebSocket })");
  return (base, events) => {
    const ws = new WebSocketImpl(`${base.replace(/^http/, "ws")}/api/socket?v=1`);
    ws.onmessage = (event) => events.frame(String(event.data));
    let ended = false;
    const end = (why: string) => {
      if (!ended) events.end(why);
      ended = true;
    };
    ws.onclose = ({ code, reason }) => end(`the socket closed with ${code}${reason && ` (${reason})`}`);
    // onclose follows, except where the page's policy forbids the socket. The package ws throws if there is no handler.
    ws.onerror = () => {
      if (ws.readyState === 3) {
        setTimeout(end, 0, "refused (by CSP, connect-src?)");
      }
    };
    return ws;
  };
}
