import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import {
  ActorError,
  type Client,
  type Connection,
  type ConnectOptions,
  type Reconnected,
  type Transport,
} from "../src/index.js";
import type { ServerMessage } from "../src/wire.js";
import { DEFAULT_LIMITS, Failure, FakeServer, lifecycle, settle, type Turn } from "./fakeServer.js";

let server: FakeServer;
let client: Client;

beforeEach(() => {
  vi.useFakeTimers();
  server = new FakeServer();
  client = server.createClient();
});
afterEach(() => {
  client.dispose();
  vi.clearAllTimers();
  vi.useRealTimers();
});

const connect = (params?: unknown, options?: ConnectOptions): Connection =>
  client["chatRoom"]!.getOrCreate("general").connect(params, options);
const room = () => server.actor("chatRoom", "general");

/** The code of the error that a promise rejects with. */
const failure = (promise: Promise<unknown>) =>
  promise.then(
    (value) => expect.fail(`resolved with ${JSON.stringify(value)}`),
    (error: ActorError) => error,
  );

describe("connecting", () => {
  it("opens one socket for all connections, with no params or secrets in its URL", async () => {
    connect({ token: "secret" });
    client["gameRoom"]!.getOrCreate(["a", "b"]).connect();
    await settle();
    expect(server.sockets.map((s) => s.url)).toEqual(["ws://troupe.test/api/socket?v=1"]);
    expect(server.got("open")).toMatchObject([
      { c: 1, actor: "chatRoom", key: ["general"], params: { token: "secret" } },
      { c: 2, actor: "gameRoom", key: ["a", "b"] },
    ]);
    expect(server.frames).toHaveLength(1);
  });

  it("creates secrets of 128 bits", async () => {
    connect();
    await settle();
    const { k, caller } = server.got("open")[0]!;
    expect(k).toMatch(/^[A-Za-z0-9_-]{22}$/);
    expect(caller).toMatch(/^[A-Za-z0-9_-]{22}$/);
    expect(k).not.toBe(caller);
  });

  it("closes the socket a while after the last connection was disposed", async () => {
    const a = connect();
    const b = connect();
    await settle();
    a.dispose();
    b.dispose();
    await settle(400);
    expect(server.open).toHaveLength(1);
    expect(server.got("close")).toHaveLength(2);
    await settle(200);
    expect(server.open).toHaveLength(0);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("keeps the socket if a connection is opened within that time", async () => {
    connect().dispose();
    await settle();
    const again = connect();
    await settle(2000);
    expect(again.status).toBe("connected");
    expect(server.sockets).toHaveLength(1);
  });

  it("delivers the first events to listeners added in the tick of connect()", async () => {
    server.onConnect = (turn) => {
      turn.broadcast("joined", turn.conn);
      turn.send(turn.conn, "history", [1, 2]);
    };
    let failures = 0;
    for (let i = 0; i < 1000; i++) {
      const connection = connect();
      const seen: unknown[] = [];
      connection.on("joined", () => seen.push("joined"));
      connection.on("history", (data) => seen.push(data));
      await settle();
      if (JSON.stringify(seen) !== '["joined",[1,2]]') failures++;
      connection.dispose();
      await settle(1);
    }
    expect(failures).toBe(0);
  });

  it("calls a params function for every attempt, and reports its errors", async () => {
    vi.spyOn(Math, "random").mockReturnValue(1); // so that the next attempt is not at once
    const attempts: number[] = [];
    let broken = true;
    const connection = connect(async ({ attempt, signal }: { attempt: number; signal: AbortSignal }) => {
      expect(signal.aborted).toBe(false);
      attempts.push(attempt);
      if (broken) throw new Error("no token");
      return { token: attempts.length };
    });
    const seen = lifecycle(connection);
    await settle();
    expect(seen).toEqual(["error params_failed"]);
    broken = false;
    await settle(1000);
    expect(seen).toEqual(["error params_failed", "connected"]);
    server.cut();
    await settle(1000);
    expect(server.got("open").map((m) => m.params)).toEqual([{ token: 2 }, { token: 3 }]);
    expect(attempts).toEqual([1, 2, 1]);
  });

  it("aborts the signal of a params function when its attempt is obsolete", async () => {
    const signals: AbortSignal[] = [];
    const connection = connect(({ signal }: { signal: AbortSignal }) => {
      signals.push(signal);
      return new Promise(() => {});
    });
    connection.on("error", () => {});
    await settle();
    server.cut();
    await settle(0);
    expect(signals[0]!.aborted).toBe(true);
    await settle(1000);
    connection.dispose();
    expect(signals.map((s) => s.aborted)).toEqual([true, true]);
  });

  it("ignores params that arrive after their attempt became obsolete", async () => {
    const answers: Array<(params: unknown) => void> = [];
    const params = () => new Promise((resolve) => answers.push(resolve));
    const connection = connect(params);
    const seen = lifecycle(connection);
    await settle();
    server.cut();
    await settle(2000);
    answers[0]!("late");
    await settle();
    expect(server.got("open")).toEqual([]);
    answers[1]!("in time");
    await settle();
    expect(server.got("open").map((m) => m.params)).toEqual(["in time"]);
    expect(seen).toEqual(["error link", "connected"]);

    const disposed = connect(params);
    await settle();
    disposed.dispose();
    answers[2]!("too late");
    await settle(1000);
    expect(server.got("open")).toHaveLength(1);
  });

  it("ignores the error of a params function whose attempt became obsolete", async () => {
    const fails: Array<(why: Error) => void> = [];
    const params = () => new Promise((_, reject) => fails.push(reject));
    const connection = connect(params);
    const seen = lifecycle(connection);
    await settle();
    server.cut();
    await settle(2000);
    fails[0]!(new Error("late"));
    await settle(7_000);
    expect(seen).toEqual(["error link"]); // from the lost link
    expect(fails).toHaveLength(2);

    connection.dispose();
    fails[1]!(new Error("too late"));
    await settle(60_000);
    expect(seen).toEqual(["error link", "closed"]);
    expect(fails).toHaveLength(2);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("reports a params function that throws at once to listeners added in the tick of connect()", async () => {
    vi.spyOn(Math, "random").mockReturnValue(1); // so that the next attempt is not at once
    const log = vi.spyOn(console, "error").mockImplementation(() => {});
    connect();
    await settle(); // the socket is up
    const connection = connect(() => {
      throw new Error("no token");
    });
    const seen = lifecycle(connection);
    await settle(0);
    expect(seen).toEqual(["error params_failed"]);
    expect(log).not.toHaveBeenCalled();
  });

  it("calls no params function, and creates nothing, when it is disposed in the tick of connect()", async () => {
    connect();
    await settle();
    const params = vi.fn();
    const fetch = vi.fn();
    connect(params).dispose();
    const own = server.createClient({ fetch }) as Client;
    own["chatRoom"]!.getOrCreate("a").connect();
    await settle();
    own["chatRoom"]!.create("b").connect().dispose();
    await settle();
    expect(params).not.toHaveBeenCalled();
    expect(fetch).not.toHaveBeenCalled();
    own.dispose();
  });

  it("reports an onChange that throws, and continues", async () => {
    const log = vi.spyOn(console, "error").mockImplementation(() => {});
    const thrown = new Error("mine");
    const seen = lifecycle(
      connect(undefined, {
        onChange() {
          throw thrown;
        },
      }),
    );
    await settle();
    expect(seen).toEqual(["connected"]);
    expect(log.mock.calls).toEqual([[thrown]]);
  });

  it("ends when the server refuses the open without reconnect", async () => {
    server.refusals.push({ code: "player_id_required", reconnect: false, metadata: ["playerId"] });
    const connection = connect();
    const seen = lifecycle(connection);
    const called = failure(connection["hello"]!());
    await settle();
    expect(seen).toEqual(["error player_id_required", "closed player_id_required"]);
    expect(connection.status).toBe("closed");
    expect(await called).toMatchObject({
      code: "not_sent",
      cause: { code: "player_id_required", metadata: ["playerId"] },
    });
  });

  describe("tokens", () => {
    /** A server that accepts tokens from `valid` on, and a client whose function returns the next one at every call. */
    let valid: number;
    let made: number;
    const token = () => ({ token: ++made });
    const tokens = () => server.got("open").map((m) => (m.params as { token: number }).token);
    beforeEach(() => {
      valid = 1;
      made = 0;
      server.judge = (params) => ((params as { token: number }).token >= valid ? undefined : "unauthorized");
    });

    it("an expired token is replaced by a fresh one, and never sent twice", async () => {
      const connection = connect(token);
      const seen = lifecycle(connection);
      await settle();
      valid = 3; // the next token has expired, too
      server.cut();
      await settle(1_000);
      expect(tokens()).toEqual([1, 2, 3]);
      expect(seen).toEqual(["connected", "disconnected true", "error unauthorized", "reconnected true"]);
    });

    it("a second rejected token ends the connection", async () => {
      valid = 9;
      const connection = connect(token);
      const seen = lifecycle(connection);
      await settle(60_000);
      expect(tokens()).toEqual([1, 2]);
      expect(seen).toEqual(["error unauthorized", "error unauthorized", "closed unauthorized"]);
    });

    it("a rejected token is not sent again, even if the function returns only that one", async () => {
      valid = 2;
      const params = vi.fn(() => ({ token: 1 }));
      const seen = lifecycle(connect(params));
      await settle(60_000);
      expect(tokens()).toEqual([1]);
      expect(params).toHaveBeenCalledTimes(2);
      expect(seen).toEqual(["error unauthorized", "error unauthorized", "closed unauthorized"]);
    });

    it("the connection ends if params are not a function, or if the server answers forbidden", async () => {
      valid = 2;
      const fixed = lifecycle(connect({ token: 1 }));
      await settle(60_000);
      expect(fixed).toEqual(["error unauthorized", "closed unauthorized"]);
      server.judge = () => "forbidden";
      const forbidden = lifecycle(connect(token));
      await settle(60_000);
      expect(forbidden).toEqual(["error forbidden", "closed forbidden"]);
      expect(tokens()).toEqual([1, 1]);
    });

    it("refresh sends a fresh token without disconnecting", async () => {
      const connection = connect(token);
      const seen = lifecycle(connection);
      await settle();
      await connection.refresh();
      await settle();
      expect(server.got("params")).toEqual([{ t: "params", c: 1, params: { token: 2 } }]);
      expect(seen).toEqual(["connected"]);
      server.cut();
      await connection.refresh(); // no link: the next attempt calls the function
      await settle(1_000);
      expect(tokens()).toEqual([1, 3]);
      expect(server.got("params")).toHaveLength(1);
    });

    it("a refreshed token that the server rejects counts as expired", async () => {
      const connection = connect(token);
      const seen = lifecycle(connection);
      await settle();
      valid = 3;
      await connection.refresh();
      await settle(1_000);
      expect(tokens()).toEqual([1, 3]);
      expect(seen).toEqual(["connected", "disconnected true", "reconnected true"]);
    });

    it("refresh rejects, and sends nothing, if there are no params to send", async () => {
      let make: () => unknown = token;
      const connection = connect(() => make());
      await settle();
      make = () => {
        throw new Error("no token");
      };
      await expect(connection.refresh()).rejects.toThrow("no token");
      make = () => ({ token: 9, blob: "x".repeat(5_000) });
      expect(await failure(connection.refresh())).toMatchObject({ code: "too_large", metadata: { option: "params" } });
      let answer: (params: unknown) => void = () => {};
      make = () => new Promise((resolve) => (answer = resolve));
      const late = connection.refresh();
      server.cut();
      answer({ token: 9 });
      await expect(late).rejects.toMatchObject({ name: "AbortError" });
      expect(server.got("params")).toEqual([]);
    });
  });

  it("opens again on the same socket when the server closes the channel with reconnect", async () => {
    server.refusals.push({ code: "rate_limited", reconnect: true, metadata: { retryAfterMs: 5000 } });
    const connection = connect();
    const seen = lifecycle(connection);
    await settle(4000);
    expect(server.got("open")).toHaveLength(1);
    await settle(1100);
    expect(seen).toEqual(["error rate_limited", "connected"]);
    expect(server.got("open").map((m) => m.c)).toEqual([1, 2]);
    expect(server.sockets).toHaveLength(1);
  });

  it("waits at least as long as the server asks and as the back-off", async () => {
    vi.spyOn(Math, "random").mockReturnValue(1);
    for (const retryAfterMs of [300, 300, 300]) {
      server.refusals.push({ code: "rate_limited", reconnect: true, metadata: { retryAfterMs } });
    }
    const connection = connect();
    const opens: number[] = [];
    connection.on("error", () => opens.push(performance.now()));
    connection.on("connected", () => opens.push(performance.now()));
    await settle(10_000);
    expect(opens.slice(1).map((at, i) => at - opens[i]!)).toEqual([302, 502, 1002]);
  });

  it("rejects params over the limit without sending them", async () => {
    const connection = connect({ blob: "x".repeat(5000) });
    const seen = lifecycle(connection);
    await settle();
    expect(seen).toEqual(["error too_large", "closed too_large"]);
    expect(server.got("open")).toHaveLength(0);
  });

  it("rejects an input over the limit without sending it, and other connections stay up", async () => {
    const other = lifecycle(connect());
    const connection = client["chatRoom"]!.getOrCreate("big", { input: "x".repeat(300_000) }).connect();
    const seen = lifecycle(connection);
    let ended: ActorError | undefined;
    connection.on("closed", (error) => {
      ended = error;
    });
    await settle(60_000);
    expect(other).toEqual(["connected"]);
    expect(seen).toEqual(["error too_large", "closed too_large"]);
    expect(ended!.metadata).toEqual({ size: expect.any(Number), limit: 65_536, option: "message" });
    expect((ended!.metadata as { size: number }).size).toBeGreaterThan(300_000);
    expect(server.got("open")).toHaveLength(1);
    expect(server.got("close")).toHaveLength(0);
    expect(server.sockets).toHaveLength(1);
  });

  it("logs an error without a listener, once per code", async () => {
    const log = vi.spyOn(console, "error").mockImplementation(() => {});
    server.down = true;
    connect();
    connect();
    await settle(60_000);
    expect(log).toHaveBeenCalledTimes(1);
    expect(log.mock.calls[0]![0]).toMatchObject({ code: "link" });
  });
});

describe("events", () => {
  it("arrive in order, also while listeners are added and removed", async () => {
    const connection = connect();
    const seen: string[] = [];
    const off = connection.on("a", (d) => seen.push(`1 ${d}`));
    connection.on("a", (d) => seen.push(`2 ${d}`));
    connection.once("a", (d) => seen.push(`once ${d}`));
    await settle();
    room().broadcast("a", 1);
    await settle();
    off();
    off();
    room().broadcast("a", 2);
    await settle();
    expect(seen).toEqual(["1 1", "2 1", "once 1", "2 2"]);
  });

  it("a listener that throws is reported, and the others still run", async () => {
    const log = vi.spyOn(console, "error").mockImplementation(() => {});
    const connection = connect();
    const seen: unknown[] = [];
    connection.on("a", () => {
      throw new Error("mine");
    });
    connection.on("a", (d) => seen.push(d));
    await settle();
    room().broadcast("a", 1);
    room().broadcast("a", 2);
    await settle();
    expect(seen).toEqual([1, 2]);
    expect(log).toHaveBeenCalledTimes(2);
  });

  it("a listener removed during a dispatch is not called, and one that is added waits for the next event", async () => {
    const connection = connect();
    const seen: string[] = [];
    connection.on("a", () => {
      off();
      connection.on("a", () => seen.push("added"));
    });
    const off = connection.on("a", () => seen.push("removed"));
    await settle();
    room().broadcast("a", 1);
    await settle();
    expect(seen).toEqual([]);
    room().broadcast("a", 2);
    await settle();
    expect(seen).toEqual(["added"]);
  });

  it("subscriptions are sent once per microtask, and off and on in one tick send nothing", async () => {
    const connection = connect();
    const handler = () => {};
    connection.on("a", handler);
    await settle();
    expect(server.got("open")[0]!.subs).toEqual(["a"]);
    connection.on("b", handler);
    connection.on("c", handler);
    connection.off("a", handler);
    await settle();
    expect(server.got("sub").map((m) => m.e)).toEqual([["b", "c"]]);
    expect(server.got("unsub").map((m) => m.e)).toEqual([["a"]]);
    connection.off("b");
    connection.on("b", handler);
    connection.on("connected", handler);
    await settle();
    expect(server.received).toHaveLength(3);
    connection.off();
    await settle();
    expect(server.got("unsub").at(-1)!.e.sort()).toEqual(["b", "c"]);
  });

  it("once unsubscribes at the server before its handler runs", async () => {
    const connection = connect();
    connection.once("a", () => connection.on("b", () => {}));
    await settle();
    room().broadcast("a", 1);
    await settle();
    expect(server.got("unsub").map((m) => m.e)).toEqual([["a"]]);
    expect(server.got("sub").map((m) => m.e)).toEqual([["b"]]);
  });

  it("a name subscribed to while offline is sent in a sub after the open, and not replayed", async () => {
    const connection = connect();
    const seen: unknown[] = [];
    connection.on("a", (d) => seen.push(`a${d}`));
    await settle();
    server.cut();
    room().broadcast("a", 1);
    room().broadcast("b", 1);
    connection.on("b", (d) => seen.push(`b${d}`));
    await settle(1000);
    room().broadcast("b", 2);
    await settle();
    expect(server.got("open")[1]!.subs).toEqual(["a"]);
    expect(server.got("sub").map((m) => m.e)).toEqual([["b"]]);
    expect(seen).toEqual(["a1", "b2"]);
  });

  it("an event without a listener moves the cursor", async () => {
    const connection = connect();
    await settle();
    room().send(connection.id!, "a", 1);
    await settle();
    server.cut();
    await settle(1000);
    expect(server.got("open")[1]).toMatchObject({ s: 1 });
  });

  it("received events are acknowledged at most every 30 s", async () => {
    const connection = connect();
    connection.on("a", () => {});
    await settle();
    for (let i = 0; i < 100; i++) {
      room().broadcast("a", i);
      await settle(100);
    }
    await settle(31_000);
    expect(server.got("ack")).toEqual([{ t: "ack", c: 1, s: 100 }]);
    await settle(120_000);
    expect(server.got("ack")).toHaveLength(1);
  });
});

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
    client = server.createClient({ transport: "websocket" }); // "auto" would take the links for blocked
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

  it("backs off from a channel that is closed repeatedly, and resets the back-off after a stable channel", async () => {
    vi.spyOn(Math, "random").mockReturnValue(1);
    const connection = connect();
    const delays: Array<number | undefined> = [];
    connection.on("disconnected", (d) => delays.push(d.retryInMs));
    await settle();
    for (const waitMs of [260, 510, 1010, 2010, 9100, 260]) {
      server.closeChannels("slow", true);
      await settle(waitMs);
    }
    expect(delays).toEqual([250, 500, 1000, 2000, 4000, 250]);
    expect(connection.status).toBe("connected");
    await settle(5000);
    server.cut(); // a stable channel counts, however it ended
    await settle(1000);
    server.closeChannels("slow", true);
    await settle();
    expect(delays.slice(6)).toEqual([0, 250]);
  });

  it("opens again at once on the same socket when its actor has moved, and counts its opens", async () => {
    vi.spyOn(Math, "random").mockReturnValue(0.1);
    server.actions["greet"] = () => "hello";
    const connection = connect();
    await settle(5000);
    const retries: unknown[] = [];
    connection.on("disconnected", (d) => retries.push([d.reason, d.retryInMs]));
    server.closeChannels("moved", true);
    const answer = connection["greet"]!();
    await settle(500);
    expect(await answer).toBe("hello");
    expect(retries).toEqual([["moved", 25]]);
    server.cut();
    await settle(5000);
    expect(connection.status).toBe("connected");
    const counts = server.got("open").map((m) => m.n as number);
    expect(counts).toHaveLength(3);
    expect(counts).toEqual([...new Set(counts)].sort((a, b) => a - b));
    expect(server.got("open").every((m) => m.n)).toBe(true);
  });

  it("keeps trying each second while its actor moves", async () => {
    vi.spyOn(Math, "random").mockReturnValue(1);
    const connection = connect();
    const delays: Array<number | undefined> = [];
    connection.on("disconnected", (d) => delays.push(d.retryInMs));
    await settle();
    for (const waitMs of [260, 510, 1010, 1010, 1010]) {
      server.closeChannels("moved", true);
      await settle(waitMs);
    }
    expect(delays).toEqual([250, 500, 1000, 1000, 1000]);
  });

  it("logs nothing when its actor moves, and tells listeners", async () => {
    const log = vi.spyOn(console, "error").mockImplementation(() => {});
    server.refusals.push({ code: "moved", reconnect: true }, { code: "moved", reconnect: true });
    const connection = connect();
    await settle(20);
    expect(connection.status).toBe("connecting");
    const codes: string[] = [];
    const off = connection.on("error", (error) => codes.push(error.code));
    await settle(600);
    expect(codes[0]).toBe("moved");
    off();
    await settle(5000);
    expect(connection.status).toBe("connected");
    expect(log.mock.calls.filter(([error]) => (error as { code: string }).code === "moved")).toEqual([]);
  });

  it("backs off when attempts fail long after a stable channel", async () => {
    vi.spyOn(Math, "random").mockReturnValue(1);
    let broken = false;
    const params = vi.fn(() => {
      if (broken) throw new Error("no token");
    });
    connect(params).on("error", () => {});
    await settle(10_000);
    broken = true;
    server.cut();
    await settle(60_000); // at 0, 0.25, 0.75, 1.75, 3.75, 7.75, 15.75, 31.75 s
    expect(params).toHaveBeenCalledTimes(1 + 8);
  });

  it("ends when the server closes the channel without reconnect", async () => {
    const connection = connect();
    const seen = lifecycle(connection);
    await settle();
    server.closeChannels("disconnected", false);
    await settle(60_000);
    expect(seen).toEqual(["connected", "disconnected false", "closed disconnected"]);
    expect(server.got("open")).toHaveLength(1);
    expect(server.open).toHaveLength(0);
  });

  describe("when the actor is destroyed", () => {
    it("G3, G5: a connected one hears it, and its calls fail with what became of them", async () => {
      const connection = connect();
      const seen = lifecycle(connection);
      await settle();
      server.actions["say"] = () => {};
      const done = connection["say"]!();
      await settle();
      await done;
      server.stuck = true;
      const sent = failure(connection["say"]!());
      await settle();
      server.destroy();
      await settle(60_000);
      expect((await sent).code).toBe("destroyed");
      expect(seen).toEqual(["connected", "disconnected false", "closed destroyed"]);
      expect(server.got("open")).toHaveLength(1);
      expect((await failure(connection["say"]!())).code).toBe("not_sent");
    });

    it("G3, G5: one that was offline does not make it again, and each call is told whether it ran", async () => {
      const connection = connect();
      const seen = lifecycle(connection);
      await settle();
      let ran = 0;
      server.actions["say"] = () => {
        ran++;
        server.blackHole(); // the answer is lost
      };
      const done = failure(connection["say"]!());
      await settle();
      const lost = failure(connection["say"]!());
      await settle();
      server.down = true;
      server.cut();
      const waiting = failure(connection["say"]!());
      await settle(5000);
      server.destroy();
      server.down = false;
      await settle(60_000);
      expect([(await done).code, (await lost).code, (await waiting).code]).toEqual(["ran", "destroyed", "destroyed"]);
      expect(ran).toBe(1);
      expect(connection.status).toBe("closed");
      expect(seen.slice(-2)).toEqual(["error destroyed", "closed destroyed"]);
      const opens = server.got("open").length;
      client.reconnect();
      await settle(60_000);
      expect(server.got("open"), "client.reconnect() leaves it alone").toHaveLength(opens);
    });

    it("reconnect() opens a new one without a position, and later calls run there", async () => {
      const connection = connect();
      const seen: unknown[] = lifecycle(connection);
      await settle();
      server.actions["say"] = () => "said";
      const before = connection["say"]!();
      await settle();
      expect(await before).toBe("said");
      server.destroy();
      await settle();
      const reasons: unknown[] = [];
      connection.on("reconnected", ({ reason }) => reasons.push(reason));
      connection.reconnect();
      expect(connection.status).toBe("disconnected");
      await settle(1000);
      const open = server.got("open").at(-1)!;
      expect([open.log, open.s]).toEqual([undefined, undefined]);
      const after = connection["say"]!();
      await settle();
      expect(await after).toBe("said");
      expect(seen).toEqual(["connected", "disconnected false", "closed destroyed", "reconnected false"]);
      expect(reasons).toEqual(["destroyed"]);
    });

    it("without h it is not known whether a call ran", async () => {
      const connection = connect();
      await settle();
      server.stuck = true;
      const sent = failure(connection["say"]!());
      await settle();
      server.down = true;
      server.cut();
      const late = failure(connection["say"]!());
      await settle();
      server.down = false;
      server.refusals.push({ code: "destroyed", reconnect: false });
      await settle(10_000);
      expect([(await sent).code, (await late).code]).toEqual(["maybe_ran", "not_sent"]);
    });
  });

  it("opens a channel again that the server closed temporarily", async () => {
    const connection = connect();
    const seen: unknown[] = lifecycle(connection);
    connection.on("a", (d) => seen.push(d));
    await settle();
    server.closeChannels("slow", true);
    room().broadcast("a", 1);
    await settle(1000);
    expect(seen).toEqual(["connected", "disconnected true", 1, "reconnected true"]);
    expect(server.sockets).toHaveLength(1);
  });

  it("sends nothing on a channel that the server closed, and reopens it without waiting for a backlog", async () => {
    server.actions["add"] = (_: Turn, n: number) => n;
    const connections = Array.from({ length: 10 }, (_, i) => client["chatRoom"]!.getOrCreate(`${i}`).connect());
    await settle();
    const sums = connections.flatMap((c) => Array.from({ length: 64 }, (_, n) => c["add"]!(n)));
    await settle(5);
    const before = server.got("call").length;
    expect(before).toBeLessThan(640); // the rest waits for tokens
    server.closeChannels("slow", true);
    await settle(300);
    expect(connections.map((c) => c.status)).toEqual(Array(10).fill("connected"));
    await settle(20_000);
    expect(await Promise.all(sums)).toHaveLength(640);
    expect(server.got("call").filter((m) => m.c <= 10)).toHaveLength(before);
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

describe("calls", () => {
  beforeEach(() => {
    server.actions["add"] = (_: Turn, a: number, b: number) => a + b;
    server.actions["nothing"] = () => undefined;
    server.actions["fail"] = () => {
      throw new Failure("empty_message", "a message needs a text", { field: "text" });
    };
    server.actions["say"] = (turn: Turn, text: string) => {
      turn.broadcast("said", text);
      return text;
    };
  });

  it("wait for the connection, and run in order, several in one frame", async () => {
    const connection = connect();
    const results = Promise.all([1, 2, 3].map((n) => connection["add"]!(n, n)));
    await settle();
    expect(await results).toEqual([2, 4, 6]);
    expect(server.frames).toHaveLength(2);
    expect(server.got("call").map((m) => m.id)).toEqual([1, 2, 3]);
  });

  it("resolve with undefined if there is no result, and reject with the error of the action", async () => {
    const connection = connect();
    const nothing = connection["nothing"]!();
    const failed = failure(connection["fail"]!());
    await settle();
    expect(await nothing).toBeUndefined();
    expect(await failed).toBeInstanceOf(ActorError);
    expect(await failed).toMatchObject({
      code: "empty_message",
      message: "a message needs a text",
      metadata: { field: "text" },
    });
  });

  it("serialize their arguments when they are called", async () => {
    const connection = connect();
    const list = [1];
    server.actions["list"] = (_: Turn, l: number[]) => l;
    const result = connection["list"]!(list);
    list.push(2);
    await settle();
    expect(await result).toEqual([1]);
  });

  it("resolve after the events they caused and before any later event", async () => {
    const connection = connect();
    let seen: string[] = [];
    connection.on("said", (text) => seen.push(`said ${text}`));
    connection.on("later", (text) => seen.push(`later ${text}`));
    server.actions["say"] = (turn: Turn, text: string) => {
      turn.broadcast("said", text);
      turn.after(() => turn.actor.broadcast("later", text));
    };
    await settle();
    const wrapped = async (text: string) => connection["say"]!(text);
    let wrong = 0;
    for (let batch = 0; batch < 200; batch++) {
      seen = [];
      const expected: string[] = [];
      for (let i = 0; i < 50; i++) {
        const text = `${batch}.${i}`;
        const result = i % 2 ? connection["say"]!(text) : wrapped(text);
        void result.then(() => seen.push(`resolved ${text}`));
        expected.push(`said ${text}`, `resolved ${text}`, `later ${text}`);
      }
      await settle(batch % 3); // lost before the calls arrive, before the replies arrive, or later
      if (batch % 3 < 2) server.cut();
      await settle(6000);
      if (seen.join() !== expected.join()) wrong++;
    }
    expect(wrong).toBe(0);
  });

  it("a reply is handled before a newer event of the same frame", async () => {
    const connection = connect();
    let list: number[] = [];
    connection.on("added", (n: number) => list.push(n));
    await settle();
    const load = async () => {
      list = (await connection["getList"]!()) as number[];
    };
    server.stuck = true;
    const done = load();
    await settle();
    server.open[0]!.flush([
      { t: "reply", c: 1, s: 0, id: 1, d: [1, 2] },
      { t: "event", c: 1, s: 1, e: "added", d: 3 },
    ]);
    await done;
    await settle();
    expect(list).toEqual([1, 2, 3]);
  });

  it("are sent again after the replay if they are unanswered, and run once", async () => {
    const connection = connect();
    const runs: string[] = [];
    server.actions["run"] = (_: Turn, name: string) => {
      runs.push(name);
      return name;
    };
    await settle();
    const results = Promise.all(["a", "b"].map((name) => connection["run"]!(name)));
    await settle(1); // they ran, but the replies have not arrived
    server.cut();
    const more = connection["run"]!("c");
    await settle(1000);
    expect(await results).toEqual(["a", "b"]);
    expect(await more).toBe("c");
    expect(runs).toEqual(["a", "b", "c"]);
    // The replies of a and b were in the replay: only c is sent.
    expect(server.got("call").map((m) => m.id)).toEqual([1, 2, 3]);
  });

  it("are sent again on a new connection, where the server recognizes the caller", async () => {
    const connection = connect();
    const runs: string[] = [];
    server.actions["run"] = (_: Turn, name: string) => {
      runs.push(name);
      return name;
    };
    await settle();
    const first = failure(connection["run"]!("a"));
    await settle(1);
    server.cut();
    server.expire();
    server.trim();
    await settle(1000);
    expect((await first).code).toBe("ran");
    expect(runs).toEqual(["a"]);
    expect(server.got("call").map((m) => m.id)).toEqual([1, 1]);
    expect(new Set(server.got("open").map((m) => m.caller)).size).toBe(1);
  });

  it("settle within their time-out + 250 ms when the network is gone", async () => {
    const connection = connect();
    connection.on("error", () => {});
    await settle();
    server.stuck = true;
    const settled: Array<[string, number]> = [];
    const start = performance.now();
    const track = (promise: Promise<unknown>) =>
      void promise.catch((e: ActorError) => settled.push([e.code, performance.now() - start]));
    const quick = connection.withOptions({ timeoutMs: 5000 });
    track(quick["say"]!("sent"));
    await settle();
    server.down = true;
    server.cut();
    track(quick["say"]!("waits"));
    track(connection["say"]!("waits"));
    await settle(5250);
    expect(settled).toEqual([
      ["maybe_ran", 5000],
      ["not_sent", 5010],
    ]);
    await settle(55_000);
    expect(settled[2]).toEqual(["not_sent", 60_010]);

    for (let i = 0; i < 100; i++) track(connection["say"]!(i));
    connection.dispose();
    await settle(0);
    expect(settled).toHaveLength(103);
    track(connection["say"]!("after"));
    await settle(0);
    expect(settled).toHaveLength(104);
  });

  it("reject with maybe_ran if they were sent and with not_sent if not, when the connection is disposed", async () => {
    const connection = connect();
    await settle();
    server.stuck = true;
    const sent = failure(connection["say"]!("sent"));
    await settle();
    const unsent = failure(connection["say"]!("unsent"));
    connection.dispose();
    expect([(await sent).code, (await unsent).code]).toEqual(["maybe_ran", "not_sent"]);
    expect((await sent).metadata).toEqual({ reason: "closed" });
  });

  it("are given up when the connection becomes another user's", async () => {
    const connection = connect();
    await settle();
    server.stuck = true;
    const sent = failure(connection["say"]!("sent"));
    await settle();
    server.cut();
    const unsent = failure(connection["say"]!("unsent"));
    server.stuck = false;
    server.changedUser = true;
    server.expire();
    await settle(1000);
    expect([(await sent).code, (await unsent).code]).toEqual(["maybe_ran", "not_sent"]);
    expect(connection.status).toBe("connected");
    const after = connection["say"]!("after");
    await settle();
    await after;
  });

  it("go with the owner that the server gave last, which tells whose they are", async () => {
    server.owner = "ada";
    connect();
    await settle();
    for (const owner of ["bob", undefined]) {
      server.owner = owner;
      server.cut();
      await settle(1000);
    }
    server.cut();
    await settle(1000);
    const opens = server.received.filter((m) => m.t === "open");
    expect(opens.map((m) => m.owner)).toEqual([undefined, "ada", "bob", undefined]);
  });

  it("keep an option if the new one is undefined", async () => {
    const connection = connect();
    await settle();
    server.stuck = true;
    const slow = failure(connection.withOptions({ timeoutMs: undefined })["say"]!());
    await settle(60_000);
    expect(await slow).toMatchObject({ code: "maybe_ran", metadata: { reason: "timeout" } });
  });

  it("release their timers and signals once they have settled", async () => {
    const connection = connect();
    await settle();
    const idle = vi.getTimerCount();
    const { signal } = new AbortController();
    const add = vi.spyOn(signal, "addEventListener");
    const remove = vi.spyOn(signal, "removeEventListener");
    const sum = connection.withOptions({ signal })["add"]!(1, 2);
    expect(vi.getTimerCount()).toBe(idle + 1);
    await settle();
    expect(await sum).toBe(3);
    expect(vi.getTimerCount()).toBe(idle);
    expect(add).toHaveBeenCalledTimes(1);
    expect(remove.mock.calls).toEqual(add.mock.calls);
  });

  it("can be aborted; then they are not sent again, and count as acknowledged", async () => {
    const connection = connect();
    await settle();
    server.stuck = true;
    const abort = new AbortController();
    const view = connection.withOptions({ signal: abort.signal });
    const sent = failure(view["say"]!("sent"));
    await settle();
    server.cut();
    const waiting = failure(view["say"]!("waiting"));
    const reason = new Error("enough");
    abort.abort(reason);
    expect(await sent).toMatchObject({ code: "maybe_ran", metadata: { reason: "aborted" }, cause: reason });
    expect(await waiting).toMatchObject({ code: "not_sent", cause: reason });
    expect((await failure(view["say"]!("again"))).code).toBe("not_sent");
    server.stuck = false;
    await settle(1000);
    expect(server.got("call")).toHaveLength(1);
    expect(server.got("open")[1]!.ack).toBe(2);
    expect(await Promise.race([connection["add"]!(1, 2), settle(100)])).toBe(3);
    expect(server.got("call")[1]).toMatchObject({ id: 3 });
  });

  it("acknowledge the highest id up to which all are answered", async () => {
    const connection = connect();
    server.actions["slow"] = () => 0;
    await settle();
    const answered = connection["add"]!(1, 1);
    await settle();
    await answered;
    server.stuck = true;
    void failure(connection["slow"]!()); // call 2 stays unanswered
    await settle();
    server.stuck = false;
    const third = connection["add"]!(1, 1);
    await settle();
    await third;
    void connection["add"]!(1, 1);
    await settle();
    expect(server.got("call").map((m) => [m.id, m.ack])).toEqual([
      [1, undefined],
      [2, 1],
      [3, undefined],
      [4, undefined],
    ]);
  });

  it("reject with size, limit and option if they are too large; the connection stays up", async () => {
    const connection = connect();
    await settle();
    const error = await failure(connection["say"]!("é".repeat(40_000)));
    expect(error).toMatchObject({ code: "too_large", metadata: { limit: 65536, option: "message" } });
    expect((error.metadata as { size: number }).size).toBeGreaterThan(80_000);
    expect((await failure(connection["say"]!(1n))).code).toBe("invalid_args");
    const fine = connection["say"]!("é".repeat(30_000));
    await settle();
    expect(await fine).toHaveLength(30_000);
    expect(server.sockets).toHaveLength(1);
  });

  it("reject when they are sent if they are over the limit in hello", async () => {
    server.hello = { limits: { ...DEFAULT_LIMITS, message: 1000, frame: 2000 } };
    const connection = connect();
    const error = failure(connection["say"]!("x".repeat(3000)));
    const fine = connection["say"]!("x");
    await settle();
    expect(await error).toMatchObject({ code: "too_large", metadata: { limit: 1000, option: "message" } });
    expect(await fine).toBe("x");
    expect(server.sockets).toHaveLength(1);
  });

  it("respect the limit of calls in flight, and at most 500 wait", async () => {
    const connection = connect();
    await settle();
    server.stuck = true;
    const codes: string[] = [];
    for (let i = 0; i < 600; i++) void connection["add"]!(i, i).catch((e: ActorError) => codes.push(e.code));
    await settle(20_000);
    expect(server.got("call")).toHaveLength(64);
    expect(codes).toEqual(Array(36).fill("not_sent"));
    connection.dispose();
    await settle(0);
    expect(codes).toHaveLength(600);
  });

  it("leave the queue when they are given up", async () => {
    const connection = connect();
    const quick = connection.withOptions({ timeoutMs: 1 });
    server.down = true;
    connection.on("error", () => {});
    const given = Promise.allSettled(Array.from({ length: 500 }, () => quick["add"]!(1, 1)));
    await settle(5);
    await given;
    const next = connection["add"]!(1, 2);
    server.down = false;
    await settle(1000);
    expect(await next).toBe(3);
    expect(server.got("call")).toHaveLength(1);
  });

  it("do not count as in flight when they were given up and their link is lost", async () => {
    const connection = connect();
    await settle();
    server.stuck = true;
    const quick = connection.withOptions({ timeoutMs: 100 });
    const given = Promise.allSettled(Array.from({ length: 64 }, () => quick["add"]!(1, 1)));
    const next = connection["add"]!(1, 2);
    await settle(200);
    await given;
    expect(server.got("call")).toHaveLength(64);
    server.stuck = false;
    server.cut();
    await settle(1000);
    expect(await next).toBe(3);
  });

  it("count as in flight until their answers arrive when they were given up in flight", async () => {
    const connection = connect();
    await settle();
    server.stuck = true;
    const quick = connection.withOptions({ timeoutMs: 100 });
    const given = Promise.allSettled(Array.from({ length: 64 }, () => quick["add"]!(1, 1)));
    const next = connection["add"]!(1, 2);
    await settle(200);
    await given;
    server.stuck = false;
    expect(server.got("call")).toHaveLength(64);
    server.open[0]!.send({ t: "fail", c: 1, s: 0, id: 1, code: "timeout", message: "took too long" });
    await settle();
    expect(await next).toBe(3);
  });

  it("do not count as in flight when they were given up while waiting for tokens", async () => {
    server.hello = { limits: { ...DEFAULT_LIMITS, rate: 1, burst: 2, inFlight: 2 } };
    const connection = connect();
    await settle();
    const first = connection["add"]!(1, 1);
    await settle();
    const quick = connection.withOptions({ timeoutMs: 100 });
    const given = [2, 3].map((n) => failure(quick["add"]!(1, n))); // all that may be in flight
    const next = [4, 5].map((n) => connection["add"]!(1, n));
    await settle(10_000);
    expect((await Promise.all(given)).map((e) => e.code)).toEqual(["not_sent", "not_sent"]);
    expect(await Promise.all([first, ...next])).toEqual([2, 5, 6]);
    expect(server.got("call").map((m) => m.id)).toEqual([1, 4, 5]);
  });

  it("stay under the rate in hello", async () => {
    server.hello = { limits: { ...DEFAULT_LIMITS, rate: 10, burst: 4 } };
    const connection = connect();
    await settle();
    const sums = Array.from({ length: 11 }, () => connection["add"]!(1, 1));
    await settle(500);
    expect(server.got("call").length).toBeLessThan(7);
    await settle(600);
    expect(await Promise.all(sums)).toHaveLength(11);
  });

  it("that wait for tokens keep no timer when the socket is closed", async () => {
    server.hello = { limits: { ...DEFAULT_LIMITS, rate: 1, burst: 2 } };
    const connection = connect();
    await settle();
    void connection["add"]!(1, 1);
    const waits = failure(connection["add"]!(2, 2));
    await settle();
    client.dispose();
    await settle();
    expect(vi.getTimerCount()).toBe(0);
    expect((await waits).code).toBe("not_sent");
  });

  it("stay under the message rate", async () => {
    const connections = Array.from({ length: 10 }, (_, i) => client["chatRoom"]!.getOrCreate(`${i}`).connect());
    await settle();
    const arrivals: number[] = [];
    server.actions["add"] = () => arrivals.push(performance.now());
    const all = Promise.all(connections.flatMap((c) => Array.from({ length: 50 }, () => c["add"]!(1, 1))));
    await settle(20_000);
    await all;
    expect(arrivals).toHaveLength(500);
    // No second has more messages than the server's burst plus its rate.
    for (const [i, at] of arrivals.entries()) {
      expect(arrivals.filter((t) => t >= at && t < at + 1000).length, `from call ${i}`).toBeLessThanOrEqual(200);
    }
    expect(arrivals.at(-1)! - arrivals[0]!).toBeLessThan(6_000);
  });

  it("are split into frames within the frame limit", async () => {
    const connection = connect();
    await settle();
    const all = Promise.all(Array.from({ length: 10 }, (_, i) => connection["say"]!(`${i}`.repeat(60_000))));
    await settle();
    await all;
    const sizes = server.frames.map((f) => f.length);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(262_144);
    expect(sizes).toHaveLength(4);
  });
});

describe("proxies", () => {
  it("are not mistaken for promises, JSON or React elements", async () => {
    const handle = client["chatRoom"]!.getOrCreate("general");
    const connection = handle.connect();
    for (const proxy of [client, handle, connection] as object[]) {
      for (const name of [
        "then",
        "catch",
        "finally",
        "toJSON",
        "constructor",
        "$$typeof",
        "nodeType",
        "asymmetricMatch",
        Symbol.iterator,
        Symbol.toPrimitive,
      ]) {
        expect(Reflect.get(proxy, name), String(name)).toBeUndefined();
      }
      expect(await proxy).toBe(proxy);
      expect(String(proxy)).toBe("[object Object]");
      expect(() => JSON.stringify(proxy)).not.toThrow();
    }
  });

  it("have methods that keep their identity and may be destructured; call reaches any action", async () => {
    const connection = connect();
    server.actions["on"] = () => "the action";
    server.actions["hello"] = (_: Turn, name: string) => `hello ${name}`;
    const { hello, on, dispose } = connection;
    expect(hello).toBe(connection["hello"]);
    on("a", () => {});
    const results = Promise.all([hello!("ada"), connection.call("on")]);
    await settle();
    expect(await results).toEqual(["hello ada", "the action"]);
    expect(server.got("open")[0]!.subs).toEqual(["a"]);
    dispose();
    expect(connection.status).toBe("closed");
  });
});

describe("ending", () => {
  it.each(["before the socket", "while opening", "connected", "disconnected"])(
    "dispose %s emits closed, once",
    async (when) => {
      const connection = connect();
      const seen = lifecycle(connection);
      if (when === "while opening") await settle(2);
      if (when === "connected" || when === "disconnected") await settle();
      if (when === "disconnected") server.cut();
      seen.length = 0;
      connection.dispose();
      connection.dispose();
      await settle(60_000);
      expect(seen).toEqual(["closed"]);
      expect(server.open).toHaveLength(0);
      // Without a link, nothing is sent: the server keeps the connection for the resume window.
      expect(room().connections.size).toBe(when === "disconnected" ? 1 : 0);
      expect(vi.getTimerCount()).toBe(0);
    },
  );

  it("a listener may dispose", async () => {
    for (const event of ["connected", "disconnected", "reconnected", "error"]) {
      const connection = connect();
      const seen = lifecycle(connection);
      connection.on(event, () => connection.dispose());
      await settle();
      if (event === "error") server.open[0]!.send({ t: "error", code: "malformed", message: "" });
      else server.cut();
      await settle(2000);
      expect(seen.at(-1)).toBe("closed");
      expect(seen.filter((s) => s === "closed")).toHaveLength(1);
      await settle(1000);
    }
    expect(server.open).toHaveLength(0);
  });

  it.each<[string, (of: Connection, end: () => void) => void]>([
    [
      "a loss of the link",
      (of, end) => {
        of.on("disconnected", end);
        server.cut();
      },
    ],
    [
      "an error of the server",
      (of, end) => {
        of.on("error", end);
        server.open[0]!.send({ t: "error", code: "malformed", message: "what?" });
      },
    ],
  ])("a listener to %s may dispose another connection, which then gets no more events", async (_, strike) => {
    const log = vi.spyOn(console, "error").mockImplementation(() => {});
    const [one, other] = [connect(), connect()];
    await settle();
    const seen = lifecycle(other);
    other.on("closed", () => other.on("error", () => seen.push("an error after the end")));
    strike(one, () => other.dispose());
    await settle(2000);
    expect(seen).toEqual(["closed"]);
    expect(other.status).toBe("closed");
    expect(log).not.toHaveBeenCalled(); // errors without a listener would be logged here
  });

  it("a params function may dispose another connection, which is then not opened", async () => {
    const others: Connection[] = [];
    connect(() => {
      for (const other of others) other.dispose();
    });
    others.push(connect());
    await settle(2000);
    expect(others[0]!.status).toBe("closed");
    expect(server.got("open").map((m) => m.c)).toEqual([1]);
    expect(room().connections.size).toBe(1);
  });

  it("a listener to closed may connect again, even while the client is disposed", async () => {
    const connection = connect();
    await settle();
    const next: Connection[] = [];
    connection.on("closed", () => next.push(connect()));
    client.dispose();
    const seen = lifecycle(next[0]!);
    await settle(2000);
    expect(seen).toEqual(["connected"]);
    client.dispose();
    await settle();
    expect(server.open).toHaveLength(0);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("client.dispose sends the close even if calls wait for tokens, and drops those", async () => {
    server.actions["add"] = () => 1;
    const connections = [1, 2, 3, 4].map((n) => client["chatRoom"]!.getOrCreate(`${n}`).connect());
    await settle();
    const codes = connections.flatMap((c) => Array.from({ length: 64 }, () => failure(c["add"]!())));
    await settle(0);
    expect(server.got("call").length).toBeLessThan(256);
    client.dispose();
    await settle();
    expect((await Promise.all(codes)).filter((e) => e.code === "not_sent").length).toBeGreaterThan(100);
    expect(server.got("close").map((m) => m.c)).toEqual([1, 2, 3, 4]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("dispose sends the close before queued messages of other connections", async () => {
    server.actions["add"] = () => 1;
    const [gone, ...busy] = [1, 2, 3, 4].map((n) => client["chatRoom"]!.getOrCreate(`${n}`).connect());
    await settle();
    const sums = busy.flatMap((c) => Array.from({ length: 64 }, () => c["add"]!()));
    await settle(0);
    gone!.dispose();
    await settle();
    expect(server.got("close")).toEqual([{ t: "close", c: 1 }]);
    expect(server.got("call").length).toBeLessThan(150);
    await settle(20_000);
    expect(await Promise.all(sums)).toHaveLength(192);
  });

  it("a client releases connections that have ended", async () => {
    setFlagsFromString("--expose-gc");
    const collect = runInNewContext("gc") as () => void;
    const stays = connect();
    const over = await (async () => {
      const connection = connect();
      await settle();
      connection.dispose();
      return new WeakRef(connection);
    })();
    // A stack frame may still refer to it for a while.
    for (let i = 0; i < 100 && over.deref(); i++) {
      await settle(1000);
      collect();
    }
    expect(over.deref()).toBeUndefined();
    expect(stays.status).toBe("connected");
  });

  it("client.dispose ends all connections and the socket; the client can be used again", async () => {
    const connections = [connect(), connect()];
    await settle();
    client.dispose();
    await settle();
    expect(connections.map((c) => c.status)).toEqual(["closed", "closed"]);
    expect(server.got("close")).toHaveLength(2);
    expect(server.open).toHaveLength(0);
    expect(vi.getTimerCount()).toBe(0);
    const again = connect();
    await settle();
    expect(again.status).toBe("connected");
  });
});
