// What only HTTP needs: single calls, and links where WebSockets are blocked. loadHttp.ts loads it when it is first
// used. It imports only types and what nothing else imports, so that bundlers make one chunk of it; the rest comes
// in as `Tools`. A page may load it from a server that is newer than the page: keep createHttp compatible.
import { createCaller, type Caller } from "./httpCall.js";
import type { HandleSpec } from "./handle.js";
import { sseTransport } from "./transport/sse.js";
import type { Transport } from "./transport/websocket.js";
import type { CallOptions, ClientOptions } from "./types.js";
import type { WireError } from "./wire.js";

/** Sends a request: a POST of JSON, or a GET if there is no body. Rejects if there is no response. */
export type Fetch = (url: string, body: string | undefined, init: RequestInit) => Promise<Response>;

/** What the rest of the client gives to this module. */
export interface Tools {
  errorFrom(error: WireError): Error;
  abandonedError(sent: boolean, reason: string, cause?: unknown): Error;
  watchOptions(options: CallOptions, giveUp: (reason: string, cause?: unknown) => void): () => void;
  byteLength(text: string): number;
  now(): number;
}

/** What a client does over HTTP. */
export interface Http {
  /** Creates the part of a handle that sends requests. */
  createCaller(spec: HandleSpec): Caller;
  /** Links over server-sent events or polls, and POSTs. */
  transport: Transport;
}

/** Creates the HTTP part of a client. */
export function createHttp(options: ClientOptions, tools: Tools): Http {
  const send: Fetch = async (url, body, init) => {
    let { headers } = options;
    try {
      if (typeof headers === "function") headers = await headers();
    } catch (error) {
      throw tools.abandonedError(false, "headers", error);
    }
    return (options.fetch ?? fetch)(url, {
      ...init,
      method: body ? "POST" : "GET",
      headers: { ...headers, ...(body && { "content-type": "application/json" }) },
      body,
      credentials: options.credentials,
    } as RequestInit);
  };
  return {
    createCaller: (spec) => createCaller(spec, send, tools),
    transport: sseTransport(send, tools),
  };
}
