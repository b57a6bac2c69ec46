// The client reports a contract that differs from the server's.
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { Client } from "../src/index.js";
import { FakeServer, settle } from "./fakeServer.js";

const registry = { "~contract": "old", "~parts": ["room.connect():1111", "room.on(said):1111", "room.say():1111"] };
let server: FakeServer;
let client: Client;

beforeEach(() => {
  vi.useFakeTimers();
  vi.spyOn(console, "warn").mockImplementation(() => {});
  server = new FakeServer();
  client = server.createClient({ registry });
});
afterEach(() => {
  client.dispose();
  vi.restoreAllMocks();
  vi.useRealTimers();
});

/** A new connection, with a list of its lifecycle events and events. */
const listen = () => {
  const connection = client["room"]!.getOrCreate("a").connect();
  const heard: unknown[] = [];
  for (const name of ["connected", "disconnected", "reconnected", "stale", "welcome"]) {
    connection.on(name, (data: unknown) => heard.push(name === "stale" ? data : name));
  }
  return heard;
};

it("reports nothing if the contracts are the same or unknown", async () => {
  for (const contract of ["old", undefined]) {
    server.hello = contract ? { contract } : {};
    const heard = listen();
    await settle();
    expect(heard).toEqual(["connected"]);
    expect(client.stale).toBe(false);
    server.cut();
    await settle(5_000);
  }
  client = server.createClient();
  server.hello = { contract: "new" };
  const heard = listen();
  await settle();
  expect(heard).toEqual(["connected"]);
});

it("emits stale on every connection each time that it comes up, before its events", async () => {
  server.hello = { contract: "new" };
  server.onConnect = (turn) => turn.broadcast("welcome", undefined);
  const heard = listen();
  await settle();
  expect(heard).toEqual(["connected", { differs: [] }, "welcome"]);
  expect(client.stale).toBe(true);
  expect(console.warn).not.toHaveBeenCalled(); // nothing on the console of a visitor

  const later = listen();
  await settle();
  expect(later.slice(0, 2)).toEqual(["connected", { differs: [] }]);

  heard.length = 0;
  server.cut();
  await settle(5_000);
  expect(heard).toEqual(["disconnected", { differs: [] }, "reconnected"]);
});

it("lists the differences in development, on the console, too", async () => {
  server.hello = { contract: "new", parts: ["room.connect():1111", "room.on(said):2222", "room.speak():1111"] };
  const heard = listen();
  await settle();
  expect(heard).toContainEqual({ differs: ["room.on(said)", "room.say()", "room.speak()"] });
  expect(vi.mocked(console.warn).mock.calls.join()).toContain("room.on(said), room.say(), room.speak()");
});

it("is not stale any more when a server with the same contract comes back", async () => {
  server.hello = { contract: "new" };
  const heard = listen();
  await settle();
  server.hello = { contract: "old" };
  server.cut();
  await settle(5_000);
  expect(heard.slice(2)).toEqual(["disconnected", "reconnected"]);
  expect(client.stale).toBe(false);
});
