// The types that backend/typegen writes, one of every kind: right code compiles,
// wrong code does not. What counts is `npm run typecheck`; nothing here runs but
// the last line. web/src/registry.check.ts does the same for the sample.
import { expect, it } from "vitest";
import { createClient } from "../src/index.js";
import type { Branch, Every, Item, registry, Size } from "../../backend/typegen/testdata/all.gen.js";

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const is = <_T extends true>(): void => {};

export async function generated(every: Every): Promise<void> {
  const client = createClient<typeof registry>("http://localhost:8080");
  const room = client.room.create("r", { size: 1 }).connect();
  client.room.getOrCreate("r", { input: { size: 1 } }).connect({ token: "t" });
  client["empty-one"].get("e").connect();

  is<Equal<Awaited<ReturnType<typeof room.add>>, Item | null>>();
  is<Equal<Parameters<typeof room.inner>, [at: { X: number; Y: number }]>>();
  room.on("itemAdded", (item) => is<Equal<typeof item.tree, Item[]>>());

  const teller = client.teller.get("t").connect();
  is<Equal<Parameters<typeof teller.check>, [every: Every, userId: string, userId3: Size | null, arg4: number]>>();
  is<Equal<ReturnType<typeof teller.check>, Promise<void>>>();
  await teller.check({ ...every, omitEmpty: "x", color: "#fff", raw: { any: ["thing"] } }, "u", null, 1);

  const value = await teller.value(0);
  is<Equal<typeof value.omitEmpty, string | undefined>>();
  is<Equal<typeof value.omitSize, Size | undefined>>();
  is<Equal<typeof value.quotedPointer, string | null>>();
  is<Equal<typeof value.mapPointers, (Record<string, number> | null)[]>>();
  is<Equal<typeof value.sizeMap, Partial<Record<Size, boolean>>>>();
  is<Equal<typeof value.pages.next, string[] | undefined>>();
  is<Equal<typeof value.embedding.note, string | undefined>>();
  is<Equal<typeof value.branch.children, Branch[]>>();
  is<Equal<typeof value.raw, unknown>>();
  value.dir["a"]?.["b"]?.["c"];

  // @ts-expect-error: input is needed
  client.room.create("r");
  // @ts-expect-error: the size is a number
  client.room.create("r", { size: "1" });
  // @ts-expect-error: there is no such param
  client.room.get("r").connect({ ticket: "t" });
  // @ts-expect-error: this actor takes no params
  client["empty-one"].get("e").connect({ token: "t" });
  // @ts-expect-error: a method without a context is no action
  void room.notAnAction();
  // @ts-expect-error: a hook is no action
  void room.onCreate({ size: 1 });
  // @ts-expect-error: there is no such size
  void teller.check(every, "u", "huge", 1);
  // @ts-expect-error: an argument is missing
  void teller.check(every, "u", null);
  // @ts-expect-error: a number is not null
  void teller.value(null);
  // @ts-expect-error: a slice is not null
  void teller.check({ ...every, sizes: null }, "u", null, 1);
  // @ts-expect-error: fields that are not optional are missing
  void teller.check({ omitEmpty: "x" }, "u", null, 1);
  // @ts-expect-error: a color begins with #
  void teller.check({ ...every, color: "fff" }, "u", null, 1);
  // @ts-expect-error: the payload has no such field
  room.on("item", ({ weight }) => void weight);
  // @ts-expect-error: fields that clash are left out, as encoding/json does it
  value.embedding.id;
  // @ts-expect-error: what may be anything is not used as something
  value.raw.any;
}

it("compiles", () => expect(generated).toBeTypeOf("function"));
