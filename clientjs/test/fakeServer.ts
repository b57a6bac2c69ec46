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
// FakeSocket.handle (fakeSocket.ts). `received` has every message of the client, `sockets` every socket.
import { vi } from "vitest";
import { createClient, type Client, type ClientOptions, type Connection } from "../src/index.js";
import type { ClientMessage, Hello } from "../src/wire.js";
import { FakeActor, newLog, type Turn } from "./fakeActor.js";
import { FakeSocket, LATENCY_MS, sleep, socketClass } from "./fakeSocket.js";

export { FakeActor, Failure, type Turn } from "./fakeActor.js";
export { DEFAULT_LIMITS, FakeSocket, LATENCY_MS, socketClass } from "./fakeSocket.js";

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
  /** While true, who resumes is another user than before. */
  changedUser = false;
  /** The owner in the answers to opens. */
  owner: string | undefined;
  /** While set, sockets get this error instead of hello and are closed. */
  full: { code: string; message: string; metadata?: unknown } | undefined;
  /** While true, calls are neither run nor answered. */
  stuck = false;
  /** The server dies afterMs after it got a call of this action, and is there again at once. It runs no other call meanwhile. */
  fatal: { action: string; afterMs: number } | undefined;

  /**
   * How WebSockets behave: they work, are refused, are closed right after the upgrade or right after hello, or
   * get no response at all.
   */
  webSockets: "work" | "refuse" | "close" | "greet" | "vanish" = "work";
  /** While true, requests over HTTP get no answer. */
  stall = false;
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
    if (this.stall) return new Promise(() => {});
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

  /** Destroys all actors: their connections are closed, and who opens with their logs hears it. */
  destroy(): void {
    for (const actor of this.actors.values()) {
      for (const a of [...actor.attachments]) {
        a.socket.detach(a.c);
        a.socket.send(actor.destroyed(a.c, a.caller));
      }
      actor.ended = actor.log;
      actor.log = newLog();
      actor.entries = [];
      actor.trimmed = actor.head;
      actor.connections.clear();
      actor.lives++;
    }
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
