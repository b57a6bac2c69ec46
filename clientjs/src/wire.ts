// The wire as backend/wire/doc.go describes it, in types. Golden frames in
// backend/wire/testdata keep the two halves together.
import type { Limits } from "./limits.js";

/** Asks for a connection, or for the one that k names. */
export interface Open {
  t: "open";
  c: number;
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
  ack?: number;
}

/** What a client sends. */
export type ClientMessage =
  | Open
  | { t: "call"; c: number; id: number; a: string; args: readonly unknown[]; s?: number; ack?: number }
  | { t: "sub" | "unsub"; c: number; e: string[] }
  | { t: "ack"; c: number; s?: number; ack?: number }
  | { t: "params"; c: number; params?: unknown }
  | { t: "close"; c: number }
  | { t: "beat"; probe?: true };

/** A failure as the wire tells it. */
export interface Problem {
  code: string;
  message: string;
  metadata?: unknown;
}

/** That not everything missed will follow. */
export interface Lost {
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
  resumed?: boolean;
  lost?: Lost;
}

/** What a server sends about one channel. */
export type ChannelMessage =
  | Opened
  | { t: "event"; c: number; s: number; e: string; d: unknown }
  | { t: "reply"; c: number; s: number; id: number; d?: unknown }
  | ({ t: "fail"; c: number; s: number; id: number } & Problem)
  | { t: "at"; c: number; s: number }
  | ({ t: "closed"; c: number; reconnect: boolean } & Problem)
  | ({ t: "error"; c: number } & Problem);

/** What a server sends. */
export type ServerMessage =
  | ChannelMessage
  | Hello
  | ({ t: "error"; c?: undefined } & Problem)
  | { t: "beat"; c?: undefined }
  | { t: "bye"; c?: undefined; delayMs: number };

/** Encodes one message; fields that are undefined are left out. */
export const encode = (message: ClientMessage): string => JSON.stringify(message);

/** Encodes a call whose arguments are JSON already. */
export const encodeCall = (head: Omit<Extract<ClientMessage, { t: "call" }>, "args">, args: string): string =>
  `${JSON.stringify(head).slice(0, -1)},"args":${args}}`;

/** Puts encoded messages into one frame. */
export const frame = (messages: string[]): string => (messages.length > 1 ? `[${messages.join()}]` : messages[0]!);

/** Decodes a frame of a server; throws if it is not one. Types it does not know stay in. */
export function decode(text: string): ServerMessage[] {
  const messages = [JSON.parse(text)].flat() as ServerMessage[];
  if (!messages.every((m) => typeof m?.t === "string")) throw new SyntaxError("message without type");
  return messages;
}

/** 128 random bits in base64url without padding: what k and caller are made of. */
export function randomSecret(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return btoa(String.fromCharCode(...bytes)).replace(/[+/=]/g, (c) => ({ "+": "-", "/": "_" })[c] ?? "");
}
