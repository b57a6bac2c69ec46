// A connection that the server refuses or ends: it says why, and can be opened again.
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { ActorError, Client, Connection, Reconnected } from "../src/index.js";
import { FakeServer, lifecycle, settle } from "./fakeServer.js";

let server: FakeServer;
let client: Client;

beforeEach(() => {
  vi.useFakeTimers();
  server = new FakeServer();
  server.actions["add"] = (_turn, n: number) => n;
  client = server.createClient();
});
afterEach(() => {
  client.dispose();
  vi.useRealTimers();
});

const connect = (params?: unknown) => client["diary"]!.getOrCreate("ada").connect(params);
const failure = (promise: Promise<unknown>) =>
  promise.then(
    () => expect.fail("resolved"),
    (error: ActorError) => error,
  );

it("a call on a refused connection rejects with the reason of the refusal", async () => {
  server.refusals.push({ code: "forbidden", reconnect: false });
  const connection = connect();
  connection.on("error", () => {});
  const waiting = failure(connection["add"]!(1));
  await settle();
  const late = failure(connection["add"]!(1));
  for (const error of [await waiting, await late]) {
    expect(error).toMatchObject({ code: "not_sent", metadata: { reason: "closed" }, cause: { code: "forbidden" } });
    expect(error.message).toBe("the call was not sent (closed): forbidden: forbidden");
  }
});

it("the server decides whether an internal error ends the connection, also at the first open", async () => {
  server.refusals.push({ code: "internal_error", reconnect: false });
  const refused = lifecycle(connect());
  await settle(60_000);
  expect(refused).toEqual(["error internal_error", "closed internal_error"]);
  expect(server.got("open")).toHaveLength(1);

  server.refusals.push({ code: "internal_error", reconnect: true });
  const resumed = lifecycle(connect());
  await settle(2_000);
  expect(resumed.splice(0)).toEqual(["error internal_error", "connected"]);
  server.cut();
  server.refusals.push({ code: "internal_error", reconnect: true });
  await settle(2_000);
  expect(resumed).toEqual(["disconnected true", "error internal_error", "reconnected true"]);
});

it.each([
  ["connection.reconnect()", (connection: ReturnType<typeof connect>) => connection.reconnect()],
  ["client.reconnect()", () => client.reconnect()],
])("%s opens again what the server has refused, with the same listeners", async (_, reconnect) => {
  let signedIn = false;
  server.judge = () => (signedIn ? undefined : "unauthorized");
  const connection = connect({ token: "of a cookie" });
  const seen: unknown[] = lifecycle(connection);
  connection.on("note", (text: string) => seen.push(text));
  await settle(2_000); // signing in takes a while
  expect(seen).toEqual(["error unauthorized", "closed unauthorized"]);
  signedIn = true;
  reconnect(connection);
  expect(connection.status).toBe("connecting");
  expect(server.open).toEqual([]); // the idle link was closed meanwhile
  const added = connection["add"]!(1);
  await settle();
  server.actor("diary", "ada").broadcast("note", "hello");
  await settle();
  expect(seen.slice(2)).toEqual(["connected", "hello"]);
  expect(await added).toBe(1);
});

it("reconnect() after the server has ended a connection resumes it, or reports the gap", async () => {
  const connection = connect();
  const seen: unknown[] = lifecycle(connection);
  connection.on("reconnected", ({ recovered, reason }: Reconnected) => seen.push([recovered, reason]));
  await settle();
  server.closeChannels("disconnected", false);
  await settle();
  server.expire();
  connection.reconnect();
  expect(connection.status).toBe("disconnected");
  await settle(1_000);
  expect(seen).toEqual([
    "connected",
    "disconnected false",
    "closed disconnected",
    "reconnected false",
    [false, "expired"],
  ]);
});

it("reconnect() after unauthorized uses a new link, which has the user's cookies of now", async () => {
  const other = lifecycle(client["diary"]!.getOrCreate("public").connect());
  await settle();
  server.refusals.push({ code: "unauthorized", reconnect: false });
  const refused = connect();
  const seen = lifecycle(refused);
  await settle();
  refused.reconnect();
  await settle();
  expect(server.sockets).toHaveLength(2);
  expect(seen).toEqual(["error unauthorized", "closed unauthorized", "connected"]);
  expect(other).toEqual(["connected", "disconnected true", "reconnected true"]);
});

it.each([
  ["client.reconnect()", (all: Connection[]) => all.forEach((_, i) => i || client.reconnect())],
  ["connection.reconnect() of all at once", (all: Connection[]) => all.forEach((c) => c.reconnect())],
])("%s of many connections that were refused uses one new link", async (_, reconnect) => {
  const other = lifecycle(client["diary"]!.getOrCreate("public").connect());
  await settle();
  server.judge = (params) => (params ? "unauthorized" : undefined);
  const refused = Array.from({ length: 5 }, (_, i) => connect({ i }));
  refused.forEach(lifecycle);
  await settle(2_000);
  server.judge = undefined;
  reconnect(refused);
  await settle(2_000);
  expect(server.sockets).toHaveLength(2);
  expect(refused.map((c) => c.status)).toEqual(Array(5).fill("connected"));
  expect(other).toEqual(["connected", "disconnected true", "reconnected true"]);
});

it("connections that are opened again one after the other use one new link, until it is refused, too", async () => {
  client["diary"]!.getOrCreate("public").connect();
  server.judge = (params) => (params ? "forbidden" : undefined);
  const refused = [connect(1), connect(2), connect(3)];
  refused.forEach(lifecycle);
  await settle(2_000);
  for (const connection of refused) {
    connection.reconnect();
    await settle(2_000);
  }
  expect(server.sockets).toHaveLength(2);
  refused[0]!.reconnect();
  await settle(2_000);
  expect(server.sockets).toHaveLength(3);
});

it("links that reconnect() replaces do not count as crashes", async () => {
  const other = client["diary"]!.getOrCreate("public").connect();
  server.judge = (params) => (params ? "unauthorized" : undefined);
  const refused = connect({ token: 1 });
  lifecycle(refused);
  await settle();
  server.stuck = true;
  const added = other["add"]!(1);
  for (let i = 0; i < 4; i++) {
    await settle(100);
    refused.reconnect();
  }
  expect(server.sockets.length).toBeGreaterThan(3);
  server.stuck = false;
  await settle();
  refused.dispose();
  server.cut();
  await settle(2_000);
  expect(await added).toBe(1);
});

it("reconnect() in a listener of closed keeps the listeners", async () => {
  server.refusals.push({ code: "full", reconnect: false });
  const connection = connect();
  const seen = lifecycle(connection);
  connection.on("closed", () => connection.reconnect());
  await settle(1_000);
  expect(seen).toEqual(["error full", "closed full", "connected"]);
});

it("reconnect() has no effect on a disposed connection, also if it was refused before", async () => {
  server.refusals.push({ code: "full", reconnect: false });
  const refused = connect();
  const seen = lifecycle(refused);
  await settle();
  refused.dispose();
  const disposed = connect();
  await settle();
  disposed.dispose();
  for (const connection of [refused, disposed]) connection.reconnect();
  client.reconnect();
  await settle(60_000);
  expect(seen).toEqual(["error full", "closed full"]);
  expect(refused.status).toBe("closed");
  expect(server.got("open")).toHaveLength(2);
});

it("dispose() of the client ends what the server has refused, also after the idle link was closed", async () => {
  server.refusals.push({ code: "full", reconnect: false });
  const connection = connect();
  lifecycle(connection);
  await settle(2_000);
  client.dispose();
  connection.reconnect();
  client.reconnect();
  await settle(2_000);
  expect(connection.status).toBe("closed");
  expect(server.sockets).toHaveLength(1);
});

it.each(["onChange", "a listener of another connection"])(
  "dispose() in %s during reconnect() is final",
  async (where) => {
    const other = client["diary"]!.getOrCreate("public").connect();
    await settle();
    server.refusals.push({ code: "unauthorized", reconnect: false });
    let reconnecting = false;
    const connection: Connection = client["diary"]!.getOrCreate("ada").connect(undefined, {
      onChange: (status) => reconnecting && where === "onChange" && status === "connecting" && connection.dispose(),
    });
    const seen = lifecycle(connection);
    other.on("disconnected", () => connection.dispose());
    await settle();
    reconnecting = true;
    connection.reconnect();
    await settle(60_000);
    expect(connection.status).toBe("closed");
    expect(seen).toEqual(["error unauthorized", "closed unauthorized", "closed"]);
    expect(server.got("open").filter((m) => m.key![0] === "ada")).toHaveLength(1);
  },
);

it("a connection knows its actor's id", async () => {
  const connection = connect();
  expect(connection.actorId).toBeUndefined();
  await settle();
  expect(connection.actorId).toBe("actor");
});
