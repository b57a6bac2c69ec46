import { describe, expect, it, vi } from "vitest";
import { settle, type Turn } from "./fakeServer.js";
import { client, connect, room, server } from "./testEnv.js";

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
