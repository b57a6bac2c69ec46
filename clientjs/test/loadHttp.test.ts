// What only HTTP needs is loaded when it is first used. A failure to load it loses no call.
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { ActorError, Client } from "../src/index.js";
import { FakeServer, lifecycle, settle } from "./fakeServer.js";

let loads: number;
let broken: boolean;
let hung: boolean;
vi.mock("../src/http.js", async (original) => {
  const { createHttp } = await original<typeof import("../src/http.js")>();
  return {
    createHttp(...args: Parameters<typeof createHttp>) {
      loads++;
      if (hung) return new Promise<never>(() => {});
      if (broken) throw new Error("no such file");
      return createHttp(...args);
    },
  };
});

let server: FakeServer;
let client: Client;

beforeEach(() => {
  vi.useFakeTimers();
  loads = 0;
  broken = hung = false;
  server = new FakeServer();
  server.actions["add"] = (_turn, n: number) => n;
  client = server.createClient();
});
afterEach(() => {
  client.dispose();
  vi.useRealTimers();
});

it("a page whose WebSocket works loads nothing", async () => {
  const connection = client["counter"]!.getOrCreate("a").connect();
  await settle(60_000);
  expect(connection.status).toBe("connected");
  expect(loads).toBe(0);
});

it("where WebSockets are blocked, a load that fails counts as a failed attempt, and its call runs once", async () => {
  broken = true;
  server.webSockets = "refuse";
  const connection = client["counter"]!.getOrCreate("a").connect();
  const seen = lifecycle(connection);
  let why: ActorError | undefined;
  connection.on("error", (error) => (why = error));
  const added = connection["add"]!(1);
  await vi.waitFor(() => expect(seen).toEqual(["error link"]));
  expect(why!.message).toMatch(/; over HTTP: could not load the code for HTTP: Error: no such file/);
  broken = false;
  await vi.waitFor(async () => {
    await settle(1_000);
    expect(seen).toContain("connected");
  });
  expect(await added).toBe(1);
  expect(server.got("call")).toHaveLength(1);
});

it("a single call whose load fails was not sent, and the next one loads again", async () => {
  broken = true;
  const own = server.createClient({ fetch: async () => Response.json({ result: 7 }) }) as Client;
  const handle = own["counter"]!.getOrCreate("a");
  const error = (await handle["add"]!(1).catch((error: unknown) => error)) as ActorError;
  expect(error).toMatchObject({ code: "not_sent", metadata: { reason: "link" } });
  broken = false;
  expect(await handle["add"]!(1)).toBe(7);
  expect(await handle["add"]!(1)).toBe(7);
  expect(loads).toBe(2);
});

it("a single call whose load hangs ends after its time-out, and the next one loads again", async () => {
  hung = true;
  const own = server.createClient({ fetch: async () => Response.json({ result: 7 }) }) as Client;
  const handle = own["counter"]!.getOrCreate("a");
  const ended = handle.withOptions({ timeoutMs: 1_000 })["add"]!(1).catch((error: unknown) => error);
  await vi.waitFor(() => expect(loads).toBe(1));
  await settle(1_000);
  expect(await ended).toMatchObject({ code: "not_sent", metadata: { reason: "timeout" } });
  hung = false;
  expect(await handle["add"]!(1)).toBe(7);
});
