// @vitest-environment jsdom
// useActorPages shows the end of a table, without a gap and each item once. A room has a table of texts by number; every
// list that is shown must have been the end of that table at some moment.
import { act } from "@testing-library/react";
import { beforeEach, describe, expect, it, vi } from "vitest";
import type { Connection } from "@troupe/client";
import { Failure, type FakeActor, type Turn } from "../../clientjs/test/fakeServer.js";
import { followPages } from "../src/actorPages.js";
import { useActorPages, type ActorPages, type Page } from "../src/index.js";
import { plainAndStrict, settle } from "./support.js";

type Item = { key: number; value: string };

/** The page of at most n items of a table before a key. */
function page(table: ReadonlyMap<number, string>, before: number | null, n: number): Page<number, string> {
  const items = [...table]
    .map(([key, value]) => ({ key, value }))
    .filter(({ key }) => before === null || key < before)
    .sort((a, b) => a.key - b.key);
  return { items: items.slice(-n), hasBefore: items.length > n };
}

plainAndStrict((world) => {
  let tables: WeakMap<FakeActor, Map<number, string>>;
  /** Every content that the table of `general` has had. */
  let past: Item[][];
  let last: ActorPages<number, string>;
  let shown: ActorPages<number, string>[];
  let refuse: boolean;

  const table = (actor: FakeActor) => tables.get(actor) ?? tables.set(actor, new Map()).get(actor)!;
  const room = (key = "general") => world.server.actor("room", key);
  const remember = () => past.push([...page(table(room()), null, 1e9).items] as Item[]);
  const set = (key: number, value: string) => {
    table(room()).set(key, value);
    remember();
    room().broadcast("changed", { key, value });
  };
  const remove = (key: number) => {
    table(room()).delete(key);
    remember();
    room().broadcast("changed", { key });
  };
  const fill = (n: number) => {
    for (let key = 1; key <= n; key++) table(room()).set(key, `${key}`);
    remember();
  };
  const keys = () => last.items.map(({ key }) => key);
  const texts = () => last.items.map(({ value }) => value).join(" ");
  const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i);

  beforeEach(() => {
    tables = new WeakMap();
    past = [[]];
    shown = [];
    refuse = false;
    world.server.actions = {
      page: ({ actor }: Turn, before: number | null, n: number) => {
        if (refuse) throw new Failure("refused");
        return page(table(actor), before, n);
      },
    };
  });

  function Items({
    name = "general",
    load = (connection, before) => connection["page"]!(before, 5),
  }: {
    name?: string;
    load?: (connection: Connection, before: number | null) => Promise<Page<number, string>>;
  }) {
    const actor = world.useActor({ name: "room", key: name });
    last = useActorPages(actor, { load, on: { changed: (item: { key: number; value?: string }) => item } });
    if (name === "general") shown.push(last);
    return null;
  }
  const loads = () => world.server.got("call").map(({ args }) => (args as unknown[])[0]);
  const older = async () => {
    act(() => last.loadOlder());
    await settle();
  };

  it("loads the end, then older pages until there are none", async () => {
    fill(12);
    world.show(<Items />);
    expect(last).toMatchObject({ status: "loading", items: [], hasOlder: false });
    await settle();
    expect(keys()).toEqual(range(8, 12));
    expect(last).toMatchObject({ status: "ready", hasOlder: true, isLoadingOlder: false });
    act(() => {
      last.loadOlder();
      last.loadOlder(); // one page at a time
    });
    expect(last.isLoadingOlder).toBe(true);
    await settle();
    expect(keys()).toEqual(range(3, 12));
    await older();
    expect(keys()).toEqual(range(1, 12));
    expect(last).toMatchObject({ hasOlder: false, isLoadingOlder: false });
    await older();
    expect(loads()).toEqual([null, 8, 3]);
  });

  it("is empty where the table is, and gets its first item", async () => {
    world.show(<Items />);
    await settle();
    expect(last).toMatchObject({ status: "ready", items: [], hasOlder: false });
    act(() => set(1, "first"));
    await settle();
    expect(texts()).toBe("first");
  });

  it("is live at its end, and for edits and deletes of what is loaded", async () => {
    fill(12);
    world.show(<Items />);
    await settle();
    for (const change of [
      () => set(13, "new"),
      () => set(9, "edited"),
      () => remove(10),
      () => remove(99), // there is none
      () => set(11, "twice"),
      () => set(10, "again"),
    ]) {
      act(change);
      await settle();
    }
    expect(texts()).toBe("8 edited again twice 12 new");
    expect(loads()).toEqual([null]);
  });

  it("takes edits and deletes of what is not loaded from the page", async () => {
    fill(12);
    world.show(<Items />);
    await settle();
    act(() => {
      set(7, "edited");
      remove(6);
      remove(8); // the first one that is loaded: the next page is still the one before it
      set(2, "also");
    });
    await settle();
    expect(keys()).toEqual(range(9, 12));
    await older();
    expect(texts()).toBe("also 3 4 5 edited 9 10 11 12");
    expect(loads()).toEqual([null, 8]);
  });

  it("keeps an item that is made again where an older page begins", async () => {
    fill(12);
    world.show(<Items />);
    await settle();
    act(() => remove(8));
    act(() => set(8, "again"));
    await settle();
    await older();
    expect(texts()).toBe("3 4 5 6 7 again 9 10 11 12");
  });

  it("applies what happens between the reply and the end of load", async () => {
    fill(12);
    const slow = async (connection: Connection, before: number | null) => {
      const loaded: Page<number, string> = await connection["page"]!(before, 5);
      await new Promise((resolve) => setTimeout(resolve, 100));
      return loaded;
    };
    world.show(<Items load={slow} />);
    await settle(50);
    act(() => set(13, "new"));
    act(() => remove(9));
    await settle(100);
    expect(texts()).toBe("8 10 11 12 new");
    act(() => last.loadOlder());
    await settle(50);
    act(() => set(6, "edited"));
    act(() => remove(7));
    act(() => set(14, "newest"));
    expect(last.isLoadingOlder).toBe(true);
    await settle(100);
    expect(texts()).toBe("3 4 5 edited 8 10 11 12 new newest");
  });

  it("continues after a reconnection, and loads all of it again if events were lost", async () => {
    fill(12);
    world.show(<Items />);
    await settle();
    await older();
    act(() => world.server.cut());
    set(13, "13");
    remove(4);
    await settle(60_000);
    expect(keys()).toEqual([3, ...range(5, 13)]);
    expect(loads()).toEqual([null, 8]);

    act(() => world.server.cut());
    set(14, "14");
    remove(5);
    set(2, "not loaded");
    world.server.trim();
    set(15, "15");
    await settle(60_000);
    expect(loads().slice(2)).toEqual([null, 11, 6]);
    expect(texts()).toBe("1 not loaded 3 6 7 8 9 10 11 12 13 14 15");
    expect(last).toMatchObject({ status: "ready", hasOlder: false });
  });

  it("loads 20 pages again at most", async () => {
    fill(150);
    world.show(<Items />);
    await settle();
    for (let i = 0; i < 29; i++) await older();
    expect(last.items).toHaveLength(150);
    act(() => last.reload());
    expect(last).toMatchObject({ status: "loading" });
    expect(last.items).toHaveLength(150); // until they are there
    await settle(1_000);
    expect(keys()).toEqual(range(51, 150));
    expect(last).toMatchObject({ status: "ready", hasOlder: true });
  });

  it("says why it could not load, and tries again when asked", async () => {
    fill(12);
    refuse = true;
    world.show(<Items />);
    await settle();
    expect(last).toMatchObject({ status: "error", error: { code: "refused" }, items: [] });
    act(() => set(13, "13"));
    refuse = false;
    act(() => last.reload());
    await settle();
    expect(last).toMatchObject({ status: "ready", error: undefined });
    expect(keys()).toEqual(range(9, 13));

    refuse = true;
    await older();
    expect(last).toMatchObject({ status: "ready", error: { code: "refused" }, isLoadingOlder: false, hasOlder: true });
    act(() => set(14, "14")); // it is still live
    await settle();
    expect(last.error).toMatchObject({ code: "refused" });
    refuse = false;
    await older();
    expect(last.error).toBeUndefined();
    expect(keys()).toEqual(range(4, 14));
  });

  it("never shows another actor's items", async () => {
    fill(3);
    const { rerender } = world.show(<Items />);
    await settle();
    expect(keys()).toEqual([1, 2, 3]);
    rerender(<Items name="other" />);
    expect(last).toMatchObject({ status: "loading", items: [] });
    await settle();
    expect(last).toMatchObject({ status: "ready", items: [] });
  });

  it.each(["loadOlder", "reload"] as const)("does nothing when %s of an earlier actor is called", async (name) => {
    fill(12);
    const { rerender } = world.show(<Items />);
    await settle();
    const earlier = last;
    rerender(<Items name="other" />);
    await settle();
    const calls = loads().length;
    act(() => earlier[name]());
    expect(last).toMatchObject({ status: "ready", items: [], hasOlder: false });
    await settle();
    expect(last).toMatchObject({ status: "ready", items: [], hasOlder: false });
    expect(loads()).toHaveLength(calls);
  });

  it("shows the end of the table at some moment, whatever happens when", async () => {
    vi.spyOn(console, "error").mockImplementation(() => {}); // errors of lost links
    let seed = 11;
    const random = (n: number) => (seed = (seed * 48_271) % 2_147_483_647) % n;
    const slowly = async (connection: Connection, before: number | null) => {
      const loaded: Page<number, string> = await connection["page"]!(before, 3);
      for (let i = random(20); i > 0; i--) await null;
      if (!random(3)) await new Promise((resolve) => setTimeout(resolve, random(5)));
      return loaded;
    };
    let next = 1;
    const any = () => 1 + random(next);
    const { rerender } = world.show(<Items load={slowly} />);
    for (let i = 0, mounted = 0; i < 500; i++) {
      const does = random(14);
      await act(async () => {
        if (does < 4) set(next++, `${i}`);
        else if (does === 4) set(any(), `${i}`);
        else if (does < 7) remove(any());
        else if (does < 9) last.loadOlder();
        else if (does === 9) world.server.cut();
        else if (does === 10) world.server.trim();
        else if (does === 11 && !random(4)) world.server.expire();
        else if (does === 12 && !random(6)) last.reload();
        else if (does === 13 && !random(6)) rerender(<Items key={++mounted} load={slowly} />);
      });
      await settle(random(8));
      if (does === 10) await settle(60_000);
    }
    await settle(60_000);
    expect(world.server.got("open").length).toBeGreaterThan(10);
    const ends = new Set(past.flatMap((all) => all.map((_, i) => JSON.stringify(all.slice(i)))));
    const wholes = new Set(past.map((all) => JSON.stringify(all)));
    let checked = 0;
    for (const { status, items, hasOlder } of shown) {
      if (status !== "ready") continue;
      checked++;
      if (!hasOlder) expect(wholes).toContain(JSON.stringify(items));
      else if (items.length) expect(ends).toContain(JSON.stringify(items));
    }
    expect(checked).toBeGreaterThan(100);
    while (last.hasOlder) {
      act(() => last.loadOlder());
      await settle(100);
    }
    expect(last.items).toEqual(past.at(-1));
  });
});

describe("keys that are strings", () => {
  it("have the server's order, that of their bytes", async () => {
    const ordered = ["", "A", "a", "ab", "b", "é", "日", "\uffee", "😀", "😀a", "😁"];
    const encoder = new TextEncoder();
    const bytes = (text: string) => [...encoder.encode(text)].map((b) => String.fromCharCode(b)).join("");
    expect([...ordered].sort((a, b) => (bytes(a) < bytes(b) ? -1 : 1))).toEqual(ordered);
    const handlers = new Map<string, (data: unknown) => void>();
    const connection = {
      on: (name: string, handler: (data: unknown) => void) => void handlers.set(name, handler),
      withOptions: () => connection,
    } as unknown as Connection;
    let pages: ActorPages<string, number> | undefined;
    followPages<string, number>(
      connection,
      ["set"],
      () => ({ load: () => ({ items: [], hasBefore: false }), on: { set: (key: string) => ({ key, value: 1 }) } }),
      (next) => (pages = next),
    );
    await vi.waitFor(() => expect(pages?.status).toBe("ready"));
    for (const key of [6, 0, 9, 3, 8, 10, 1, 7, 2, 5, 4]) handlers.get("set")!(ordered[key]);
    expect(pages!.items.map(({ key }) => key)).toEqual(ordered);
  });
});
