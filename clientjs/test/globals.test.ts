// The client works where a runtime lacks a global, or replaces it, as React Native, jsdom and fake timers do.
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ActorError, type Client, type ClientOptions } from "../src/index.js";
import { byteLength } from "../src/limits.js";
import { FakeServer, lifecycle, settle } from "./fakeServer.js";

let server: FakeServer;

beforeEach(() => {
  vi.useFakeTimers();
  server = new FakeServer();
  server.actions["add"] = (turn, n: number) => {
    turn.broadcast("changed", n);
    return n;
  };
});
afterEach(() => {
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

/** Connects, calls an action, is cut off, and resumes. */
async function live(options?: ClientOptions): Promise<void> {
  const client = server.createClient(options) as Client;
  const connection = client["counter"]!.getOrCreate("a").connect();
  const seen: unknown[] = lifecycle(connection);
  connection.on("changed", (n) => seen.push(n));
  const added = connection["add"]!(1);
  await settle(100);
  expect(await added).toBe(1);
  server.cut();
  server.actor("counter", "a").broadcast("changed", 2);
  await settle(3_000);
  expect(seen).toEqual(["connected", 1, "disconnected true", 2, "reconnected true"]);
  client.dispose();
  await settle(100);
}

const random = (bytes: Uint8Array) => bytes.fill(7);

describe.each([["websocket"], ["sse"]] as const)("over %s", (transport) => {
  it.each([
    ["crypto", { random }],
    ["queueMicrotask"],
    ["performance"],
    ["reportError"],
    ["structuredClone"],
    ["addEventListener"],
    ["document"],
    ["navigator"],
    ["location"],
    ["BroadcastChannel"],
    ["WebSocket"],
    ["fetch"],
    ["Blob"],
    ["Headers"],
    ["TextDecoder"],
  ] as Array<[string, ClientOptions?]>)("it works without %s", async (name, options) => {
    vi.stubGlobal(name, undefined);
    await live({ ...options, transport });
  });
});

it("it works without TextEncoder, and counts the same bytes", async () => {
  const texts = ["", "abc", "é", "€", "😀", "\u07ff\u0800\uffff", "a😀€é".repeat(100)];
  const expected = texts.map((text) => new TextEncoder().encode(text).length);
  expect(texts.map(byteLength)).toEqual(expected);
  const { TextEncoder: own } = globalThis;
  // The fake server has one of its own time.
  vi.stubGlobal("TextEncoder", undefined);
  const received = server.createClient({ transport: "websocket" }) as Client;
  received["counter"]!.getOrCreate("a").connect();
  vi.stubGlobal("TextEncoder", own);
  await live({ transport: "websocket" });
  received.dispose();
});

it("it works where an AbortSignal has no throwIfAborted", async () => {
  const { throwIfAborted } = AbortSignal.prototype;
  AbortSignal.prototype.throwIfAborted = undefined as never;
  try {
    await live({ transport: "websocket" });
  } finally {
    AbortSignal.prototype.throwIfAborted = throwIfAborted;
  }
});

it.each([["websocket"], ["sse"], ["auto"]] as const)("over %s, no timer is set into the past", async (transport) => {
  await settle(5_000); // the clock is not at 0
  const { setTimeout: own } = globalThis;
  const delays: number[] = [];
  vi.stubGlobal("setTimeout", (fn: () => void, ms: number, ...args: unknown[]) => {
    delays.push(ms ?? 0);
    return own(fn, ms, ...args);
  });
  await live({ transport });
  expect(delays.length).toBeGreaterThan(3);
  expect(Math.min(...delays)).toBeGreaterThanOrEqual(0);
});

it.each([["websocket"], ["sse"], ["auto"]] as const)(
  "over %s, it works with the globals of React Native",
  async (transport) => {
    // A window without events, decoders of streams, a document or Web Crypto. (Its AbortSignal has a test above.)
    const missing = "crypto TextDecoder document location addEventListener removeEventListener reportError";
    for (const name of [...missing.split(" "), "BroadcastChannel", "structuredClone"]) vi.stubGlobal(name, undefined);
    vi.stubGlobal("window", globalThis);
    vi.stubGlobal("navigator", { product: "ReactNative" });
    await live({ transport, random });
  },
);

it("it works with fake timers that replace queueMicrotask", async () => {
  vi.stubGlobal("queueMicrotask", () => {});
  await live();
});

it("without any source of random numbers, connect() throws and says what to pass", () => {
  vi.stubGlobal("crypto", undefined);
  const client = server.createClient() as Client;
  expect(() => client["counter"]!.getOrCreate("a").connect()).toThrow(/createClient\(url, { random }\)/);
});

it("a listener that throws is logged outside of pages: reportError ends some processes", async () => {
  const log = vi.spyOn(console, "error").mockImplementation(() => {});
  const report = vi.fn();
  vi.stubGlobal("reportError", report);
  const thrown = new Error("mine");
  const client = server.createClient() as Client;
  client["counter"]!.getOrCreate("a")
    .connect()
    .on("connected", () => {
      throw thrown;
    });
  await settle();
  expect(log.mock.calls).toEqual([[thrown]]);
  expect(report).not.toHaveBeenCalled();
  client.dispose();
});

it("a listener that is no function is an error at once, not at each event", () => {
  const client = server.createClient() as Client;
  const connection = client["counter"]!.getOrCreate("a").connect();
  for (const add of [connection.on, connection.once]) {
    expect(() => add("changed", undefined as never)).toThrow(/on\("changed"\) needs a function/);
  }
  client.dispose();
});

it("JSON of an ActorError has its message", () => {
  const error = new ActorError("full", "the room is full", { seats: 4 });
  expect(JSON.parse(JSON.stringify(error))).toEqual({
    name: "ActorError",
    code: "full",
    message: "the room is full",
    metadata: { seats: 4 },
  });
});
