// One socket of the fake server, over a fake WebSocket or over HTTP.
import type { WebSocketClass, WebSocketLike } from "../src/index.js";
import type { Limits } from "../src/limits.js";
import type { ClientMessage, Hello, Open, ServerMessage } from "../src/wire.js";
import { Attachment, Failure, type Turn } from "./fakeActor.js";
import type { FakeServer } from "./fakeServer.js";

export const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

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
  private dying = false;
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
    if (m.log !== undefined && m.log === actor.ended) return this.send(actor.destroyed(m.c, m.caller));
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
    if (this.server.owner) opened.owner = this.server.owner;
    if (known) opened.resumed = true;
    else actor.connections.set(conn, { start });
    const missed = actor.entries.filter((e) => e.s > start);
    if (isLost) {
      const reason = m.log !== actor.log ? "restart" : known ? "overflow" : "expired";
      const restart = reason === "restart"; // the content of the other log is not known
      opened.lost = {
        reason: this.server.changedUser ? "identity" : reason,
        missed: restart ? 0 : missed.length,
        exact: !restart && start >= actor.trimmed,
      };
    }
    this.send(opened);
    for (const entry of missed) a.deliver(entry, isLost);
    actor.attachments.add(a);
    if (!known) this.server.onConnect?.(turn(a), m.params);
    this.send({ t: "at", c: m.c, s: actor.head });
  }

  private handleCall(a: Attachment, m: Extract<ClientMessage, { t: "call" }>): void {
    const { fatal, stuck } = this.server;
    if (stuck || this.dying) return;
    if (m.a === fatal?.action) {
      this.dying = true;
      setTimeout(() => this.server.cut(), fatal.afterMs);
      return;
    }
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
