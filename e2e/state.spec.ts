// The core of useActorState with the real server: while others write and links break,
// the state has every message exactly once and in order.

import { WebSocket } from "ws";
import { createClient, type Connection } from "../clientjs/src/index";
import { followState, type UseActorState } from "../hooks/src/actorState";
import type { Message } from "../web/src/registry.gen";
import { expect, test } from "./fixtures";

const WRITERS = 3;
const EACH = 60;

test("useActorState has every message once, under load and across lost links", async ({ server, link }) => {
  const steady = createClient(server.url, { WebSocket });
  const shaky = createClient(link.url, { WebSocket });
  const all: string[] = [];
  const witness: Connection = steady.chatRoom!.getOrCreate("busy").connect();
  witness.on("messageReceived", ({ id }: Message) => all.push(id));

  let loads = 0;
  const told: string[][] = [];
  const follow = () => {
    let known: UseActorState<string[]> | undefined;
    const connection: Connection = shaky.chatRoom!.getOrCreate("busy").connect();
    followState<string[]>(
      connection,
      ["messageReceived"],
      () => ({
        load: async (connection) => {
          loads++;
          const messages: Message[] = await connection["getMessages"]!();
          if (loads % 2) await new Promise(setImmediate); // events arrive meanwhile
          return messages.map(({ id }) => id);
        },
        on: { messageReceived: (ids, { id }: Message) => [...ids, id] },
      }),
      (state) => {
        known = state;
        if (state.status === "ready") told.push(state.state);
      },
    );
    return { connection, state: () => known };
  };
  const followers = [follow(), follow(), follow()];
  await witness["getMessages"]!();

  await Promise.all(
    Array.from({ length: WRITERS }, async (_, w) => {
      for (let n = 0; n < EACH; n++) {
        await steady.chatRoom!.getOrCreate("busy")["sendMessage"]!(`w${w}`, `${n}`);
        if (w === 0 && n % 6 === 0) followers.push(follow());
        if (w === 1 && n % 5 === 0) followers.at(-1)!.state()?.reload();
        if (w === 2 && n % 20 === 19) {
          link.cut();
          shaky.reconnect();
        }
      }
    }),
  );

  const last = WRITERS * EACH - 1;
  await expect.poll(() => all.length).toBe(last + 1);
  for (const { state } of followers) {
    await expect.poll(() => state()?.status === "ready" && state()!.state!.at(-1)).toBe(all[last]);
  }
  expect(loads).toBeGreaterThan(followers.length);
  const row = all.join();
  for (const ids of told) expect(row).toContain(ids.join());
  shaky.dispose();
  steady.dispose();
});

test.describe("on the memory store", () => {
  test.use({ store: "memory" });

  test("useActorState loads the state again when what was missed is gone", async ({ server, link }) => {
    const client = createClient(link.url, { WebSocket });
    const say = (text: string) =>
      createClient(server.url).chatRoom!.getOrCreate("lost")["sendMessage"]!("ada", text) as Promise<unknown>;
    const connection: Connection = client.chatRoom!.getOrCreate("lost").connect();
    const told: UseActorState<string[]>[] = [];
    let loads = 0;
    const gaps: unknown[] = [];
    followState<string[]>(
      connection,
      ["messageReceived"],
      () => ({
        load: async (connection) => {
          loads++;
          return ((await connection["getMessages"]!()) as Message[]).map(({ text }) => text);
        },
        on: { messageReceived: (texts, { text }: Message) => [...texts, text] },
      }),
      (state) => told.push(state),
    );
    connection.on("reconnected", ({ recovered, reason }) => gaps.push([recovered, reason]));
    const expectState = (texts: string[]) =>
      expect.poll(() => told.at(-1)).toMatchObject({ status: "ready", state: texts });

    await expectState([]);
    await say("before");
    await expectState(["before"]);
    link.refuse();
    await server.stop("SIGKILL");
    await server.start();
    await say("after"); // before the client is back: no event tells it
    link.pass();
    client.reconnect();
    await expectState(["after"]);
    expect(gaps).toEqual([[false, "restart"]]);
    await say("later");
    await expectState(["after", "later"]);
    expect(loads).toBe(2);
    expect(told.filter(({ state }) => state?.includes("before") && state.length > 1)).toEqual([]);
    client.dispose();
  });
});
