// What only HTTP needs is loaded when it is first used. A failure to load it loses no call.
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type * as Actual from "../src/http.js";
import type { ActorError, Client } from "../src/index.js";
import { HTTP_VERSION } from "../src/timing.js";
import { FakeServer, lifecycle, settle } from "./fakeServer.js";

let loads: number;
let broken: boolean;
let hung: boolean;
let newer: boolean;
vi.mock("../src/http.js", async (original) => {
  const { createHttp, version } = await original<typeof import("../src/http.js")>();
  return {
    get version() {
      return newer ? version + 1 : version;
    },
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
  broken = hung = newer = false;
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
  expect(why!.message).toMatch(/; could not load http.js: Error: no such file/);
  broken = false;
  await vi.waitFor(async () => {
    await settle(1_000);
    expect(seen).toContain("connected");
  });
  expect(await added).toBe(1);
  expect(server.got("call")).toHaveLength(1);
});

it.each(["fails", "hangs"])(
  "a link that ended right after its hello is followed by a WebSocket if the load %s",
  async (how) => {
    broken = how === "fails";
    hung = how === "hangs";
    server.webSockets = "greet";
    const connection = client["counter"]!.getOrCreate("a").connect();
    const seen = lifecycle(connection);
    await vi.waitFor(() => expect(seen).toEqual(["error link"]));
    server.webSockets = "work";
    await settle(15_000);
    expect(loads).toBeGreaterThan(0);
    expect(connection.status).toBe("connected");
  },
);

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

describe("a page that finds the code for HTTP of a newer server", () => {
  beforeEach(() => void (newer = true));

  it("does not call it, and says what to do", async () => {
    server.webSockets = "refuse";
    const connection = client["counter"]!.getOrCreate("a").connect();
    const messages: string[] = [];
    connection.on("error", ({ message }) => messages.push(message));
    await vi.waitFor(() => expect(messages).toHaveLength(1));
    expect(messages[0]).toMatch(/^the socket closed with 1006; .*the server has a newer client: reload/);
    expect(loads).toBe(0);
  });

  it("stays on a WebSocket that works", async () => {
    const connection = client["counter"]!.getOrCreate("a").connect();
    const added = connection["add"]!(1);
    await settle(100);
    expect(await added).toBe(1);
  });

  it("has calls that were not sent", async () => {
    const error = (await client["counter"]!.getOrCreate("a")["add"]!(1).catch((e: unknown) => e)) as ActorError;
    expect(error).toMatchObject({ code: "not_sent", metadata: { reason: "link" } });
    expect(error.message).toMatch(/reload the page/);
  });
});

// The interface of version 1. If this does not compile any more, raise HTTP_VERSION and change it here.
interface Tools {
  errorFrom(error: { code: string; message: string; metadata?: unknown }): Error;
  abandonedError(sent: boolean, reason: string, cause?: unknown): Error;
  limited<T>(
    options: { timeoutMs?: number | undefined; signal?: AbortSignal | undefined },
    step: (signal: AbortSignal, onSend: () => void) => Promise<T>,
  ): Promise<T>;
  byteLength(text: string): number;
  now(): number;
}
interface Link {
  readonly failures?: string;
  send(data: string): void;
  close(): void;
}
interface LinkEvents {
  frame(text: string): void;
  end(why: string): void;
}
interface Http {
  createCaller(
    client: { base: () => string; options: { timeoutMs?: number; signal?: AbortSignal } },
    target: { actor?: string; key?: readonly string[]; actorId?: string; create?: boolean; input?: unknown },
    isNew: boolean | undefined,
  ): {
    call(signal: AbortSignal, onSend: () => void, action: string, args: string): Promise<unknown>;
    resolve(signal: AbortSignal, onSend: () => void): Promise<string>;
    create(): Promise<unknown>;
  };
  race(
    first: ((base: string, events: LinkEvents) => Link) | undefined,
    isBlocked: boolean,
  ): (base: string, events: LinkEvents, running?: (events: LinkEvents) => Link) => Link;
}

it("the version is that of the interface", () => {
  type Same<A, B> = [A, B] extends [B, A] ? true : never;
  const same: [Same<Tools, Actual.Tools>, Same<Http, Actual.Http>] = [true, true];
  expect(same).toHaveLength(2);
  expect(HTTP_VERSION).toBe(1);
});
