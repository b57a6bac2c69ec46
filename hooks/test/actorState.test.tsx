// @vitest-environment jsdom
// useActorState applies every event once, and useOptimisticAction shows each action once.
// A room holds the numbers 1, 2, 3 …: every state that is shown must be such a sequence,
// from 1 on, without gaps or repetitions.
import { act, fireEvent } from "@testing-library/react";
import { useState, type ReactNode } from "react";
import { beforeEach, expect, it, vi } from "vitest";
import type { Connection, Untyped } from "@troupe/client";
import { Failure, type FakeActor, type Turn } from "../../clientjs/test/fakeServer.js";
import { useActorState, useOptimisticAction, type UseActorState } from "../src/index.js";
import { plainAndStrict, settle } from "./support.js";

const row = (length: number) => Array.from({ length }, (_, i) => i + 1);

plainAndStrict((world) => {
  const lists = new WeakMap<FakeActor, number[]>();
  const list = (actor: FakeActor) => lists.get(actor) ?? lists.set(actor, []).get(actor)!;
  const add = (actor: FakeActor) =>
    actor.broadcast("added", list(actor).push(list(actor).length + 1) && list(actor).length);
  const room = (key = "general") => world.server.actor("room", key);

  /** Every state that was shown, and the last result of useActorState. */
  let shown: Array<readonly number[] | undefined>;
  let last: UseActorState<readonly number[]>;

  beforeEach(() => {
    shown = [];
    world.server.actions = {
      list: ({ actor }) => [...list(actor)],
      // The next turn adds one in the same frame.
      listThenAdd: ({ actor, after }: Turn) => {
        after(() => add(actor));
        return [...list(actor)];
      },
      add: ({ actor, broadcast }: Turn) => {
        broadcast("added", list(actor).push(list(actor).length + 1));
        return list(actor).length;
      },
      refuse: () => {
        throw new Failure("refused");
      },
    };
  });

  function Numbers({
    name = "general",
    load = (connection) => connection["list"]!(),
    merge,
  }: {
    name?: string;
    load?: (connection: Connection) => Promise<readonly number[]>;
    merge?: (known: readonly number[], loaded: readonly number[]) => readonly number[];
  }) {
    const actor = world.useActor({ name: "room", key: name });
    last = useActorState(actor, {
      load,
      merge,
      on: { added: (numbers: readonly number[], n: number) => [...numbers, n] },
    });
    shown.push(last.state);
    return <p>{`${last.status} ${last.state?.join() ?? "-"}`}</p>;
  }

  it("loads a state and applies later events", async () => {
    add(room());
    const { container, unmount } = world.show(<Numbers />);
    expect(container.textContent).toBe("loading -");
    await settle();
    expect(container.textContent).toBe("ready 1");
    act(() => add(room()));
    await settle();
    expect(container.textContent).toBe("ready 1,2");
    expect(world.server.got("open")).toHaveLength(1);
    expect(world.server.got("call")).toHaveLength(1);
    unmount();
    await settle(1000);
    expect(world.server.open).toHaveLength(0);
  });

  it("applies an event right after the reply, even if the connection is older than the listener", async () => {
    function Late({ children }: { children: ReactNode }) {
      world.useActor({ name: "room", key: "general" });
      const [late, setLate] = useState(false);
      return late ? children : <button onClick={() => setLate(true)} />;
    }
    const { container, getByRole } = world.show(
      <Late>
        <Numbers load={(connection) => connection["listThenAdd"]!()} />
      </Late>,
    );
    await settle();
    fireEvent.click(getByRole("button"));
    await settle();
    expect(container.textContent).toBe(`ready ${row(list(room()).length).join()}`);
  });

  it("load may take any time after the reply", async () => {
    world.server.onConnect = ({ actor }) => add(actor); // before the reply, so the reply contains it
    const { container } = world.show(
      <Numbers
        load={async (connection) => {
          const numbers: number[] = await connection.withOptions({ timeoutMs: 5_000 })["list"]!();
          await new Promise((resolve) => setTimeout(resolve, 100));
          return numbers;
        }}
      />,
    );
    await settle(50);
    for (let i = 0; i < 3; i++) act(() => add(room()));
    await settle(50);
    expect(container.textContent).toBe("loading -");
    await settle(50);
    expect(container.textContent).toBe("ready 1,2,3,4");
  });

  it("continues after a reconnection, or loads again if events were lost", async () => {
    const { container } = world.show(<Numbers />);
    await settle();
    act(() => world.server.cut());
    add(room());
    expect(container.textContent).toBe("ready ");
    await settle(60_000);
    expect(container.textContent).toBe("ready 1");
    expect(world.server.got("call")).toHaveLength(1);

    act(() => world.server.cut());
    add(room());
    world.server.trim();
    add(room());
    await settle(60_000);
    expect(container.textContent).toBe("ready 1,2,3");
    expect(world.server.got("call")).toHaveLength(2);
  });

  it("applies every event once, whatever happens when", async () => {
    vi.spyOn(console, "error").mockImplementation(() => {}); // errors of lost links
    let seed = 7;
    const random = (n: number) => (seed = (seed * 48_271) % 2_147_483_647) % n;
    const slowly = async (connection: Connection) => {
      const numbers: number[] = await connection[random(2) ? "list" : "listThenAdd"]!();
      for (let i = random(20); i > 0; i--) await null;
      if (!random(3)) await new Promise((resolve) => setTimeout(resolve, random(5)));
      return numbers;
    };
    const { container, rerender } = world.show(null);
    let loads = 0;
    for (let i = 0; i < 400; i++) {
      const does = random(12);
      await act(async () => {
        if (does < 5) add(room());
        else if (does === 5) rerender(<Numbers key={++loads} load={slowly} />);
        else if (does === 6) world.server.cut();
        else if (does === 7) world.server.trim();
        else if (does === 8 && !random(4)) world.server.expire();
        else if (does === 9) last?.reload();
      });
      await settle(random(8));
      if (does === 10) await settle(60_000);
    }
    await settle(60_000);
    expect(loads).toBeGreaterThan(20);
    expect(world.server.got("open").length).toBeGreaterThan(20);
    expect(container.textContent).toBe(`ready ${row(list(room()).length).join()}`);
    for (const state of shown) if (state) expect(state).toEqual(row(state.length));
  });

  it("reports why it could not load, and tries again on reload() and after a reconnection", async () => {
    let action = "refuse";
    const { container } = world.show(<Numbers load={(connection) => connection.call(action) as Promise<number[]>} />);
    await settle();
    expect(container.textContent).toBe("error -");
    expect(last.error).toMatchObject({ code: "refused" });
    act(() => add(room()));
    await settle();
    expect(container.textContent).toBe("error -");
    act(() => last.reload());
    expect(container.textContent).toBe("loading -");
    await settle();
    expect(container.textContent).toBe("error -");
    action = "list";
    act(() => world.server.cut());
    await settle(60_000);
    expect(container.textContent).toBe("ready 1");
    expect(last.error).toBeUndefined();
  });

  it("shows the old state while it loads again, and may merge it", async () => {
    const { container } = world.show(<Numbers merge={(known, loaded) => [...known, -1, ...loaded]} />);
    add(room());
    await settle();
    expect(container.textContent).toBe("ready 1");
    act(() => last.reload());
    expect(container.textContent).toBe("loading 1");
    await settle();
    expect(container.textContent).toBe("ready 1,-1,1");
  });

  it("does nothing when reload of an earlier actor is called", async () => {
    add(room());
    const { container, rerender } = world.show(<Numbers />);
    await settle();
    const { reload } = last;
    rerender(<Numbers name="other" />);
    await settle();
    act(reload);
    expect(container.textContent).toBe("ready ");
    await settle();
    expect(container.textContent).toBe("ready ");
    expect(world.server.got("call")).toHaveLength(2);
  });

  it("never shows another actor's state", async () => {
    add(room());
    const { container, rerender } = world.show(<Numbers />);
    await settle();
    expect(container.textContent).toBe("ready 1");
    rerender(<Numbers name="other" />);
    expect(container.textContent).toBe("loading -");
    act(() => add(room()));
    await settle();
    expect(container.textContent).toBe("ready ");
  });

  it("gives up a load that is not needed any more", async () => {
    world.server.stuck = true;
    const rejected: unknown[] = [];
    const { unmount } = world.show(
      <Numbers
        load={(connection) =>
          connection["list"]!().catch((error: { metadata: unknown }) => {
            rejected.push(error.metadata);
            throw error;
          })
        }
      />,
    );
    await settle();
    unmount();
    await settle();
    expect(rejected).toEqual([{ reason: "aborted" }]);
  });

  it("shows an optimistic update until the action is done, and never its effect twice", async () => {
    const seen: string[] = [];
    let run: () => Promise<number>;
    function Room() {
      const actor = world.useActor({ name: "room", key: "general" });
      const { state = [] } = useActorState(actor, {
        load: (connection): Promise<number[]> => connection["list"]!(),
        on: { added: (numbers, n: number) => [...numbers, n] },
      });
      const [all, add, isPending] = useOptimisticAction(
        state,
        () => actor.connection!["add"]!() as Promise<number>,
        (numbers) => [...numbers, 0],
      );
      run = add;
      const text = `${all.join()}${isPending ? " pending" : ""}`;
      if (seen.at(-1) !== text) seen.push(text);
      return text;
    }
    const { container } = world.show(<Room />);
    await settle();
    let results: Promise<number>[] = [];
    act(() => void (results = [run(), run()]));
    expect(container.textContent).toBe("0,0 pending");
    await settle();
    expect(container.textContent).toBe("1,2");
    expect(await Promise.all(results)).toEqual([1, 2]);
    // Event and reply arrive in one frame, so nothing else is ever shown.
    expect(seen).toEqual(["", "0,0 pending", "1,2"]);
  });

  it("undoes only the update of the action that failed", async () => {
    let run: (action: string) => Promise<unknown>;
    function Room() {
      const actor = world.useActor({ name: "room", key: "general" });
      const [all, act] = useOptimisticAction(
        "",
        (action: string): Promise<Untyped> => actor.connection!.call(action),
        (all, action) => `${all} ${action}`,
      );
      run = act;
      return all;
    }
    const { container } = world.show(<Room />);
    await settle();
    world.server.stuck = true;
    act(() => void run("add").catch(() => {})); // its reply never arrives
    await settle();
    world.server.stuck = false;
    let failed: Promise<unknown> = Promise.resolve();
    act(() => void (failed = run("refuse").catch((error: unknown) => error)));
    expect(container.textContent).toBe(" add refuse");
    await settle();
    expect(await failed).toMatchObject({ code: "refused" });
    expect(container.textContent).toBe(" add");
  });
});
