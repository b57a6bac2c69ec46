import { describe, expect, it, vi } from "vitest";
import { lifecycle, settle, type Turn } from "./fakeServer.js";
import { client, connect, failure, room, server } from "./testEnv.js";

describe("a channel that the server closes", () => {
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
});
