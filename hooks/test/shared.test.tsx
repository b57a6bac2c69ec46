// @vitest-environment jsdom
// Components share connections: one can break nothing for another, and nothing throws in render.
import { act } from "@testing-library/react";
import { readFileSync } from "node:fs";
import { useEffect, type ReactNode } from "react";
import { expect, it, vi } from "vitest";
import type { Connection, UntypedActor } from "@troupe/client";
import { useActorState, useEvent, type UseActor } from "../src/index.js";
import { createView } from "../src/connectionView.js";
import { plainAndStrict, settle } from "./support.js";

const general = { name: "chatRoom", key: ["general"] };

plainAndStrict((world) => {
  const room = () => world.server.actor("chatRoom", "general");

  it.each([
    ["off(event)", (connection: Connection) => connection.off("added")],
    ["off()", (connection: Connection) => connection.off()],
    ["dispose()", (connection: Connection) => connection.dispose()],
    ["off() of another view", (connection: Connection) => connection.withOptions({ timeoutMs: 1 }).off()],
  ])("a component that cleans up with %s leaves the others alone", async (_, cleanUp) => {
    world.server.actions["get"] = () => 1;
    const heard: unknown[] = [];
    const own: unknown[] = [];
    function Rude() {
      const { connection } = world.useActor(general);
      useEffect(() => {
        if (!connection) return;
        connection.on("added", (n) => own.push(n));
        return () => cleanUp(connection as Connection);
      }, [connection]);
      return null;
    }
    function Polite() {
      const actor = world.useActor(general);
      actor.useEvent("added", (n) => heard.push(n));
      useEvent(actor, "added", (n) => heard.push(n));
      const { state } = useActorState(actor, {
        load: (connection) => connection["get"]!() as Promise<number>,
        on: { added: (sum, n: number) => sum + n },
      });
      return `${actor.status} ${state}`;
    }
    const children = (both: boolean): ReactNode => [both && <Rude key="rude" />, <Polite key="polite" />];
    const { container, rerender } = world.show(children(true));
    await settle();
    room().broadcast("added", 1);
    await settle();
    rerender(children(false));
    await settle();
    room().broadcast("added", 2);
    await settle();
    expect(container.textContent).toBe("connected 4");
    expect(heard).toEqual([1, 1, 2, 2]);
    expect(own).toEqual([1]);
  });

  const circle: unknown[] = [];
  circle.push(circle);
  it.each([
    ["a key with undefined", { key: [undefined] }, "bad_key"],
    ["a key that is undefined", { key: undefined }, "bad_key"],
    ["a key that is a number", { key: 7 }, "bad_key"],
    ["a key with a BigInt", { key: [1n] }, "bad_key"],
    ["a key that is a circle", { key: circle }, "bad_key"],
    ["params with a BigInt", { key: "a", params: { token: 1n } }, "invalid_params"],
    ["params with a Map", { key: "a", params: new Map([["a", 1]]) }, "invalid_params"],
    ["params that are a circle", { key: "a", params: circle }, "invalid_params"],
  ])("%s throws nothing in render", async (_, options, code) => {
    let actor: UseActor<UntypedActor> | undefined;
    function Room({ enabled }: { enabled: boolean }) {
      actor = world.useActor({ name: "chatRoom", ...(options as { key: string }), enabled });
      return `${actor.status} ${actor.error?.code}`;
    }
    const { container, rerender } = world.show(<Room enabled={false} />);
    expect(container.textContent).toBe("idle undefined");
    rerender(<Room enabled />);
    await settle(1_000);
    expect(container.textContent).toBe(`closed ${code}`);
    expect(world.server.received).toEqual([]);
    if (code !== "bad_key") return;
    await expect(actor!.handle["hello"]!()).rejects.toMatchObject({ code });
    await expect(actor!.handle.withOptions({ timeoutMs: 1 })["hello"]!()).rejects.toMatchObject({ code });
    await expect(actor!.handle.resolve()).rejects.toMatchObject({ code });
    expect(() => actor!.handle.connect()).toThrow(expect.objectContaining({ code }));
  });

  it("an actor without a key", async () => {
    function Lobby() {
      return world.useActor({ name: "lobby" }).status;
    }
    const { container } = world.show(<Lobby />);
    await settle();
    expect(container.textContent).toBe("connected");
    expect(world.server.got("open")).toMatchObject([{ actor: "lobby", key: [] }]);
  });

  it("reconnect() opens again what the server has refused, and the state is loaded", async () => {
    world.server.actions["get"] = () => 7;
    let signedIn = false;
    world.server.judge = () => (signedIn ? undefined : "unauthorized");
    let actor: UseActor<UntypedActor> | undefined;
    function Room() {
      actor = world.useActor(general);
      const { state, status } = useActorState(actor, { load: (c) => c["get"]!() as Promise<number>, on: {} });
      return `${actor.status} ${actor.error?.code} ${status} ${state}`;
    }
    const { container } = world.show(<Room />);
    await settle(2_000); // signing in takes a while: the idle link is closed meanwhile
    expect(container.textContent).toBe("closed unauthorized error undefined");
    signedIn = true;
    act(() => actor!.reconnect());
    await settle();
    expect(container.textContent).toBe("connected undefined ready 7");
  });

  it("a component that comes later does not join a connection that is over: all try again", async () => {
    let signedIn = false;
    world.server.judge = () => (signedIn ? undefined : "unauthorized");
    function Room() {
      return `${world.useActor(general).status} `;
    }
    const { container, rerender } = world.show([<Room key="a" />]);
    await settle();
    expect(container.textContent).toBe("closed ");
    signedIn = true;
    rerender([<Room key="a" />, <Room key="b" />]);
    await settle();
    expect(container.textContent).toBe("connected connected ");
    expect(world.server.got("open")).toHaveLength(2);
  });

  it("a component that is only there while the connection is closed does not open it again and again", async () => {
    world.server.judge = () => "unauthorized";
    function Panel() {
      const actor = world.useActor(general);
      useEvent(actor, "closed", () => {});
      useActorState(actor, { load: async () => 1, on: {} });
      return "refused";
    }
    function Room() {
      return world.useActor(general).status === "closed" && <Panel />;
    }
    const { container } = world.show(<Room />);
    await settle(60_000);
    expect(container.textContent).toBe("refused");
    expect(world.server.got("open")).toHaveLength(2);
  });

  it("G3: a component that comes after the actor was destroyed does not make it again, reconnect() does", async () => {
    let actor: ReturnType<typeof world.useActor> | undefined;
    function Panel() {
      return world.useActor(general).error?.code ?? "none";
    }
    function Room() {
      actor = world.useActor(general);
      return actor.status === "closed" ? <Panel /> : actor.status;
    }
    const { container } = world.show(<Room />);
    await settle();
    world.server.destroy();
    await settle(60_000);
    expect(container.textContent).toBe("destroyed");
    expect(world.server.got("open")).toHaveLength(1);
    act(() => actor!.reconnect());
    await settle();
    expect(container.textContent).toBe("connected");
  });

  it("another event name, or another listener, does not open a connection again that is over", async () => {
    world.server.judge = () => "unauthorized";
    function Room({ event }: { event: string }) {
      const actor = world.useActor(general);
      useEvent(actor, event, () => {});
      useActorState(actor, { load: async () => 1, on: { [event]: () => 1 } });
      return actor.status;
    }
    const { container, rerender } = world.show(<Room event="a" />);
    await settle();
    for (let i = 0; i < 3; i++) {
      rerender(<Room event={`b${i}`} />);
      await settle(10_000);
    }
    expect(container.textContent).toBe("closed");
    expect(world.server.got("open")).toHaveLength(1);
  });

  it("components that come later open a closed connection again after 5 seconds", async () => {
    world.server.judge = () => "unauthorized";
    function Room() {
      return world.useActor(general).status;
    }
    const rooms = (n: number) => Array.from({ length: n }, (_, i) => <Room key={i} />);
    const { rerender } = world.show(rooms(1));
    const opens = [];
    for (let n = 2; n < 6; n++) {
      await settle(2_600);
      rerender(rooms(n));
      await settle();
      opens.push(world.server.got("open").length);
    }
    expect(opens).toEqual([2, 2, 3, 3]);
  });

  it("a connection that nobody uses any more is not opened again", async () => {
    world.server.judge = () => "unauthorized";
    function Room() {
      return world.useActor(general).status;
    }
    const { unmount } = world.show(<Room />);
    await settle();
    unmount();
    await settle();
    world.client.reconnect();
    await settle(60_000);
    expect(world.server.got("open")).toHaveLength(1);
    expect(vi.getTimerCount()).toBe(0);
  });
});

it("a view forgets a once listener when it was called, and refuses what is no function", () => {
  const added: Array<(data: unknown) => void> = [];
  const removals: unknown[] = [];
  const on = (name: string, handler: (data: unknown) => void) => {
    if (typeof handler !== "function") throw new TypeError(name);
    added.push(handler);
    return () => removals.push(handler);
  };
  const view = createView({ on } as unknown as Connection);
  const heard: unknown[] = [];
  view.once("a", (data) => heard.push(data));
  added[0]!(1);
  view.off();
  expect(heard).toEqual([1]);
  expect(removals).toEqual([added[0]]); // once: off() did not know it any more
  const handler = () => heard.push("never");
  view.once("a", handler);
  view.off("a", handler);
  expect(removals).toHaveLength(2);
  for (const method of ["on", "once"] as const) expect(() => view[method]("a", undefined as never)).toThrow(TypeError);
});

it("the package says that it is for client components", () => {
  expect(readFileSync("hooks/src/index.ts", "utf8")).toMatch(/^"use client";\n/);
});
