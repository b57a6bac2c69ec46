// The actors of the fake server: each has a log, and connections are cursors in it.
import type { ServerMessage } from "../src/wire.js";
import type { FakeServer } from "./fakeServer.js";
import type { FakeSocket } from "./fakeSocket.js";

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
export const newLog = () => `log-${++logs}`;

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
  /** The log of the life before this one. */
  ended: string | undefined;
  lives = 1;

  constructor(readonly server: FakeServer) {}

  /** Adds an entry and delivers it. */
  commit(entry: Omit<Entry, "s">): void {
    const added = { ...entry, s: ++this.head };
    this.entries.push(added);
    for (const a of this.attachments) a.deliver(added);
  }

  /** The end of a channel whose actor was destroyed. */
  destroyed(c: number, caller: string): ServerMessage {
    const h = this.callers.get(caller)?.highest ?? 0;
    return { t: "closed", c, code: "destroyed", message: "the actor was destroyed", reconnect: false, h };
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
export class Attachment {
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
