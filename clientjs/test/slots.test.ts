// @vitest-environment jsdom
// The tabs of a browser share its connections to a server.
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { Client, Connection } from "../src/index.js";
import { FakeServer, lifecycle, settle } from "./fakeServer.js";

let server: FakeServer;
let clients: Client[];
let held: Set<string>;
/** How long it takes until a lock is granted. */
let slow: number;

beforeEach(() => {
  vi.useFakeTimers();
  server = new FakeServer();
  clients = [];
  held = new Set();
  slow = 0;
  /** The part of Web Locks that the client uses; all tabs share one instance. */
  const request = async (name: string, _: LockOptions, run: (lock: unknown) => unknown) => {
    if (slow) await new Promise((resolve) => setTimeout(resolve, slow));
    if (held.has(name)) return run(null);
    held.add(name);
    try {
      await run({ name });
    } finally {
      held.delete(name);
    }
  };
  vi.stubGlobal("navigator", { locks: { request } });
});
afterEach(async () => {
  for (const client of clients) client.dispose();
  await settle(60_000);
  expect(held.size).toBe(0);
  expect(server.open).toEqual([]);
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

const tab = () => {
  const client = server.createClient({ transport: "sse" }) as Client;
  clients.push(client);
  return client["chatRoom"]!.getOrCreate("general").connect();
};
const requests = (what: string) => server.requests.filter((r) => r === what).length;

it("of 12 tabs 4 have a stream, the others poll once a second, and all receive every event", async () => {
  const tabs = Array.from({ length: 12 }, tab);
  const heard: number[] = [];
  for (const connection of tabs) connection.on("tick", (n: number) => heard.push(n));
  const seen = tabs.map((connection) => lifecycle(connection));
  await settle(2_000);
  expect(seen).toEqual(tabs.map(() => ["connected"]));
  expect(requests("GET /api/stream")).toBe(4);
  expect(held.size).toBe(4);
  const before = requests("POST /api/poll");
  server.actor("chatRoom", "general").broadcast("tick", 1);
  await settle(10_000);
  expect(heard).toEqual(tabs.map(() => 1));
  const polls = requests("POST /api/poll") - before;
  expect(polls).toBeGreaterThanOrEqual(8 * 9);
  expect(polls).toBeLessThanOrEqual(8 * 13);
});

it("a tab takes over the slot of a closed tab within 3 s, without disconnecting", async () => {
  const tabs = Array.from({ length: 5 }, tab);
  const seen = lifecycle(tabs[4]!);
  await settle(2_000);
  const polls = () => requests("POST /api/poll");
  clients[0]!.dispose();
  await settle(3_000);
  expect(held.size).toBe(4);
  const before = polls();
  await settle(19_000);
  expect(polls() - before).toBeLessThanOrEqual(3); // long polls
  expect(seen).toEqual(["connected"]);
});

it("a reply does not wait for the next regular poll", async () => {
  server.actions["hello"] = () => "hello";
  const tabs = Array.from({ length: 5 }, tab);
  await settle(2_300);
  const answer = (tabs[4] as Connection)["hello"]!();
  await settle(50);
  expect(await answer).toBe("hello");
});

it("a hidden tab without a slot polls less often", async () => {
  Array.from({ length: 5 }, tab);
  await settle(2_000);
  vi.spyOn(document, "hidden", "get").mockReturnValue(true);
  await settle(1_000);
  const before = requests("POST /api/poll");
  await settle(20_000);
  expect(requests("POST /api/poll") - before).toBeLessThanOrEqual(6);
});

it("a slot that is granted after the link was closed is released", async () => {
  slow = 100;
  tab();
  await settle(50);
  clients[0]!.dispose();
  await settle(1_000);
  expect(held.size).toBe(0);
  expect(server.requests).toEqual([]);
});
