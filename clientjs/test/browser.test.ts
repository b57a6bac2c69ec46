// @vitest-environment jsdom
// How the client reacts to the events of a page.
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

/** Loses the link while the server is down, until the next attempt is far away. */
const loseLink = async () => {
  server.down = true;
  server.cut();
  await settle(60_000);
  server.down = false;
  expect(connection.status).toBe("disconnected");
};

/** Events that start the next attempt at once. */
const WAKES: Array<[string, () => void]> = [
  ["online", () => window.dispatchEvent(new Event("online"))],
  ["becoming visible", () => document.dispatchEvent(new Event("visibilitychange"))],
  ["client.reconnect()", () => client.reconnect()],
];

it.each(WAKES)("%s starts the next attempt at once", async (_, wake) => {
  vi.spyOn(Math, "random").mockReturnValue(1);
  await loseLink();
  wake();
  await settle();
  expect(connection.status).toBe("connected");
});

it.each(WAKES)("%s starts the next attempt of a connection whose socket is up", async (_, wake) => {
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
  await settle(60_000); // the attempt that was planned before does not trigger as well
  expect(server.got("open")).toHaveLength(opens);
});

it("none of them replaces a healthy socket", async () => {
  window.dispatchEvent(new Event("online"));
  document.dispatchEvent(new Event("visibilitychange"));
  client.reconnect();
  await settle(1000);
  expect(server.sockets).toHaveLength(1);
  expect(server.got("open")).toHaveLength(1);
});

/** Events after which the link may be dead. */
const PROBE_EVENTS: Array<[string, () => void]> = [
  ["online", () => window.dispatchEvent(new Event("online"))],
  ["offline", () => window.dispatchEvent(new Event("offline"))],
  ["pageshow", () => window.dispatchEvent(new Event("pageshow"))],
  ["visibilitychange", () => document.dispatchEvent(new Event("visibilitychange"))],
  ["resume of a frozen page", () => document.dispatchEvent(new Event("resume"))],
  ["a sleep that nothing tells of", () => vi.setSystemTime(Date.now() + 3_600_000)],
];

it.each(PROBE_EVENTS)(
  "after %s, a dead link is replaced and the connection resumes within 3 s",
  async (name, trigger) => {
    const seen = lifecycle(connection);
    const ticks: unknown[] = [];
    connection.on("tick", (n) => ticks.push(n));
    await settle(6_000);
    server.blackHole();
    server.actor("chatRoom", "general").broadcast("tick", 1);
    trigger();
    await settle(name.startsWith("a sleep") ? 5_100 : 2_600);
    expect(seen).toEqual(["disconnected true", "reconnected true"]);
    expect(ticks).toEqual([1]);
  },
);

it.each(PROBE_EVENTS)("after %s, a working link stays, and is probed at most once in 15 s", async (name, trigger) => {
  for (let i = 0; i < 100; i++) client["chatRoom"]!.getOrCreate(`${i}`).connect();
  await settle(1_000);
  server.received = [];
  const probes = () => server.got("beat").filter((m) => m.probe).length;
  for (let i = 0; i < 100; i++) {
    trigger();
    await settle(140);
  }
  expect(probes()).toBeGreaterThanOrEqual(1);
  // A new network and every sleep are always probed; other events at most once in 15 s.
  if (!/offline|sleep/.test(name)) expect(probes()).toBe(1);
  await settle(60_000);
  expect(server.sockets).toHaveLength(1);
  expect(server.got("open")).toHaveLength(0);
  expect(connection.status).toBe("connected");
});

it("online probes at once after offline", async () => {
  const probes = () => server.got("beat").filter((m) => m.probe).length;
  window.dispatchEvent(new Event("offline"));
  await settle(500);
  expect(probes()).toBe(1);
  server.blackHole();
  window.dispatchEvent(new Event("online"));
  await settle(2_600);
  expect(server.sockets).toHaveLength(2);
});

it("a page that becomes hidden sends no probe", async () => {
  vi.spyOn(document, "hidden", "get").mockReturnValue(true);
  document.dispatchEvent(new Event("visibilitychange"));
  await settle();
  expect(server.got("beat")).toEqual([]);
});

it("no event of the page starts an attempt earlier than the server allows", async () => {
  server.full = {
    code: "too_many_sockets",
    message: "full",
    metadata: { retryAfterMs: 20_000, limit: 1, option: "x" },
  };
  const errors: unknown[] = [];
  connection.on("error", ({ code, metadata }) => errors.push([code, metadata]));
  const before = server.sockets.length;
  server.cut();
  await settle(1_000);
  expect(errors).toEqual([
    ["too_many_sockets", { retryAfterMs: 20_000, limit: 1, option: "x", retryInMs: expect.any(Number) }],
  ]);
  for (let i = 0; i < 18; i++) {
    for (const [, wake] of WAKES) wake();
    await settle(1_000);
  }
  client["chatRoom"]!.getOrCreate("another").connect();
  client.dispose();
  client["chatRoom"]!.getOrCreate("another").connect();
  await settle(500);
  expect(server.sockets).toHaveLength(before + 1);
  server.full = undefined;
  await settle(1_000);
  expect(server.sockets).toHaveLength(before + 2);
  expect(server.open).toHaveLength(1);
});

it("offline does not end a link that works", async () => {
  window.dispatchEvent(new Event("offline"));
  await settle(60_000);
  expect(server.sockets).toHaveLength(1);
  expect(server.got("beat").length).toBeGreaterThan(0);
});

const hide = (persisted: boolean) => {
  const event = new Event("pagehide");
  Object.defineProperty(event, "persisted", { value: persisted });
  window.dispatchEvent(event);
};

it("a page that is unloaded closes its connections", async () => {
  void connection["say"]!("last words").catch(() => {});
  hide(false);
  await settle();
  expect(server.received.slice(1)).toMatchObject([{ t: "call" }, { t: "close", c: 1 }]);
});

it.each([
  ["that may be restored", () => hide(true), () => window.dispatchEvent(new Event("pageshow"))],
  [
    "that is frozen",
    () => document.dispatchEvent(new Event("freeze")),
    () => document.dispatchEvent(new Event("resume")),
  ],
])("a page %s closes its link, but not its connections, and dials when it runs again", async (_, freeze, wake) => {
  const seen = lifecycle(connection);
  let retryInMs: number | undefined;
  connection.on("disconnected", (d) => (retryInMs = d.retryInMs));
  void connection["say"]!("before").catch(() => {});
  freeze();
  freeze(); // both events may come
  await settle(10_000);
  expect(server.got("call")).toHaveLength(1); // what was queued was sent
  expect(server.got("close")).toEqual([]);
  expect(server.open).toEqual([]);
  expect(server.sockets).toHaveLength(1);
  expect(seen).toEqual(["disconnected true"]);
  expect(retryInMs).toBe(30_000); // if nothing wakes it before
  wake();
  await settle();
  expect(seen).toEqual(["disconnected true", "reconnected true"]);
});

it.each([
  ["is not used", () => settle(1000)],
  ["was lost while it was not used", () => server.cut()],
])("removes its listeners from the page when the socket %s", async (_, end) => {
  const added = [vi.spyOn(window, "addEventListener"), vi.spyOn(document, "addEventListener")];
  /** Events that still have a listener. */
  const listened = () =>
    added
      .flatMap((spy) => spy.mock.calls)
      .filter(([, , options]) => !(options as AddEventListenerOptions).signal!.aborted)
      .map(([name]) => name)
      .sort();
  client.dispose();
  const other = client["chatRoom"]!.getOrCreate("general").connect();
  await settle();
  other.dispose();
  expect(listened()).toEqual(["freeze", "offline", "online", "pagehide", "pageshow", "resume", "visibilitychange"]);
  await end();
  expect(listened()).toEqual([]);
});

it("uses the page's origin and WebSocket by default", async () => {
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
  const below = createClient();
  below["chatRoom"]!.getOrCreate("general").connect();
  await settle();
  delete document.documentElement.dataset["troupeBase"];
  expect(urls[1]).toBe(`${location.origin.replace("http", "ws")}/app/api/socket?v=1`);
  own.dispose();
  below.dispose();
  vi.unstubAllGlobals();
});
