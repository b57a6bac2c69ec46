import { describe, expect, it, vi } from "vitest";
import type { Client, Reconnected, Transport } from "../src/index.js";
import type { ServerMessage } from "../src/wire.js";
import { DEFAULT_LIMITS, lifecycle, settle } from "./fakeServer.js";
import { connect, room, server, useClient } from "./testEnv.js";

describe("reconnecting", () => {
  it("replays, then emits reconnected", async () => {
    const connection = connect();
    const seen: unknown[] = lifecycle(connection);
    let details: Reconnected | undefined;
    connection.on("a", (d) => seen.push(d));
    connection.on("reconnected", (d) => {
      details = d;
    });
    await settle();
    room().broadcast("a", 1);
    await settle();
    server.cut();
    expect(connection.status).toBe("disconnected");
    room().broadcast("a", 2);
    room().broadcast("a", 3);
    await settle(1000);
    room().broadcast("a", 4);
    await settle();
    expect(seen).toEqual(["connected", 1, "disconnected true", 2, 3, "reconnected true", 4]);
    expect(details).toEqual({ recovered: true, missed: 0, exact: true, replayed: 2 });
  });

  it("resumes without having received an event, and within 5 ms of a loss", async () => {
    useClient({ transport: "websocket" }); // "auto" would take the links for blocked
    let failures = 0;
    for (let i = 0; i < 1000; i++) {
      const connection = connect();
      const seen: unknown[] = lifecycle(connection);
      connection.on("a", (d) => seen.push(d));
      await settle(3 + (i % 5)); // sometimes before opened or at has arrived
      const before = connection.status;
      server.cut();
      room().broadcast("a", i);
      await settle(1000);
      room().broadcast("a", -i);
      await settle();
      const expected =
        before === "connected"
          ? ["connected", "disconnected true", i, "reconnected true", -i]
          : ["error link", "connected", i, -i];
      // A connection whose open never reached the server starts at the present.
      const alternative = ["error link", "connected", -i];
      const got = JSON.stringify(seen);
      if (got !== JSON.stringify(expected) && got !== JSON.stringify(alternative)) failures++;
      if (before === "connected" && got !== JSON.stringify(expected)) failures++;
      connection.dispose();
      await settle(1000);
    }
    expect(failures).toBe(0);
  });

  it.each([
    ["expired", () => server.expire(), { missed: 2, exact: true }],
    ["overflow", () => server.trim(), { missed: 0, exact: false }],
    ["restart", () => server.renew(), { missed: 0, exact: false }],
  ])("%s is reported before any new event, and nothing is replayed", async (reason, fault, count) => {
    const connection = connect();
    const seen: unknown[] = lifecycle(connection);
    connection.on("reconnected", (d) => seen.push(d));
    connection.on("a", (d) => seen.push(d));
    await settle();
    room().broadcast("a", 0);
    await settle();
    server.cut();
    room().broadcast("a", 1);
    room().broadcast("a", 2);
    fault();
    await settle(1000);
    room().broadcast("a", 3);
    await settle();
    expect(seen).toEqual([
      "connected",
      0,
      "disconnected true",
      "reconnected false",
      { recovered: false, reason, replayed: 0, ...count },
      3,
    ]);
  });

  it("starts at once, backs off while the server is down, and resets the back-off after a good link", async () => {
    vi.spyOn(Math, "random").mockReturnValue(1);
    const connection = connect();
    const delays: Array<number | undefined> = [];
    connection.on("disconnected", (d) => delays.push(d.retryInMs));
    connection.on("error", (e) => delays.push((e.metadata as { retryInMs: number }).retryInMs));
    await settle(10_000);
    server.down = true;
    server.cut();
    await settle(61_000);
    expect(delays).toEqual([0, 250, 500, 1000, 2000, 4000, 8000, 16_000, 30_000]);
    server.down = false;
    await settle(60_000);
    delays.length = 0;
    server.cut();
    expect(delays).toEqual([0]);
  });

  it.each<[string, Transport]>([
    [
      "ends before it has returned",
      (_, { end }) => {
        end("no route");
        return { send() {}, close() {} };
      },
    ],
    [
      "throws",
      () => {
        throw new Error("no route");
      },
    ],
  ])("keeps trying when a transport %s", async (_, transport) => {
    vi.spyOn(Math, "random").mockReturnValue(1);
    const dials = vi.fn(transport);
    const own = server.createClient({ transport: dials }) as Client;
    const seen = lifecycle(own["chatRoom"]!.getOrCreate("a").connect());
    const second = lifecycle(own["chatRoom"]!.getOrCreate("b").connect());
    expect(seen).toEqual([]);
    await settle(10_000);
    expect(seen).toEqual(Array(6).fill("error link")); // after 0, 0.25, 0.75, 1.75, 3.75, 7.75 s
    expect(second).toEqual(seen);
    expect(dials.mock.calls.length).toBeLessThanOrEqual(7);
    own.dispose();
    expect(vi.getTimerCount()).toBe(0);
  });

  it("does not spin when a server says hello and closes", async () => {
    const connection = connect();
    connection.on("error", () => {});
    const timer = setInterval(() => server.open[0]?.sent.length && server.cut(), 1);
    await settle(60_000);
    clearInterval(timer);
    expect(server.sockets.length).toBeLessThan(20);
    expect(server.got("open")).toHaveLength(0);
  });

  it("spreads the first attempt over the time that the server asks for", async () => {
    server.hello = { spreadMs: 10_000 };
    vi.spyOn(Math, "random").mockReturnValue(0.5);
    connect();
    await settle(10_000);
    server.cut();
    await settle(4_990);
    expect(server.sockets).toHaveLength(1);
    await settle(20);
    expect(server.sockets).toHaveLength(2);
  });

  it("10,000 clients that were dropped at once reconnect evenly over the window", async () => {
    const windowMs = 10_000;
    const bins = Array<number>(20).fill(0);
    const drop: Array<() => void> = [];
    // A minimal server: it says hello, answers opens and disappears.
    const transport: Transport = (_, { frame, end }) => {
      const say = (...messages: ServerMessage[]) => frame(JSON.stringify(messages));
      queueMicrotask(() =>
        say({ t: "hello", v: 1, limits: DEFAULT_LIMITS, beatMs: 15_000, deadMs: 25_000, spreadMs: windowMs }),
      );
      drop.push(() => end("dropped"));
      return {
        send: () => say({ t: "opened", c: 1, s: 0, actorId: "a", log: "l", connId: "c" }, { t: "at", c: 1, s: 0 }),
        close() {},
      };
    };
    const crowd = Array.from({ length: 10_000 }, () => server.createClient({ transport }) as Client);
    for (const one of crowd) {
      one["chatRoom"]!.getOrCreate("general")
        .connect()
        .on("disconnected", ({ retryInMs }) => {
          bins[Math.floor((retryInMs! / (windowMs + 1)) * bins.length)]!++;
        });
    }
    await settle(0);
    for (const end of drop.splice(0)) end();
    await settle(0);
    for (const one of crowd) one.dispose();
    const mean = 10_000 / bins.length;
    expect(bins.reduce((sum, n) => sum + n)).toBe(10_000);
    expect(Math.max(...bins)).toBeLessThan(2 * mean);
    const chiSquare = bins.reduce((sum, n) => sum + (n - mean) ** 2 / mean, 0);
    expect(chiSquare).toBeLessThan(43.8); // 19 degrees of freedom, p = 0.001
  });

  it("waits after bye as long as the server asks", async () => {
    const connection = connect();
    const seen: unknown[] = [];
    connection.on("disconnected", (d) => seen.push(d));
    await settle(10_000);
    server.bye(700);
    await settle(5);
    expect(seen).toEqual([{ reason: "shutdown", willRetry: true, retryInMs: 700 }]);
    await settle(690);
    expect(server.sockets).toHaveLength(1);
    await settle(20);
    expect(connection.status).toBe("connected");
  });

  it("replaces a black-holed link within 25 s, without waiting for its close", async () => {
    const connection = connect();
    const seen: unknown[] = lifecycle(connection);
    connection.on("a", (d) => seen.push(d));
    await settle();
    const old = server.sockets[0]!;
    const { onmessage, onclose } = old;
    server.blackHole();
    room().broadcast("a", 1);
    await settle(24_000);
    expect(connection.status).toBe("connected");
    await settle(1_100);
    expect(seen).toEqual(["connected", "disconnected true", 1, "reconnected true"]);
    // Frames of the old socket are ignored.
    onmessage!({ data: JSON.stringify({ t: "event", c: 2, s: 9, e: "a", d: "late" }) });
    onclose!({ code: 1006, reason: "" });
    await settle(1000);
    expect(seen).toHaveLength(4);
  });

  it("answers heartbeats, and sends its own to a server that is never silent", async () => {
    connect();
    await settle(8_000);
    const beats = () => server.got("beat").length;
    server.open[0]!.send({ t: "beat" });
    await settle();
    expect(beats()).toBe(1);
    for (let i = 0; i < 30; i++) {
      server.open[0]!.send({ t: "at", c: 1, s: 0 });
      await settle(1000);
    }
    expect(beats()).toBeGreaterThanOrEqual(4);
    expect(beats()).toBeLessThanOrEqual(5);
  });

  it("declares a link dead only after frames that have already arrived were read", async () => {
    server.hello = { beatMs: 60_000 };
    const connection = connect();
    await settle();
    const socket = server.open[0]!;
    socket.flush([{ t: "beat" }]);
    await settle(24_995);
    // Due at the same time as the watchdog, but after it.
    setTimeout(() => socket.flush([{ t: "beat" }]), 5);
    await settle(2_000);
    expect(connection.status).toBe("connected");
    expect(server.sockets).toHaveLength(1);
  });

  it("opens the same connection again when the response to its first open was lost", async () => {
    const connection = connect();
    const seen: unknown[] = lifecycle(connection);
    server.onConnect = (turn) => turn.send(turn.conn, "welcome", 1);
    connection.on("welcome", (d) => seen.push(d));
    await settle(3); // the open has arrived, its response has not
    expect(room().connections.size).toBe(1);
    server.cut();
    await settle(2000);
    expect(room().connections.size).toBe(1);
    expect(seen).toEqual(["error link", "connected", 1]);
  });

  it("counts the events replayed since the last loss", async () => {
    const connection = connect();
    const replayed: number[] = [];
    connection.on("reconnected", (d) => replayed.push(d.replayed));
    connection.on("a", () => {});
    await settle();
    for (const events of [2, 1, 0]) {
      server.cut();
      for (let i = 0; i < events; i++) room().broadcast("a", i);
      await settle(1000);
    }
    expect(replayed).toEqual([2, 1, 0]);
  });

  it("acknowledges after a resume what it received before", async () => {
    let say: (...messages: ServerMessage[]) => void = () => {};
    const sent: string[] = [];
    const transport: Transport = (_, { frame }) => {
      say = (...messages) => frame(JSON.stringify(messages));
      return { send: (text) => void sent.push(text), close() {} };
    };
    const own = server.createClient({ transport }) as Client;
    own["chatRoom"]!.getOrCreate("general").connect();
    say({ t: "hello", v: 1, limits: DEFAULT_LIMITS, beatMs: 600_000, deadMs: 900_000, spreadMs: 0 });
    await settle();
    say({ t: "opened", c: 1, s: 0, actorId: "a", log: "l", connId: "c" }, { t: "event", c: 1, s: 1, e: "a", d: 1 });
    await settle(31_000);
    expect(sent).toHaveLength(1); // the open; at has not arrived yet
    say({ t: "at", c: 1, s: 1 });
    await settle(31_000);
    expect(sent.slice(1).map((text) => JSON.parse(text))).toEqual([{ t: "ack", c: 1, s: 1 }]);
    own.dispose();
  });

  it("acknowledges events of another log, even if its positions are lower", async () => {
    const connection = connect();
    connection.on("a", () => {});
    await settle();
    for (let i = 0; i < 50; i++) room().broadcast("a", i);
    await settle(31_000);
    server.cut();
    server.renew();
    Object.assign(room(), { head: 0, entries: [] });
    await settle(1000);
    for (let i = 0; i < 10; i++) room().broadcast("a", i);
    await settle(31_000);
    expect(server.got("ack").map((m) => m.s)).toEqual([50, 10]);
  });

  it("an invalid frame ends the link, not the connection", async () => {
    const connection = connect();
    const seen = lifecycle(connection);
    await settle();
    server.open[0]!.onmessage!({ data: "<html>" });
    await settle(1000);
    expect(seen).toEqual(["connected", "disconnected true", "reconnected true"]);
    server.open[0]!.send({ t: "brandNew", c: 1 } as never);
    server.open[0]!.send({ t: "error", code: "malformed", message: "what?" });
    await settle();
    expect(seen.slice(3)).toEqual(["error malformed"]);
  });
});
