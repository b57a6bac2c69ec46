import { beforeEach, describe, expect, it, vi } from "vitest";
import { ActorError, type Client } from "../src/index.js";
import { lifecycle, settle } from "./fakeServer.js";
import { client, connect, failure, server } from "./testEnv.js";

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
