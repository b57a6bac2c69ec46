// @vitest-environment jsdom
// Check 20: the tabs of a browser share its connections to a server.
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { Client, Connection } from "../src/index.js";
import { FakeServer, lifecycle, settle } from "./fakeServer.js";

let server: FakeServer;
let clients: Client[];
let held: Set<string>;
/** How long a lock takes to be granted. */
let slow: number;

beforeEach(() => {
  vi.useFakeTimers();
  server = new FakeServer();
  clients = [];
  held = new Set();
  slow = 0;
  /** Web Locks, as far as they are used; all tabs are in one place here. */
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

it("check 20: 12 tabs have 4 streams; the others poll once a second, and all hear everything", async () => {
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

it("check 20: a tab takes the slot of one that ended, within 3 s and without a disconnection", async () => {
  const tabs = Array.from({ length: 5 }, tab);
  const seen = lifecycle(tabs[4]!);
  await settle(2_000);
  const polls = () => requests("POST /api/poll");
  clients[0]!.dispose();
  await settle(3_000);
  expect(held.size).toBe(4);
  const before = polls();
  await settle(19_000);
  expect(polls() - before).toBeLessThanOrEqual(3); // they wait at the server now
  expect(seen).toEqual(["connected"]);
});

it("an answer is not waited for until the next second", async () => {
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

it("a slot that is granted after the link was closed is given back", async () => {
  slow = 100;
  tab();
  await settle(50);
  clients[0]!.dispose();
  await settle(1_000);
  expect(held.size).toBe(0);
  expect(server.requests).toEqual([]);
});
