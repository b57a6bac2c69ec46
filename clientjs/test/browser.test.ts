// @vitest-environment jsdom
// What the client does with the events of a page.
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { Client, Connection } from "../src/index.js";
import { createClient } from "../src/index.js";
import { FakeServer, FakeSocket, lifecycle, settle } from "./fakeServer.js";

let server: FakeServer;
let client: Client;
let connection: Connection;

beforeEach(async () => {
  vi.useFakeTimers();
  server = new FakeServer();
  client = server.createClient();
  connection = client["chatRoom"]!.getOrCreate("general").connect();
  connection.on("error", () => {});
  await settle();
});
afterEach(() => {
  client.dispose();
  vi.useRealTimers();
});

/** Loses the link while the server cannot be reached, until the next attempt is far away. */
const farAway = async () => {
  server.down = true;
  server.cut();
  await settle(60_000);
  server.down = false;
  expect(connection.status).toBe("disconnected");
};

/** What brings the next attempt at once. */
const WAKES: Array<[string, () => void]> = [
  ["online", () => window.dispatchEvent(new Event("online"))],
  ["becoming visible", () => document.dispatchEvent(new Event("visibilitychange"))],
  ["client.reconnect()", () => client.reconnect()],
];

it.each(WAKES)("%s brings the next attempt at once", async (_, wake) => {
  vi.spyOn(Math, "random").mockReturnValue(1);
  await farAway();
  wake();
  await settle();
  expect(connection.status).toBe("connected");
});

it.each(WAKES)("%s brings the next attempt of a connection whose socket is up", async (_, wake) => {
  vi.spyOn(Math, "random").mockReturnValue(1);
  let broken = true;
  const params = vi.fn(() => {
    if (broken) throw new Error("no token");
  });
  const waiting = client["chatRoom"]!.getOrCreate("general").connect(params);
  waiting.on("error", () => {});
  for (let i = 0; i < 8; i++) server.refusals.push({ code: "overloaded", reconnect: true });
  const refused = client["chatRoom"]!.getOrCreate("general").connect();
  refused.on("error", () => {});
  await settle(40_000); // the next attempts are half a minute away
  broken = false;
  const asked = params.mock.calls.length;
  wake();
  wake();
  await settle();
  expect([waiting.status, refused.status]).toEqual(["connected", "connected"]);
  expect(params).toHaveBeenCalledTimes(asked + 1);
  expect(connection.status).toBe("connected");
  const opens = server.got("open").length;
  await settle(60_000); // what was waited for before does not come as well
  expect(server.got("open")).toHaveLength(opens);
});

it("a healthy socket is not replaced by them", async () => {
  window.dispatchEvent(new Event("online"));
  document.dispatchEvent(new Event("visibilitychange"));
  client.reconnect();
  await settle(1000);
  expect(server.sockets).toHaveLength(1);
  expect(server.got("open")).toHaveLength(1);
});

it("offline makes the link suspect: it must bring something soon", async () => {
  server.blackHole();
  window.dispatchEvent(new Event("offline"));
  await settle(16_900);
  expect(connection.status).toBe("connected");
  await settle(200);
  expect(server.sockets).toHaveLength(2);
});

it("offline does no harm to a link that works", async () => {
  window.dispatchEvent(new Event("offline"));
  await settle(60_000);
  expect(server.sockets).toHaveLength(1);
  expect(server.got("beat").length).toBeGreaterThan(0);
});

it("a page that goes away for good closes its connections; one that may come back does not", async () => {
  const hide = (persisted: boolean) => {
    const event = new Event("pagehide");
    Object.defineProperty(event, "persisted", { value: persisted });
    window.dispatchEvent(event);
  };
  hide(true);
  await settle();
  expect(server.got("close")).toEqual([]);
  void connection["say"]!("last words").catch(() => {});
  hide(false);
  await settle();
  expect(server.received.slice(1)).toMatchObject([{ t: "call" }, { t: "close", c: 1 }]);
});

it.each([
  ["is not used", () => settle(1000)],
  ["was lost while it was not used", () => server.cut()],
])("no listener stays on the page when the socket %s", async (_, end) => {
  const remove = vi.spyOn(window, "removeEventListener");
  connection.dispose();
  expect(remove).not.toHaveBeenCalled();
  await end();
  expect(remove.mock.calls.map(([name]) => name)).toEqual(expect.arrayContaining(["online", "offline", "pagehide"]));
});

it("uses the page's origin and its WebSocket when nothing else is said", async () => {
  const urls: string[] = [];
  vi.stubGlobal(
    "WebSocket",
    class extends FakeSocket {
      constructor(url: string) {
        super(server, url);
        urls.push(url);
      }
    },
  );
  const own = createClient();
  const seen = lifecycle(own["chatRoom"]!.getOrCreate("general").connect());
  await settle();
  expect(urls).toEqual([`${location.origin.replace("http", "ws")}/api/socket?v=1`]);
  expect(seen).toEqual(["connected"]);
  document.documentElement.dataset["troupeBase"] = "/app";
  createClient()["chatRoom"]!.getOrCreate("general").connect();
  await settle();
  delete document.documentElement.dataset["troupeBase"];
  expect(urls[1]).toBe(`${location.origin.replace("http", "ws")}/app/api/socket?v=1`);
  own.dispose();
  vi.unstubAllGlobals();
});
