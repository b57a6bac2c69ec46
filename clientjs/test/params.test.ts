// Mistakes of the program, and of its params function, are not taken for faults of the link.
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ActorError, type Client } from "../src/index.js";
import { FakeServer, lifecycle, settle } from "./fakeServer.js";

let server: FakeServer;
let client: Client;

beforeEach(() => {
  vi.useFakeTimers();
  vi.spyOn(Math, "random").mockReturnValue(1); // so that the next attempt is not at once
  server = new FakeServer();
  server.actions["echo"] = (_turn, value: unknown) => value;
  client = server.createClient();
});
afterEach(async () => {
  client.dispose();
  await settle(100);
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

const rooms = () => client["chatRoom"]!;
const connect = (params?: unknown) => rooms().getOrCreate("general").connect(params);
const failure = (promise: Promise<unknown>) =>
  promise.then(
    () => expect.fail("resolved"),
    (error: ActorError) => error,
  );

class Point {
  x = 1;
}
const circle: Record<string, unknown> = {};
circle["self"] = circle;
/** What JSON does not have, and what its error says. */
const notJSON: Array<[string, unknown, RegExp]> = [
  ["a BigInt", 1n, /a BigInt/],
  ["a circle", circle, /circular/],
  ["a Map", new Map([["a", 1]]), /a Map/],
  ["a Set", new Set([1]), /a Set/],
  ["a function", () => {}, /a Function/],
  ["a symbol", Symbol("s"), /a Symbol/],
  ["NaN", NaN, /NaN/],
  ["Infinity", -Infinity, /-Infinity/],
  ["an invalid date", new Date(NaN), /Invalid Date/],
  ["bytes", new Uint8Array(2), /a Uint8Array/],
  ["an error", new Error("no"), /a Error/],
  ["a promise", Promise.resolve(1), /a Promise/],
];

describe.each(notJSON)("%s is refused at once, wherever it is passed", (_, value, message) => {
  it("in params", async () => {
    const seen = lifecycle(connect({ token: value }));
    const produced = lifecycle(connect(() => ({ token: value })));
    await settle(60_000);
    expect(seen).toEqual(["error invalid_params", "closed invalid_params"]);
    expect(produced).toEqual(seen);
    expect(server.got("open")).toEqual([]);
  });

  it("in arguments, over a connection and over HTTP", async () => {
    const connection = connect();
    await settle();
    for (const call of [connection, rooms().getOrCreate("general")]) {
      const error = await failure(call["echo"]!({ deep: [value] }));
      expect(error.code).toBe("invalid_args");
      expect(error.message).toMatch(message);
    }
    expect(server.got("call")).toEqual([]);
    expect(server.requests).toEqual([]);
    expect(connection.status).toBe("connected");
  });

  it("in an input", () => {
    const refused = expect.objectContaining({ code: "invalid_input", message: expect.stringMatching(message) });
    expect(() => rooms().getOrCreate("general", { input: value })).toThrow(refused);
    expect(() => rooms().create("general", { input: value })).toThrow(refused);
  });
});

it("what JSON has is sent", async () => {
  const connection = connect();
  await settle();
  const values = [{ a: undefined, b: null, c: [1, "x", false] }, new Point(), new Date(0), new URL("http://a/")];
  const echoed = Promise.all(values.map((value) => connection["echo"]!(value)));
  await settle();
  expect(await echoed).toEqual([{ b: null, c: [1, "x", false] }, { x: 1 }, "1970-01-01T00:00:00.000Z", "http://a/"]);
});

describe("a params function", () => {
  it("that throws is called again, and its error has the cause", async () => {
    const cause = new Error("no token");
    const params = vi.fn(() => {
      throw cause;
    });
    const connection = connect(params);
    const errors: ActorError[] = [];
    connection.on("error", (error) => errors.push(error));
    await settle(1_000);
    expect(errors.length).toBeGreaterThan(1);
    expect(errors[0]).toMatchObject({ code: "params_failed", cause });
    expect(errors[0]!.message).toMatch(/no token/);
    expect(connection.status).toBe("connecting");
  });

  it("that throws unauthorized ends the connection: the user is signed out", async () => {
    const params = vi.fn(() => {
      throw new ActorError("unauthorized", "signed out");
    });
    const seen = lifecycle(connect(params));
    await settle(60_000);
    expect(seen).toEqual(["error unauthorized", "closed unauthorized"]);
    expect(params).toHaveBeenCalledTimes(1);
  });

  it("that never returns is given up after 10 s, and called again", async () => {
    const signals: AbortSignal[] = [];
    const connection = connect(({ signal }: { signal: AbortSignal }) => {
      signals.push(signal);
      return new Promise(() => {});
    });
    const errors: string[] = [];
    connection.on("error", ({ code, message }) => errors.push(`${code}: ${message}`));
    await settle(9_900);
    expect(errors).toEqual([]);
    await settle(1_000);
    expect(errors).toEqual(["timeout: the params function takes over 10000 ms"]);
    expect(signals.map((signal) => signal.aborted)).toEqual([true, false]);
  });
});

it("a creation that never ends is reported after 10 s, and keeps trying", async () => {
  let answer: (response: Response) => void = () => {};
  const own = server.createClient({ fetch: () => new Promise((resolve) => (answer = resolve)) }) as Client;
  const connection = own["chatRoom"]!.create("new").connect();
  const seen = lifecycle(connection);
  await settle(10_100);
  expect(seen).toEqual(["error timeout"]);
  answer(Response.json({ id: "a" }));
  await settle(1_000);
  expect(seen).toEqual(["error timeout", "connected"]);
  own.dispose();
});
