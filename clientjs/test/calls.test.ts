import { beforeEach, describe, expect, it, vi } from "vitest";
import { ActorError } from "../src/index.js";
import { DEFAULT_LIMITS, Failure, settle, type Turn } from "./fakeServer.js";
import { client, connect, failure, server } from "./testEnv.js";

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
