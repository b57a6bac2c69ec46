// @vitest-environment jsdom
import { act } from "@testing-library/react";
import { Component, memo, Profiler, Suspense, useState, type ReactNode } from "react";
import { expect, it, vi } from "vitest";
import type { Connection, UntypedActor } from "@troupe/client";
import type { EventActor, UseActor } from "../src/index.js";
import { createHooks } from "../src/index.js";
import { plainAndStrict, settle } from "./support.js";

const general = { name: "chatRoom", key: ["general"] };

plainAndStrict((world) => {
  const room = () => world.server.actor("chatRoom", "general");

  it("connects, and returns the status", async () => {
    const seen: string[] = [];
    let connection: Connection | undefined;
    function Room() {
      const actor = world.useActor(general);
      connection = actor.connection as Connection | undefined;
      const text = `${actor.status} ${actor.isConnected} ${actor.error?.code ?? "-"}`;
      if (seen.at(-1) !== text) seen.push(text);
      return text;
    }
    const { container, unmount } = world.show(<Room />);
    expect(container.textContent).toBe("connecting false -");
    await settle();
    expect(container.textContent).toBe("connected true -");
    world.server.down = true;
    act(() => world.server.cut());
    expect(container.textContent).toBe("disconnected false -");
    await settle(1000);
    expect(container.textContent).toBe("disconnected false link");
    world.server.down = false;
    await settle(60_000);
    expect(container.textContent).toBe("connected true -");
    expect(connection?.status).toBe("connected");
    unmount();
    await settle(1000);
    expect(connection?.status).toBe("closed");
    expect(world.server.open).toHaveLength(0);
    expect(seen).toEqual([
      "connecting false -",
      "connected true -",
      "disconnected false -",
      "disconnected false link",
      "connected true -",
    ]);
  });

  it("100 components with the same actor share one socket and one subscription", async () => {
    const seen: unknown[] = [];
    function One() {
      const actor = world.useActor({ name: "chatRoom", key: ["general"], params: { userId: "u" } });
      actor.useEvent("a", (d) => seen.push(d));
      actor.useEvent("b", () => {});
      return null;
    }
    const { unmount } = world.show(Array.from({ length: 100 }, (_, i) => <One key={i} />));
    await settle();
    room().broadcast("a", 1);
    await settle();
    expect(seen).toHaveLength(100);
    expect(world.server.sockets).toHaveLength(1);
    expect(world.server.received).toMatchObject([{ t: "open", subs: ["a", "b"] }]);
    unmount();
    await settle(1000);
    expect(world.server.open).toHaveLength(0);
    expect(world.server.got("close")).toHaveLength(1);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("1,000 re-renders with inline handlers send nothing, and the latest handler is called", async () => {
    const seen: string[] = [];
    let rerender: (n: number) => void = () => {};
    function Room() {
      const [n, setN] = useState(0);
      rerender = setN;
      const actor = world.useActor({ name: "chatRoom", key: ["general"], params: { a: 1 } });
      actor.useEvent("a", (d) => seen.push(`${d} ${n}`));
      world.useEvent(actor, "b", () => {});
      return null;
    }
    world.show(<Room />);
    await settle();
    const before = world.server.received.length;
    for (let n = 1; n <= 1000; n++) {
      act(() => rerender(n));
      act(() => world.server.open[0]!.flush([{ t: "event", c: 1, s: n, e: "a", d: n }]));
    }
    await settle();
    expect(world.server.received).toHaveLength(before);
    expect(seen).toEqual(Array.from({ length: 1000 }, (_, i) => `${i + 1} ${i + 1}`));
  });

  it("adds one listener per connection and event, however often it renders", async () => {
    let render: (props: { name: string; event: string; n: number }) => void = () => {};
    let connection: Connection | undefined;
    function Room() {
      const [{ name, event }, setProps] = useState({ name: "one", event: "a", n: 0 });
      render = setProps;
      const actor = world.useActor({ name: "chatRoom", key: name });
      connection = actor.connection as Connection | undefined;
      actor.useEvent(event, () => {});
      return null;
    }
    world.show(<Room />);
    await settle();
    // Of the shared connection, which the component's view has as its prototype.
    const on = vi.spyOn(Object.getPrototypeOf(connection) as Connection, "on");
    for (let n = 1; n <= 10; n++) act(() => render({ name: "one", event: "a", n }));
    world.server.cut();
    await settle(1000);
    expect(on).toHaveBeenCalledTimes(0);
    act(() => render({ name: "one", event: "b", n: 11 }));
    expect(on.mock.calls.map(([event]) => event)).toEqual(["b"]);
    const before = connection;
    act(() => render({ name: "two", event: "b", n: 12 }));
    await settle();
    expect(connection).not.toBe(before);
    expect(world.server.got("open").at(-1)).toMatchObject({ key: ["two"], subs: ["b"] });
  });

  it("500 events in one tick call the handler 500 times, in at most 2 commits", async () => {
    let commits = 0;
    let handled = 0;
    let idle = 0;
    function Room() {
      const actor = world.useActor(general);
      const [list, setList] = useState<number[]>([]);
      actor.useEvent("a", (n: number) => {
        handled++;
        setList((l) => [...l, n]);
      });
      return list.length;
    }
    const Other = memo(function Other() {
      world.useActor(general);
      idle++;
      return null;
    });
    const { container } = world.show(
      <>
        <Profiler id="room" onRender={() => commits++}>
          <Room />
        </Profiler>
        <Other />
      </>,
    );
    await settle();
    commits = idle = 0;
    for (let i = 0; i < 500; i++) room().broadcast("a", i);
    await settle();
    expect(handled).toBe(500);
    expect(container.textContent).toBe("500");
    expect(commits).toBeLessThanOrEqual(2);
    expect(idle).toBe(0);
  });

  it("delivers the first events, also lifecycle events, to parents and children", async () => {
    world.server.onConnect = (turn) => {
      turn.broadcast("joined", 1);
      turn.send(turn.conn, "history", [1, 2]);
    };
    const seen: unknown[] = [];
    function Child({ actor }: { actor: EventActor<UntypedActor> }) {
      actor.useEvent("history", (d) => seen.push(["child", d]));
      actor.useEvent("connected", () => seen.push("connected"));
      return null;
    }
    function Parent() {
      const actor = world.useActor(general);
      actor.useEvent("joined", (d) => seen.push(["parent", d]));
      return <Child actor={actor} />;
    }
    world.show(<Parent />);
    await settle();
    expect(seen).toEqual(["connected", ["parent", 1], ["child", [1, 2]]]);
    expect(world.server.received).toHaveLength(1);
  });

  it("a change of key or params is another connection, a new params function is not", async () => {
    const seen: unknown[] = [];
    function Room({ name, token }: { name: string; token?: string }) {
      const actor = world.useActor({
        name: "chatRoom",
        key: [name],
        params: token ? async () => ({ token }) : { plain: name },
      });
      actor.useEvent("a", (d) => seen.push(d));
      return actor.status;
    }
    const { rerender, container } = world.show(<Room name="general" />);
    await settle();
    rerender(<Room name="other" />);
    expect(container.textContent).toBe("connecting");
    await settle(1000);
    expect(room().connections.size).toBe(0);
    world.server.actor("chatRoom", "other").broadcast("a", "other");
    room().broadcast("a", "general");
    await settle();
    expect(seen).toEqual(["other"]);
    expect(world.server.sockets).toHaveLength(1);

    rerender(<Room name="other" token="one" />);
    await settle(1000);
    rerender(<Room name="other" token="two" />);
    await settle(1000);
    world.server.cut();
    await settle(1000);
    expect(world.server.got("open").map((m) => m.params)).toEqual([
      { plain: "general" },
      { plain: "other" },
      { token: "one" },
      { token: "two" },
    ]);
  });

  it("equal keys and params are one connection, however they are written", async () => {
    function Room({ of, params }: { of: string | string[]; params: object }) {
      world.useActor({ name: "chatRoom", key: of, params });
      return null;
    }
    world.show(
      <>
        <Room of="general" params={{ a: 1, b: { c: [{ e: 1, d: 2 }], f: undefined } }} />
        <Room of={["general"]} params={{ b: { c: [{ d: 2, e: 1 }] }, a: 1 }} />
        <Room of={["general", "general"]} params={{}} />
        <Room of="general" params={{ a: 1, b: { c: [{ e: 2, d: 1 }] } }} />
      </>,
    );
    await settle();
    expect(world.server.got("open").map((m) => [m.key, m.params])).toEqual([
      [["general"], { a: 1, b: { c: [{ d: 2, e: 1 }] } }],
      [["general", "general"], {}],
      [["general"], { a: 1, b: { c: [{ d: 1, e: 2 }] } }],
    ]);
  });

  it("takes params from a mounted component, not from the latest one that was unmounted", async () => {
    function Room({ tag, token }: { tag: string; token: string }) {
      world.useActor({ ...general, params: () => ({ tag, token }) }).useEvent("a", () => {});
      return null;
    }
    const page = (tags: string[], token: string) => tags.map((tag) => <Room key={tag} tag={tag} token={token} />);
    const { rerender } = world.show(page(["one", "two"], "early"));
    await settle();
    rerender(page(["one"], "early"));
    await settle();
    rerender(page(["one"], "late"));
    world.server.cut();
    await settle(1000);
    expect(world.server.got("open").map((m) => m.params)).toEqual([
      { tag: "two", token: "early" },
      { tag: "one", token: "late" },
    ]);
  });

  it("enabled: false does not connect", async () => {
    function Room({ enabled }: { enabled: boolean }) {
      const actor = world.useActor({ ...general, enabled });
      actor.useEvent("a", () => {});
      return `${actor.status} ${actor.connection === undefined}`;
    }
    const { rerender, container } = world.show(<Room enabled={false} />);
    await settle(1000);
    expect(container.textContent).toBe("idle true");
    expect(world.server.sockets).toHaveLength(0);
    rerender(<Room enabled />);
    await settle();
    expect(container.textContent).toBe("connected false");
    rerender(<Room enabled={false} />);
    await settle(1000);
    expect(container.textContent).toBe("idle true");
    expect(world.server.open).toHaveLength(0);
  });

  it("a component that moves keeps the connection", async () => {
    function Room() {
      return world.useActor(general).status;
    }
    const { rerender, container } = world.show(<Room key="a" />);
    await settle();
    rerender(<Room key="b" />);
    expect(container.textContent).toBe("connected");
    await settle(1000);
    expect(world.server.got("open")).toHaveLength(1);
    expect(world.server.got("close")).toHaveLength(0);
  });

  it("a component that mounts again a moment later gets the events sent on connecting", async () => {
    world.server.onConnect = (turn) => turn.send(turn.conn, "history", [1, 2]);
    function Room({ name }: { name: string }) {
      const actor = world.useActor({ name: "chatRoom", key: [name] });
      const [history, setHistory] = useState("none");
      actor.useEvent("history", (all: number[]) => setHistory(all.join()));
      return history;
    }
    const { rerender, container } = world.show(<Room key="a" name="general" />);
    await settle();
    rerender(<Room key="b" name="other" />);
    await settle(1);
    rerender(<Room key="c" name="general" />);
    await settle();
    expect(container.textContent).toBe("1,2");
  });

  it("connection.off() in a component does not stop updates of the status", async () => {
    function Room() {
      const actor = world.useActor(general);
      const connection = actor.connection as Connection | undefined;
      return <button onClick={() => connection?.off()}>{actor.status}</button>;
    }
    const { getByRole } = world.show(<Room />);
    await settle();
    act(() => getByRole("button").click());
    act(() => world.server.cut());
    expect(getByRole("button").textContent).toBe("disconnected");
  });

  it("a refused connection has an error, and the next component tries again", async () => {
    world.server.refusals.push({ code: "player_id_required", reconnect: false });
    function Room() {
      const actor = world.useActor(general);
      actor.useEvent("error", () => {});
      return `${actor.status} ${actor.error?.code ?? "-"}`;
    }
    const { container, rerender } = world.show(<Room key="a" />);
    await settle();
    expect(container.textContent).toBe("closed player_id_required");
    rerender(<></>);
    rerender(<Room key="b" />);
    await settle();
    expect(container.textContent).toBe("connected -");
  });

  it("returns the same object until something changes", async () => {
    const seen = new Set<UseActor<never>>();
    let rerender: (n: number) => void = () => {};
    function Room() {
      rerender = useState(0)[1];
      seen.add(world.useActor(general) as UseActor<never>);
      return null;
    }
    world.show(<Room />);
    await settle();
    const before = seen.size;
    for (let i = 1; i < 10; i++) act(() => rerender(i));
    expect(seen.size).toBe(before);
  });

  it("an abandoned render leaves nothing behind", async () => {
    const never = new Promise<never>(() => {});
    function Room(): ReactNode {
      const actor = world.useActor(general);
      actor.useEvent("a", () => {});
      throw never; // what use(never) does, in every version of React
    }
    const { unmount } = world.show(
      <Suspense fallback="…">
        <Room />
      </Suspense>,
    );
    await settle(1000);
    expect(world.server.sockets).toHaveLength(0);
    unmount();
  });

  it("a component that throws releases its connection", async () => {
    vi.spyOn(console, "error").mockImplementation(() => {});
    class Boundary extends Component<{ children: ReactNode }> {
      override state = { failed: false };
      static getDerivedStateFromError() {
        return { failed: true };
      }
      override render() {
        return this.state.failed ? "failed" : this.props.children;
      }
    }
    function Room() {
      const actor = world.useActor(general);
      if (actor.isConnected) throw new Error("mine");
      return null;
    }
    const { container } = world.show(
      <Boundary>
        <Room />
      </Boundary>,
    );
    await settle();
    expect(container.textContent).toBe("failed");
    await settle(1000);
    expect(world.server.open).toHaveLength(0);
  });

  it("hooks created twice for one client share its connections", async () => {
    const again = createHooks(world.client);
    function Room() {
      world.useActor(general);
      return again.useActor(general).status;
    }
    const { container } = world.show(<Room />);
    await settle();
    expect(container.textContent).toBe("connected");
    expect(world.server.got("open")).toHaveLength(1);
  });

  it("calls through the handle and the connection", async () => {
    world.server.actions["add"] = (_, a: number, b: number) => a + b;
    let actor: ReturnType<typeof world.useActor> | undefined;
    function Room() {
      actor = world.useActor(general);
      return null;
    }
    world.show(<Room />);
    await settle();
    let sum: unknown;
    void (actor!.connection as Connection)["add"]!(1, 2).then((n: unknown) => {
      sum = n;
    });
    await settle();
    expect(sum).toBe(3);
    expect(typeof actor!.handle["add"]).toBe("function");
  });
});
