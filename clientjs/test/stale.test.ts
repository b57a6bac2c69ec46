// A page that was built for another contract than the server's is told so.
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

/** A new connection, with all that it tells about itself and its events. */
const listen = () => {
  const connection = client["room"]!.getOrCreate("a").connect();
  const heard: unknown[] = [];
  for (const name of ["connected", "disconnected", "reconnected", "stale", "welcome"]) {
    connection.on(name, (data: unknown) => heard.push(name === "stale" ? data : name));
  }
  return heard;
};

it("tells nothing to a client that is not", async () => {
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

it("tells every connection before its events, each time that it comes up", async () => {
  server.hello = { contract: "new" };
  server.onConnect = (turn) => turn.broadcast("welcome", undefined);
  const heard = listen();
  await settle();
  expect(heard).toEqual(["connected", { differs: [] }, "welcome"]);
  expect(client.stale).toBe(true);
  expect(console.warn).not.toHaveBeenCalled(); // the console of a visitor is no place for this

  const later = listen();
  await settle();
  expect(later.slice(0, 2)).toEqual(["connected", { differs: [] }]);

  heard.length = 0;
  server.cut();
  await settle(5_000);
  expect(heard).toEqual(["disconnected", { differs: [] }, "reconnected"]);
});

it("says in development what differs, also on the console", async () => {
  server.hello = { contract: "new", parts: ["room.connect():1111", "room.on(said):2222", "room.speak():1111"] };
  const heard = listen();
  await settle();
  expect(heard).toContainEqual({ differs: ["room.on(said)", "room.say()", "room.speak()"] });
  expect(vi.mocked(console.warn).mock.calls.join()).toContain("room.on(said), room.say(), room.speak()");
});

it("forgets it when the server is the page's again", async () => {
  server.hello = { contract: "new" };
  const heard = listen();
  await settle();
  server.hello = { contract: "old" };
  server.cut();
  await settle(5_000);
  expect(heard.slice(2)).toEqual(["disconnected", "reconnected"]);
  expect(client.stale).toBe(false);
});
