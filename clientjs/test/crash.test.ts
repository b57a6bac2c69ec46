// A call that ends the process of the server is not sent to it for ever.
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { ActorError, Client } from "../src/index.js";
import { FakeServer, settle } from "./fakeServer.js";

let server: FakeServer;
let client: Client;

beforeEach(() => {
  vi.useFakeTimers();
  server = new FakeServer();
  server.actions["add"] = (_turn, n: number) => n;
  // WebSockets only: "auto" would take links that end at once for blocked.
  client = server.createClient({ transport: "websocket" });
});
afterEach(() => {
  client.dispose();
  vi.useRealTimers();
});

const connect = () => client["counter"]!.getOrCreate("a").connect();
const poisonCalls = () => server.got("call").filter(({ a }) => a === "poison");

it("a call that was in flight on 3 links which each died within a second of it is given up", async () => {
  server.fatal = { action: "poison", afterMs: 100 };
  const connection = connect();
  await settle(6_000);
  const poison = connection["poison"]!().catch((error: ActorError) => error);
  const next = connection["add"]!(7);
  await settle(30_000);
  expect(poisonCalls()).toHaveLength(3);
  expect(await poison).toMatchObject({ code: "maybe_ran", metadata: { reason: "crash" } });
  expect(((await poison) as ActorError).message).toMatch(/3 links/);
  expect(await next).toBe(7); // it was behind the one that the server died of
});

it("only the call of the connection that was first is given up, and the others run", async () => {
  server.fatal = { action: "poison", afterMs: 100 };
  const connections = [connect(), connect(), connect()];
  await settle(6_000);
  const poison = connections[0]!["poison"]!().catch((error: ActorError) => error);
  const others = connections.slice(1).map((connection, i) => connection["add"]!(i));
  await settle(30_000);
  expect(poisonCalls()).toHaveLength(3);
  expect(await poison).toMatchObject({ code: "maybe_ran", metadata: { reason: "crash" } });
  expect(await Promise.all(others)).toEqual([0, 1]);
});

it("a call that is answered late, or whose links end later, is not given up", async () => {
  server.fatal = { action: "poison", afterMs: 1_200 };
  const connection = connect();
  const poison = connection["poison"]!().catch((error: ActorError) => error);
  await settle(30_000);
  expect(poisonCalls().length).toBeGreaterThan(4);
  server.fatal = undefined;
  server.actions["poison"] = () => "at last";
  await settle(30_000);
  expect(await poison).toBe("at last");
});

it("a server that shuts down counts for no call", async () => {
  server.stuck = true;
  const connection = connect();
  const added = connection["add"]!(7);
  for (let i = 0; i < 5; i++) {
    await settle(100);
    server.bye(0);
  }
  server.stuck = false;
  await settle(30_000);
  expect(await added).toBe(7);
});

it("while calls get no answer, the back-off doubles", async () => {
  vi.spyOn(Math, "random").mockReturnValue(1);
  const delays: Array<number | undefined> = [];
  const connection = connect();
  connection.on("disconnected", ({ retryInMs }) => delays.push(retryInMs));
  await settle(6_000);
  server.fatal = { action: "poison", afterMs: 100 };
  for (let i = 0; i < 3; i++) void connection["poison"]!().catch(() => {});
  await settle(120_000);
  expect(delays).toEqual([0, 250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000]);
  // Links that carry answers keep it short, as before.
  delays.length = 0;
  await settle(6_000);
  for (let i = 0; i < 4; i++) {
    void connection["add"]!(1);
    await settle(100);
    server.cut();
    await settle(1_100);
  }
  expect(delays).toEqual([0, 250, 500, 500]);
});
