// The wire protocol of backend/wire/doc.go in types. Golden frames in
// backend/wire/testdata test both implementations.
import { ActorError } from "./errors.js";
import type { Limits } from "./limits.js";
import type { RandomSource } from "./types.js";

/** Opens a connection, or resumes the one whose secret is k. */
export interface Open {
  t: "open";
  c: number;
  /** Rises with each open of the same k: servers may hear of two in the other order. */
  n?: number;
  actor?: string;
  key?: readonly string[];
  actorId?: string;
  create?: boolean;
  input?: unknown;
  params?: unknown;
  subs?: string[];
  k: string;
  caller: string;
  log?: string;
  s?: number;
  owner?: string | undefined;
  ack?: number;
}

/** A message of a client. */
export type ClientMessage =
  | Open
  | { t: "call"; c: number; id: number; a: string; args: readonly unknown[]; s?: number; ack?: number }
  | { t: "sub" | "unsub"; c: number; e: string[] }
  | { t: "ack"; c: number; s?: number; ack?: number }
  | { t: "params"; c: number; params?: unknown }
  | { t: "close"; c: number }
  | { t: "beat"; probe?: true };

/** An error on the wire. */
export interface WireError {
  code: string;
  message: string;
  metadata?: unknown;
}

/** Events that are not replayed: how many, and why. */
export interface Gap {
  reason: string;
  missed: number;
  exact: boolean;
}

/** The first message of a socket. */
export interface Hello {
  t: "hello";
  c?: undefined;
  v: number;
  limits: Limits;
  beatMs: number;
  deadMs: number;
  spreadMs: number;
  contract?: string;
  parts?: string[];
}

/** Answers open. */
export interface Opened {
  t: "opened";
  c: number;
  s: number;
  actorId: string;
  log: string;
  connId: string;
  owner?: string;
  resumed?: boolean;
  lost?: Gap;
}

/** A message of the server for one channel. */
export type ChannelMessage =
  | Opened
  | { t: "event"; c: number; s: number; e: string; d: unknown }
  | { t: "reply"; c: number; s: number; id: number; d?: unknown }
  | ({ t: "fail"; c: number; s: number; id: number } & WireError)
  | { t: "at"; c: number; s: number }
  | ({ t: "closed"; c: number; reconnect: boolean; h?: number } & WireError)
  | ({ t: "error"; c: number } & WireError);

/** A message of the server. */
export type ServerMessage =
  | ChannelMessage
  | Hello
  | ({ t: "error"; c?: undefined } & WireError)
  | { t: "beat"; c?: undefined }
  | { t: "bye"; c?: undefined; delayMs: number };

/** Encodes one message, without the fields that are undefined. */
export const encode = (message: ClientMessage): string => JSON.stringify(message);

/** Encodes a call whose arguments are already JSON. */
export const encodeCall = (head: Omit<Extract<ClientMessage, { t: "call" }>, "args">, args: string): string =>
  `${JSON.stringify(head).slice(0, -1)},"args":${args}}`;

/** Encodes a frame of one or more encoded messages. */
export const encodeFrame = (messages: string[]): string =>
  messages.length > 1 ? `[${messages.join()}]` : messages[0]!;

/** Decodes a frame of the server. Keeps messages of unknown types; throws a SyntaxError if the frame is invalid. */
export function decodeFrame(text: string): ServerMessage[] {
  const messages = [JSON.parse(text)].flat() as ServerMessage[];
  if (!messages.every((m) => typeof m?.t === "string")) throw new SyntaxError("no type");
  return messages;
}

/** Returns 128 random bits in base64url without padding, for k and caller. Throws `link` if there is no source of them. */
export function randomSecret(
  fill: RandomSource = globalThis.crypto && ((bytes) => crypto.getRandomValues(bytes as Uint8Array<ArrayBuffer>)),
): string {
  if (!fill) throw new ActorError("link", "no crypto here: use createClient(url, { random })");
  const bytes = new Uint8Array(16);
  fill(bytes);
  return btoa(String.fromCharCode(...bytes))
    .slice(0, 22)
    .replace(/\W/g, (c) => (c > "+" ? "_" : "-"));
}
