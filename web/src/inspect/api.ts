// The inspector's API, see docs/inspect.md. Times are Unix milliseconds, 0 if there is none.

export interface Sample {
  at: number;
  turns: number;
  messages: number;
  failed: number;
  commit50: number | null;
  commit99: number | null;
  turn50: number | null;
  turn99: number | null;
  sockets: number;
  awake: number;
  memory: number;
  bytes: number;
  gaps: number;
  parked: number;
  errors: Record<string, number>;
}

export interface Overview {
  version: string;
  write: boolean;
  periodMs: number;
  samples: Sample[];
}

/** The cluster, as one of its nodes knows it. */
export interface Cluster {
  self: number;
  version: number;
  nodes: { slot: number; name: string; state: "up" | "leaving" | "sealed"; partitions: number }[];
  links: { in: number; out: number; unacked: number; gaps: number; repeated: number; ended: number };
}

export interface Row {
  id: string;
  name: string;
  key: string[];
  awake: boolean;
  conns: number;
  bytes: number;
  waiting: number;
  usedMs?: number;
  parked: number;
  dueMs?: number;
  changedMs?: number;
  destroyed: boolean;
}

export interface Rows {
  actors: Row[];
  total: number;
  next?: string;
}

export interface Channel {
  socket: number;
  transport: string;
  address?: string;
  subscriptions: { event: string; after: number }[];
  sent: number;
  sentMs: number;
  behind: number;
  unanswered: number[];
  blocked: boolean;
}

export interface Connection {
  num: number;
  id: string;
  attachment?: string;
  online: boolean;
  droppedMs: number;
  expiresMs: number;
  start: number;
  state?: unknown;
  from?: string;
  params?: unknown;
  auth?: unknown;
  channel?: Channel;
}

export interface Message {
  id: string;
  type: string;
  label?: string;
  spec?: string;
  to?: { id: string; name: string; key: string[] };
  dueMs: number;
  retryMs: number;
  tries: number;
  parked?: string;
  data?: unknown;
}

export interface Table {
  field: string;
  keys: string;
  len: number;
  bytes: number;
}

export interface Actor {
  id: string;
  name: string;
  key: string[];
  awake: boolean;
  busy: boolean;
  rev: number;
  head: number;
  version: number;
  bornMs: number;
  usedMs: number;
  state?: unknown;
  stateBytes: number;
  stateError?: string;
  conns: Connection[];
  connCount: number;
  callers: number;
  timers: number;
  waiting: number;
  memory: number;
  tables: Table[];
  messages: Message[];
  messageCount: number;
  dueMs: number;
  tombstone: boolean;
  endedMs: number;
  endsMs: number;
}

export interface Entry {
  seq: number;
  numbered: boolean;
  atMs: number;
  kind: string;
  event?: string;
  only?: number[];
  except?: number[];
  to?: string;
  direct?: boolean;
  volatile?: boolean;
  call?: number;
  data?: unknown;
  bytes: number;
  code?: string;
  message?: string;
}

export interface Turn {
  atMs: number;
  what: string;
  conn?: string;
  readOnly?: boolean;
  tookMs: number;
  code?: string;
  message?: string;
}

export interface Arg {
  type: string;
  kind: "string" | "number" | "boolean" | "json";
  example: unknown;
}

export interface Action {
  name: string;
  readOnly: boolean;
  args: (Arg & { name: string })[];
  signature?: string;
}

export interface Definition {
  name: string;
  actions: Action[];
  events: string[];
  as?: Arg;
}

export interface Items {
  len: number;
  more: boolean;
  items: { key: string; value: unknown; bytes: number }[];
}

const API = "/inspect/api/";

/** Why the API has refused something. */
export class Refusal extends Error {
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

async function read<T>(response: Response): Promise<T> {
  const body = await response.json().catch(() => ({ code: "link", message: `the server answered ${response.status}` }));
  if (!response.ok) throw new Refusal(body.code, body.message);
  return body;
}

/** Reads from an address below /inspect/api. */
export async function get<T>(path: string, query: Record<string, string> = {}, signal?: AbortSignal): Promise<T> {
  return read(await fetch(`${API}${path}?${new URLSearchParams(query)}`, signal ? { signal } : {}));
}

/** Changes something. */
export async function post<T>(path: string, body: unknown): Promise<T> {
  return read(
    await fetch(API + path, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: typeof body === "string" ? body : JSON.stringify(body),
    }),
  );
}

/** Returns the address of a stream. */
export const streamURL = (query: Record<string, string>): string => `${API}stream?${new URLSearchParams(query)}`;

export const MASK = "‹secret›";
