import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, it, vi } from "vitest";
import type { Connection } from "../src/index.js";
import { lifecycle, settle } from "./fakeServer.js";
import { client, connect, failure, room, server } from "./testEnv.js";

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
