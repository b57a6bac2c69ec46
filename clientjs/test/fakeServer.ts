// A server for tests. It speaks the wire protocol (backend/wire/doc.go) over fake
// WebSockets in virtual time (vitest's fake timers), and behaves like the real one: each
// actor has a log, connections are cursors in it, and each call runs at most once.
//
//   const server = new FakeServer();
//   const client = server.createClient();
//   server.actions.hello = (turn, name) => { turn.broadcast("greeted", name); return `hello ${name}`; };
//   …
//   await settle();            // everything in transit arrives
//
// To extend it: an action is a function in `actions`; a fault is a method of FakeServer
// (cut, blackHole, trim, expire, refuse, …); a new message of the protocol is a case in
// FakeSocket.handle. `received` has every message of the client, `sockets` every socket.
import { vi } from "vitest";
import {
  createClient,
  type Client,
  type ClientOptions,
  type Connection,
  type WebSocketClass,
  type WebSocketLike,
} from "../src/index.js";
import type { Limits } from "../src/limits.js";
import type { ClientMessage, Hello, Open, ServerMessage } from "../src/wire.js";

const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** The limits of a server by default. */
export const DEFAULT_LIMITS: Limits = {
  message: 65536,
  frame: 262144,
  params: 4096,
  inFlight: 64,
  channels: 500,
  rate: 100,
  burst: 200,
};

/** How long a frame travels, in each direction. */
export const LATENCY_MS = 1;

/** An entry of an actor's log. */
interface Entry {
  s: number;
  /** The connection it is for; undefined: all subscribers. */
  to?: string;
  message: { t: "event"; e: string; d: unknown } | { t: "reply"; id: number; d?: unknown };
  caller?: string;
}

/** The context of an action. */
export interface Turn {
  readonly actor: FakeActor;
  /** The calling connection's id. */
  readonly conn: string;
  broadcast(event: string, data: unknown): void;
  send(conn: string, event: string, data: unknown): void;
  /** Runs fn right after the turn, before its outputs are sent: what fn emits is in the same frame. */
  after(fn: () => void): void;
}

/** Fails an action. */
export class Failure extends Error {
  constructor(
    readonly code: string,
    message = code,
    readonly metadata?: unknown,
  ) {
    super(message);
  }
}

let logs = 0;
/** Returns a new log identity. */
const newLog = () => `log-${++logs}`;

/** One actor: its log, its connections and callers. */
export class FakeActor {
  log = newLog();
  head = 0;
  entries: Entry[] = [];
  /** Entries up to this position have been trimmed. */
  trimmed = 0;
  /** The starting position of each connection, by its id. */
  connections = new Map<string, { start: number }>();
  callers = new Map<string, { highest: number; failures: Map<number, Failure> }>();
  attachments = new Set<Attachment>();

  constructor(readonly server: FakeServer) {}

  /** Adds an entry and delivers it. */
  commit(entry: Omit<Entry, "s">): void {
    const added = { ...entry, s: ++this.head };
    this.entries.push(added);
    for (const a of this.attachments) a.deliver(added);
  }

  /** Sends an event to all subscribers. */
  broadcast(e: string, d: unknown): void {
    this.commit({ message: { t: "event", e, d } });
  }

  /** Sends an event to one connection. */
  send(to: string, e: string, d: unknown): void {
    this.commit({ to, message: { t: "event", e, d } });
  }
}

/** A connection attached to a socket. */
class Attachment {
  /** Positions by event name: later events are delivered. */
  subs = new Map<string, number>();
  cursor = 0;

  constructor(
    readonly socket: FakeSocket,
    readonly actor: FakeActor,
    readonly c: number,
    readonly conn: string,
    readonly caller: string,
  ) {}

  deliver({ s, to, message, caller }: Entry, repliesOnly = false): boolean {
    if (message.t === "reply" ? caller !== this.caller : repliesOnly) return false;
    if (to !== undefined && to !== this.conn) return false;
    if (message.t === "event" && to === undefined && !(s > (this.subs.get(message.e) ?? Infinity))) return false;
    this.socket.send({ ...message, c: this.c, s });
    return true;
  }
}

/** The server. */
export class FakeServer {
  /** Fields of hello that differ from the defaults. */
  hello: Partial<Hello> = {};
  /** Actions of all actors, by name. One that does not exist fails with unknown_action. */
  actions: Record<string, (turn: Turn, ...args: never[]) => unknown> = {};
  /** Called when a connection was created, like the hook OnConnect of an actor. */
  onConnect: ((turn: Turn, params: unknown) => void) | undefined;
  /** Returns the code with which params are refused, or undefined. */
  judge: ((params: unknown) => string | undefined) | undefined;
  /** Every message of a client, in the order of arrival. */
  received: ClientMessage[] = [];
  /** Every frame of a client. */
  frames: string[] = [];
  /** Every socket that was opened, in order. */
  sockets: FakeSocket[] = [];
  actors = new Map<string, FakeActor>();
  /** While true, the server is unreachable. */
  down = false;
  /** Refusals for the next opens. */
  refusals: Array<{ code: string; reconnect: boolean; metadata?: unknown }> = [];
  /** While set, sockets get this error instead of hello and are closed. */
  full: { code: string; message: string; metadata?: unknown } | undefined;
  /** While true, calls are neither run nor answered. */
  stuck = false;

  /**
   * How WebSockets behave: they work, are refused, are closed right after the upgrade or right after hello, or
   * get no response at all.
   */
  webSockets: "work" | "refuse" | "close" | "greet" | "vanish" = "work";
  /** While true, a proxy buffers streams. */
  buffering = false;
  /** The number of further POSTs that are accepted, but whose response is lost. */
  loseAnswers = 0;
  /** Every request over HTTP, in order: "GET /api/stream", … */
  requests: string[] = [];

  /** The option fetch of a client: sockets over HTTP. */
  fetch = (async (input: string, init: RequestInit = {}) => {
    const { method = "GET", signal } = init;
    const url = new URL(input);
    this.requests.push(`${method} ${url.pathname}`);
    signal?.throwIfAborted();
    let onAbort: (() => void) | undefined;
    const gone = new Promise<never>((_, reject) => {
      onAbort = () => reject(signal!.reason);
      signal?.addEventListener("abort", onAbort);
    });
    const answer = this.answer(`${method} ${url.pathname}`, String(init.body), signal, gone);
    answer.catch(() => {});
    return Promise.race([answer, gone]).finally(() => signal?.removeEventListener("abort", onAbort!));
  }) as unknown as typeof fetch;

  private async answer(
    what: string,
    body: string,
    signal: AbortSignal | null | undefined,
    gone: Promise<never>,
  ): Promise<Response> {
    const problem = (status: number, code: string) => Response.json({ code, message: code }, { status });
    await sleep(LATENCY_MS);
    if (this.down) throw new TypeError("fetch failed");
    if (this.full) return Response.json(this.full, { status: 429 });
    if (what === "GET /api/stream") return new FakeSocket(this, what).stream(signal!);
    const { socket: id, n, frame, waitMs } = JSON.parse(body);
    const socket = id === undefined ? new FakeSocket(this, what) : this.sockets[id.slice(1)];
    if (!socket || (id !== undefined && !socket.alive)) return problem(404, "unknown_socket");
    if (socket.blackHoled) return new Promise(() => {});
    if (what === "POST /api/poll") return socket.poll(waitMs, gone);
    if (n !== socket.batches && n !== socket.batches + 1) return problem(409, "out_of_order");
    if (n > socket.batches) socket.receive(JSON.stringify(frame));
    socket.batches = n;
    if (this.loseAnswers && this.loseAnswers--) throw new TypeError("the answer was lost");
    return new Response(null, { status: 204 });
  }

  /** Sockets that are open now. */
  get open(): FakeSocket[] {
    return this.sockets.filter((s) => s.alive);
  }

  /** The received messages of one type. */
  got<T extends ClientMessage["t"]>(t: T): Array<ClientMessage & { t: T }> {
    return this.received.filter((m): m is ClientMessage & { t: T } => m.t === t);
  }

  actor(name: string, ...key: string[]): FakeActor {
    const id = JSON.stringify([name, key]);
    let actor = this.actors.get(id);
    if (!actor) this.actors.set(id, (actor = new FakeActor(this)));
    return actor;
  }

  /** Creates a client of this server. */
  createClient<R extends object>(options: ClientOptions = {}): Client<R> {
    return createClient<R>("http://troupe.test", { WebSocket: socketClass(this), fetch: this.fetch, ...options });
  }

  /** Breaks all links; frames in transit are lost. */
  cut(code = 1006): void {
    for (const s of this.open) s.end(code);
  }

  /** Drops all frames in both directions, on the sockets that are open now. */
  blackHole(): void {
    for (const s of this.open) s.blackHoled = true;
  }

  /** Sends bye, then closes. */
  bye(delayMs: number): void {
    for (const s of this.open) {
      s.send({ t: "bye", delayMs });
      setTimeout(() => s.end(1012), LATENCY_MS * 2);
    }
  }

  /** Forgets the connections, as after the resume window, but not their callers. */
  expire(): void {
    for (const actor of this.actors.values()) actor.connections.clear();
  }

  /** Removes all entries from the logs. */
  trim(): void {
    for (const actor of this.actors.values()) {
      actor.trimmed = actor.head;
      actor.entries = [];
    }
  }

  /** Gives the actors other logs, as after a restored backup. */
  renew(): void {
    for (const actor of this.actors.values()) actor.log = newLog();
  }

  /** Closes all open channels. */
  closeChannels(code: string, reconnect: boolean): void {
    for (const s of this.open) {
      for (const a of [...s.attachments.values()]) {
        s.detach(a.c);
        s.send({ t: "closed", c: a.c, code, message: code, reconnect });
      }
    }
  }
}

/** One socket. A client gets its class as the option WebSocket. */
export class FakeSocket implements WebSocketLike {
  onmessage: WebSocketLike["onmessage"] = null;
  onclose: WebSocketLike["onclose"] = null;
  onerror: WebSocketLike["onerror"] = null;
  alive = false;
  blackHoled = false;
  /** Frames to the client, in the order sent. */
  sent: ServerMessage[][] = [];
  attachments = new Map<number, Attachment>();
  /** Over HTTP: the number of batches received, and the frames that wait for a poll. */
  batches = 0;
  private pollQueue: string[] = [];
  private wake = () => {};
  private idleTimer: ReturnType<typeof setTimeout> | undefined;
  private used = new Set<number>();
  private beatTimer: ReturnType<typeof setInterval> | undefined;
  private out: ServerMessage[] = [];

  constructor(
    readonly server: FakeServer,
    readonly url: string,
  ) {
    const id = server.sockets.push(this) - 1;
    const http = !url.startsWith("ws");
    const way = http ? "work" : server.webSockets;
    if (way === "vanish") return;
    setTimeout(() => {
      if (server.down || way === "refuse") return this.onclose?.({ code: 1006, reason: "" });
      this.alive = true;
      if (way === "close") return this.end(1006);
      if (server.full) {
        this.send({ t: "error", ...server.full });
        setTimeout(() => this.end(1013), LATENCY_MS * 2);
        return;
      }
      this.send({
        t: "hello",
        v: 1,
        limits: DEFAULT_LIMITS,
        beatMs: 15_000,
        deadMs: 25_000,
        spreadMs: 0,
        ...(http && { socket: `s${id}` }),
        ...server.hello,
      } as Hello);
      if (way === "greet") setTimeout(() => this.end(1006), LATENCY_MS * 1.5);
      this.beatTimer = setInterval(() => this.send({ t: "beat" }), server.hello.beatMs ?? 15_000);
    }, LATENCY_MS);
  }

  /** The client's send and close; the server's is `receive` and `end`. */
  send(data: string | ServerMessage): void {
    if (typeof data === "string") {
      if (!this.blackHoled) setTimeout(() => this.alive && this.receive(data), LATENCY_MS);
      return;
    }
    if (!this.alive) return;
    if (!this.out.length) setTimeout(() => this.flush(), LATENCY_MS);
    this.out.push(data);
  }

  close(): void {
    setTimeout(() => this.end(1000), LATENCY_MS);
  }

  /** Ends the link. */
  end(code: number): void {
    if (!this.alive) return;
    this.alive = false;
    clearInterval(this.beatTimer);
    clearTimeout(this.idleTimer);
    for (const c of this.attachments.keys()) this.detach(c);
    this.onclose?.({ code, reason: "" });
  }

  /** Delivers a frame to the client now. */
  flush(messages = this.out.splice(0)): void {
    if (!this.alive || this.blackHoled || !messages.length) return;
    this.sent.push(messages);
    this.onmessage?.({ data: JSON.stringify(messages.length > 1 ? messages : messages[0]) });
  }

  detach(c: number): void {
    const a = this.attachments.get(c);
    this.attachments.delete(c);
    a?.actor.attachments.delete(a);
  }

  /** The response to GET /api/stream. */
  stream(signal: AbortSignal): Response {
    return new Response(
      new ReadableStream({
        start: (controller) => {
          const encoder = new TextEncoder();
          this.onmessage = ({ data }) => {
            if (!this.server.buffering) controller.enqueue(encoder.encode(`data: ${String(data)}\n\n`));
          };
          this.onclose = () => controller.error(new TypeError("terminated"));
          signal.addEventListener("abort", () => {
            this.end(1000);
            // If it was not open yet.
            this.alive = false;
            this.onclose = null;
          });
        },
      }),
    );
  }

  /** The response to a poll. */
  async poll(waitMs: number, gone: Promise<never>): Promise<Response> {
    this.onmessage = ({ data }) => {
      this.pollQueue.push(String(data));
      this.wake();
    };
    this.onclose = () => this.wake();
    this.wake();
    clearTimeout(this.idleTimer);
    const came = new Promise<void>((resolve) => (this.wake = resolve));
    const waited = Promise.race([came, sleep(this.alive ? waitMs : LATENCY_MS * 3), gone]);
    if (!this.pollQueue.length) await waited.catch(() => {});
    if (!this.alive) throw new TypeError("terminated");
    this.idleTimer = setTimeout(() => this.end(1006), 25_000);
    if (this.blackHoled) return new Promise(() => {});
    const messages = this.pollQueue.splice(0).flatMap((text) => JSON.parse(text) as unknown);
    return Response.json(messages);
  }

  receive(frame: string): void {
    this.server.frames.push(frame);
    if (new TextEncoder().encode(frame).length > (this.server.hello.limits ?? DEFAULT_LIMITS).frame)
      return this.end(1009);
    for (const message of [JSON.parse(frame)].flat() as ClientMessage[]) {
      this.server.received.push(message);
      this.handle(message);
    }
  }

  private handle(m: ClientMessage): void {
    if (m.t === "beat") return m.probe && this.send({ t: "beat" });
    if (m.t === "open") return this.handleOpen(m);
    const a = this.attachments.get(m.c);
    if (!a) return this.send({ t: "error", c: m.c, code: "unknown_channel", message: `channel ${m.c} is not open` });
    switch (m.t) {
      case "call":
        return this.handleCall(a, m);
      case "sub":
        for (const e of m.e) if (!a.subs.has(e)) a.subs.set(e, a.actor.head);
        return;
      case "unsub":
        for (const e of m.e) a.subs.delete(e);
        return;
      case "params": {
        const code = this.server.judge?.(m.params);
        if (!code) return;
        this.detach(m.c);
        return this.send({ t: "closed", c: m.c, code, message: code, reconnect: false });
      }
      case "close":
        a.actor.connections.delete(a.conn);
        return this.detach(m.c);
    }
  }

  private handleOpen(m: Open): void {
    if (this.used.has(m.c)) throw new Error(`channel ${m.c} was used before`);
    this.used.add(m.c);
    const code = this.server.judge?.(m.params);
    const refusal = code ? { code, reconnect: false } : this.server.refusals.shift();
    if (refusal) return this.send({ t: "closed", c: m.c, message: refusal.code, ...refusal });
    const actor = this.server.actor(m.actor ?? m.actorId!, ...(m.key ?? []));
    const conn = `conn-${m.k}`;
    for (const other of actor.attachments) {
      if (other.conn !== conn) continue;
      other.socket.detach(other.c);
      other.socket.send({ t: "closed", c: other.c, code: "replaced", message: "opened elsewhere", reconnect: false });
    }

    const known = actor.connections.get(conn);
    const asked = m.log !== undefined;
    const from = asked && m.log === actor.log && m.s! <= actor.head ? m.s! : undefined;
    const start = from ?? known?.start ?? actor.head;
    const a = new Attachment(this, actor, m.c, conn, m.caller);
    for (const e of m.subs ?? []) a.subs.set(e, start);
    this.attachments.set(m.c, a);
    const isLost = asked && (!known || from === undefined || from < actor.trimmed);
    const opened: Extract<ServerMessage, { t: "opened" }> = {
      t: "opened",
      c: m.c,
      s: isLost ? actor.head : start,
      actorId: "actor",
      log: actor.log,
      connId: conn,
    };
    if (known) opened.resumed = true;
    else actor.connections.set(conn, { start });
    const missed = actor.entries.filter((e) => e.s > start);
    if (isLost) {
      const reason = m.log !== actor.log ? "restart" : known ? "overflow" : "expired";
      const restart = reason === "restart"; // the content of the other log is not known
      opened.lost = { reason, missed: restart ? 0 : missed.length, exact: !restart && start >= actor.trimmed };
    }
    this.send(opened);
    for (const entry of missed) a.deliver(entry, isLost);
    actor.attachments.add(a);
    if (!known) this.server.onConnect?.(turn(a), m.params);
    this.send({ t: "at", c: m.c, s: actor.head });
  }

  private handleCall(a: Attachment, m: Extract<ClientMessage, { t: "call" }>): void {
    if (this.server.stuck) return;
    const { actor, caller: name } = a;
    let caller = actor.callers.get(name);
    if (!caller) actor.callers.set(name, (caller = { highest: 0, failures: new Map() }));
    const fail = ({ code, message, metadata }: Failure) =>
      this.send({ t: "fail", c: m.c, s: actor.head, id: m.id, code, message, metadata });
    if (m.id <= caller.highest) return fail(caller.failures.get(m.id) ?? new Failure("ran"));
    caller.highest = m.id;

    const events: Array<() => void> = [];
    const after: Array<() => void> = [];
    try {
      const action = this.server.actions[m.a];
      if (!action) throw new Failure("unknown_action");
      const d = action(
        {
          actor,
          conn: a.conn,
          broadcast: (e, data) => events.push(() => actor.broadcast(e, data)),
          send: (conn, e, data) => events.push(() => actor.send(conn, e, data)),
          after: (fn) => after.push(fn),
        },
        ...(m.args as never[]),
      );
      for (const emit of events) emit();
      actor.commit({ to: a.conn, caller: name, message: { t: "reply", id: m.id, d } });
      for (const fn of after) fn();
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      caller.failures.set(m.id, error);
      fail(error);
    }
  }
}

/** Returns a WebSocket class whose sockets connect to server. */
export function socketClass(server: FakeServer): WebSocketClass {
  return class extends FakeSocket {
    constructor(url: string) {
      super(server, url);
    }
  };
}

function turn(a: Attachment): Turn {
  return {
    actor: a.actor,
    conn: a.conn,
    broadcast: (e, d) => a.actor.broadcast(e, d),
    send: (conn, e, d) => a.actor.send(conn, e, d),
    after: (fn) => fn(),
  };
}

/** Advances time, so that everything in transit arrives. */
export async function settle(ms = 10): Promise<void> {
  await vi.advanceTimersByTimeAsync(ms);
}

/** Collects the lifecycle events of a connection: `"connected"`, `"reconnected true"`, `"error link"`, … */
export function lifecycle({ on }: Pick<Connection, "on">): string[] {
  const seen: string[] = [];
  on("connected", () => seen.push("connected"));
  on("disconnected", (d: { willRetry: boolean }) => seen.push(`disconnected ${d.willRetry}`));
  on("reconnected", (d: { recovered: boolean }) => seen.push(`reconnected ${d.recovered}`));
  on("error", (e: { code: string }) => seen.push(`error ${e.code}`));
  on("closed", (e: { code: string } | undefined) => seen.push(`closed ${e?.code ?? ""}`.trim()));
  return seen;
}
