// What only HTTP needs: single calls, and links where WebSockets are blocked. loadHttp.ts loads it when it is first
// used. It imports only types and what nothing else imports, so that bundlers make one chunk of it; the rest comes
// in as `Tools`. A page may load it from a server that is newer than the page, which compares `version` therefore.
import { createCaller, type Caller } from "./httpCall.js";
import type { Target } from "./handle.js";
import { HTTP_VERSION } from "./timing.js";
import { createRace, type Race } from "./transport/race.js";
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
  limited<T>(options: CallOptions, step: (signal: AbortSignal, onSend: () => void) => Promise<T>): Promise<T>;
  byteLength(text: string): number;
  now(): number;
}

/** What a client does over HTTP. */
export interface Http {
  /** Creates the part of a handle that sends requests. */
  createCaller(
    client: { base: () => string; options: CallOptions },
    target: Target,
    isNew: boolean | undefined,
  ): Caller;
  /** Creates links that are raced with those of the first transport, or are over HTTP only, if there is none. */
  race(first: Transport | undefined, isBlocked: boolean): Race;
}

/** The version of createHttp and all that it takes and returns. Another one may not be called. */
export const version: number = HTTP_VERSION;

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
  const sse = sseTransport(send, tools);
  return {
    createCaller: (client, target, isNew) => createCaller(client, target, isNew, send, tools),
    race: (first, isBlocked) => (first ? createRace(first, sse, isBlocked, tools) : sse),
  };
}
