// Under random faults, with every transport: lifecycle events follow the state machine
// in connection.ts, no event is lost or duplicated unless a gap is reported, and every
// call settles. FAULT_SCRIPTS is the number of scripts; FAULT_SCRIPT runs a single one.
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { ActorError, Client, Connection, LifecycleEvents, Status } from "../src/index.js";
import { FakeServer, settle, type Turn } from "./fakeServer.js";
import { createRandom } from "./createRandom.js";
import { seedRandom } from "./random.js";
import { MACHINE } from "./stateMachine.js";

const SCRIPTS = Number(process.env["FAULT_SCRIPTS"] ?? 2000);

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const FAULTS: Record<string, (server: FakeServer, pick: (n: number) => number) => void> = {
  cut: (server) => server.cut(),
  down: (server, pick) => {
    server.down = true;
    server.cut();
    setTimeout(() => (server.down = false), pick(5000));
  },
  blackHole: (server) => server.blackHole(),
  bye: (server, pick) => server.bye(pick(1000)),
  expire: (server) => {
    server.cut();
    server.expire();
  },
  trim: (server) => {
    server.cut();
    server.trim();
  },
  renew: (server) => {
    server.cut();
    server.renew();
  },
  refuse: (server) => {
    server.refusals.push({ code: "overloaded", reconnect: true });
    server.cut();
  },
  closeForNow: (server) => server.closeChannels("slow", true),
  complain: (server) => {
    for (const s of server.open) s.send({ t: "error", code: "rate_limited", message: "too many" });
  },
  block: (server, pick) => {
    server.webSockets = (["work", "refuse", "close", "greet", "vanish"] as const)[pick(5)]!;
    server.buffering = pick(2) === 0;
    server.cut();
  },
  loseAnswers: (server, pick) => void (server.loseAnswers = 1 + pick(6)),
  full: (server, pick) => {
    server.full = { code: "overloaded", message: "full", metadata: { retryAfterMs: pick(5000) } };
    server.cut();
    setTimeout(() => (server.full = undefined), pick(5000));
  },
  garbage: (server) => {
    for (const s of server.open) s.onmessage?.({ data: "{" });
  },
};
/** Codes that end the connection. */
const ENDS: Record<string, (server: FakeServer, connection: Connection) => void> = {
  refuseForGood: (server) => {
    server.refusals.push({ code: "forbidden", reconnect: false });
    server.cut();
  },
  closeForGood: (server) => server.closeChannels("disconnected", false),
  dispose: (_, connection) => connection.dispose(),
};

async function run(seed: number): Promise<void> {
  const random = createRandom(seed);
  const pick = (n: number) => Math.floor(random() * n);
  seedRandom(seed);
  const server = new FakeServer();
  if (pick(3) === 0) server.hello = { spreadMs: pick(500) };
  server.actions["add"] = (turn: Turn, n: number) => {
    turn.broadcast("added", n);
    return n;
  };
  const transport = (["auto", "auto", "websocket", "sse"] as const)[pick(4)]!;
  const client = server.createClient({ transport }) as Client;
  const connection = client["chatRoom"]!.getOrCreate("general").connect();
  const room = server.actor("chatRoom", "general");
  const script: string[] = [transport];
  const where = () => `script ${seed}: ${script.join(" ")}`;

  let status: Status = "connecting";
  let last = 0; // the number of the last event
  let gap = false; // the connection reported that events were missed
  for (const event of ["connected", "disconnected", "reconnected", "error", "closed"] as const) {
    connection.on(event, (data: unknown) => {
      script.push(`[${event}]`);
      const next = MACHINE[status][event];
      expect(next, `${event} while ${status}, ${where()}`).toBeDefined();
      status = next!;
      expect(connection.status, where()).toBe(status);
      if (event === "reconnected" && !(data as LifecycleEvents["reconnected"]).recovered) gap = true;
      if (event === "error") expect((data as ActorError).code).toMatch(/^[a-z_]+$/);
    });
  }
  connection.on("tick", (n: number) => {
    if (!gap && last) expect(n, where()).toBe(last + 1);
    expect(n, where()).toBeGreaterThan(last);
    gap = false;
    last = n;
  });

  let ticks = 0;
  let calls = 0;
  let settled = 0;
  const added = new Map<number, number>();
  connection.on("added", (n: number) => added.set(n, (added.get(n) ?? 0) + 1));
  const call = () => {
    const n = ++calls;
    connection["add"]!(n).then(
      () => settled++,
      (error: ActorError) => {
        settled++;
        expect(error.code, where()).toMatch(/^(ran|maybe_ran|not_sent)$/);
      },
    );
  };

  for (let step = 0; step < 12; step++) {
    const ends = step === 11 || pick(40) === 0;
    const faults = ends ? ENDS : FAULTS;
    const name = Object.keys(faults)[pick(Object.keys(faults).length)]!;
    for (let i = pick(3); i > 0; i--) room.broadcast("tick", ++ticks);
    for (let i = pick(3); i > 0; i--) call();
    await settle([0, 1, 2, 3, 5, 20, 400, 3000, 40_000][pick(9)]);
    if (pick(4) === 0) continue;
    script.push(name);
    if (ends) ENDS[name]!(server, connection);
    else FAULTS[name]!(server, pick);
    if (ends) break;
  }

  if (transport === "websocket") server.webSockets = "work";
  await settle(90_000);
  // If the connection has not ended by now, it has recovered.
  if (connection.status !== "closed") {
    expect(connection.status, where()).toBe("connected");
    room.broadcast("tick", ++ticks);
    await settle();
    expect(last, where()).toBe(ticks);
  }
  for (const [n, times] of added) expect(times, `call ${n} took effect, ${where()}`).toBe(1);
  client.dispose();
  await settle(100_000);
  expect(status, where()).toBe("closed");
  expect(settled, where()).toBe(calls);
  expect(server.open, where()).toHaveLength(0);
  expect(vi.getTimerCount(), where()).toBe(0);
}

it(`${SCRIPTS} random fault scripts follow the documented state machine`, { timeout: 3_600_000 }, async () => {
  vi.spyOn(console, "error").mockImplementation(() => {});
  const one = Number(process.env["FAULT_SCRIPT"]);
  for (let seed = one || 1; seed <= (one || SCRIPTS); seed++) await run(seed);
});
