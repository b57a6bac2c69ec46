// A connection uses whichever transport works.
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Client, ClientOptions, Connection } from "../src/index.js";
import { DEFAULT_LIMITS, FakeServer, FakeSocket, lifecycle, settle, type Turn } from "./fakeServer.js";

let server: FakeServer;
let client: Client;
let connection: Connection;
let seen: unknown[];

const start = (options?: ClientOptions) => {
  client = server.createClient(options);
  connection = client["chatRoom"]!.getOrCreate("general").connect();
  seen = lifecycle(connection);
  connection.on("tick", (n) => seen.push(n));
};
const room = () => server.actor("chatRoom", "general");
/** The kinds of links that were opened, in order. */
const links = () => server.sockets.map(({ url }) => (url.startsWith("ws") ? "websocket" : url));
const stream = "GET /api/stream";
const poll = "POST /api/poll";

beforeEach(() => {
  vi.useFakeTimers();
  server = new FakeServer();
  server.actions["add"] = (turn: Turn, n: number) => {
    turn.broadcast("tick", n);
    return n;
  };
});
afterEach(async () => {
  client.dispose();
  await settle(60_000);
  expect(server.open).toEqual([]);
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

describe("auto", () => {
  it("uses only a WebSocket where that works", async () => {
    start();
    await settle(60_000);
    expect(seen).toEqual(["connected"]);
    expect(links()).toEqual(["websocket"]);
    expect(server.requests).toEqual([]);
  });

  it.each([
    ["refuse", 10, ["connected"]],
    ["close", 10, ["connected"]],
    ["greet", 300, ["error link", "connected"]],
    ["vanish", 2_010, ["connected"]],
  ] as const)("where WebSockets %s, connects over HTTP within %d ms", async (way, ms, expected) => {
    server.webSockets = way;
    start();
    const added = connection["add"]!(1);
    await settle(ms);
    expect(await added).toBe(1);
    expect(seen).toEqual([...expected, 1]);
    expect(links()).toEqual(["websocket", stream]);
  });

  it("polls, within 5 s, where streams are buffered, too", async () => {
    server.webSockets = "vanish";
    server.buffering = true;
    start();
    const added = connection["add"]!(1);
    await settle(5_000);
    expect(await added).toBe(1);
    expect(seen).toEqual(["connected", 1]);
    expect(links()).toEqual(["websocket", stream, poll]);
    expect(server.open).toHaveLength(1);
    // The result is remembered for some minutes.
    server.cut();
    room().broadcast("tick", 2);
    await settle(300);
    expect(seen.slice(2)).toEqual(["disconnected true", 2, "reconnected true"]);
    expect(links().slice(3)).toEqual([poll]);
  });

  it("keeps the connection and its position from WebSocket to HTTP and back", async () => {
    start();
    await settle(6_000);
    room().broadcast("tick", 1);
    await settle();
    server.webSockets = "refuse";
    server.cut();
    room().broadcast("tick", 2);
    await settle(300);
    server.buffering = true;
    server.cut();
    room().broadcast("tick", 3);
    await settle(2_300);
    expect(links()).toEqual(["websocket", "websocket", stream, stream, poll]);
    server.webSockets = "work";
    await settle(290_000);
    server.cut(); // not yet
    room().broadcast("tick", 4);
    await settle(300);
    expect(links().slice(5)).toEqual([poll]);
    await settle(300_000);
    server.cut();
    room().broadcast("tick", 5);
    await settle(300);
    expect(links().slice(6)).toEqual(["websocket"]);
    expect(seen).toEqual([
      "connected",
      1,
      ...[2, 3, 4, 5].flatMap((n) => ["disconnected true", n, "reconnected true"]),
    ]);
    expect(new Set(server.got("open").map((m) => m.k)).size).toBe(1);
    expect(server.got("open").map((m) => m.s)).toEqual([undefined, 1, 2, 3, 4]);
  });

  it("does not take WebSockets for blocked when the server is down, and backs off", async () => {
    server.down = true;
    start();
    await settle(60_000);
    expect(links().every((link) => link === "websocket")).toBe(true); // HTTP did not work either
    expect(links().length).toBeLessThanOrEqual(20);
    expect(server.requests).toEqual(links().map(() => stream));
    server.down = false;
    await settle(30_000);
    expect(connection.status).toBe("connected");
    expect(links().at(-1)).toBe("websocket");
  });

  it("does not take WebSockets for blocked if HTTP does not answer either", async () => {
    server.webSockets = "greet";
    start();
    await settle(300);
    expect(links()).toEqual(["websocket", stream]); // and remembers it
    server.webSockets = "work";
    server.stall = true;
    server.cut();
    await settle(40_000);
    expect(connection.status).toBe("connected");
    expect(links().at(-1)).toBe("websocket");
  });

  it("tells why each of the two transports failed", async () => {
    server.down = true;
    start();
    const messages: string[] = [];
    connection.on("error", ({ message }) => messages.push(message));
    await settle(10);
    expect(messages[0]).toMatch(/^the socket closed with 1006; over HTTP: TypeError: fetch failed; trying/);
  });

  it("tells both causes if the WebSocket is silent first, and fails after HTTP has", async () => {
    class Slow extends FakeSocket {
      constructor(url: string) {
        super(server, url);
        setTimeout(() => this.onclose?.({ code: 1006, reason: "" }), 5_000);
      }
    }
    server.webSockets = "vanish";
    start({ WebSocket: Slow, fetch: () => Promise.reject(new TypeError("fetch failed")) });
    const messages: string[] = [];
    connection.on("error", ({ message }) => messages.push(message));
    await settle(5_010);
    expect(messages[0]).toMatch(/^over HTTP: TypeError: fetch failed; the socket closed with 1006; trying/);
  });

  it("tells both causes if the WebSocket stays silent, and HTTP has failed", async () => {
    server.webSockets = "vanish";
    start({ fetch: () => Promise.reject(new TypeError("fetch failed")) });
    const messages: string[] = [];
    connection.on("error", ({ message }) => messages.push(message));
    await settle(10_010);
    expect(messages).toEqual([
      expect.stringMatching(/^nothing received for 1000\d ms; over HTTP: TypeError: fetch failed; trying/),
    ]);
  });

  it("reports a WebSocket that the page's policy forbids: it has an error and no close", async () => {
    class Forbidden extends FakeSocket {
      readonly readyState = 3;
      constructor(url: string) {
        super(server, url);
        setTimeout(() => this.onerror?.(new Event("error")));
      }
    }
    server.webSockets = "vanish";
    start({ WebSocket: Forbidden, transport: "websocket" });
    const messages: string[] = [];
    connection.on("error", ({ message }) => messages.push(message));
    await settle(10);
    expect(messages[0]).toMatch(/connect-src/);
  });

  it("tries the WebSocket again at once when HTTP fails", async () => {
    server.webSockets = "refuse";
    start();
    await settle();
    server.webSockets = "work";
    server.down = true;
    server.cut();
    await settle(1);
    server.down = false;
    await settle(2_000);
    expect(links()).toEqual(["websocket", stream, "websocket"]);
  });

  it("does not use a WebSocket that answers after HTTP did", async () => {
    const late: FakeSocket[] = [];
    class Late extends FakeSocket {
      constructor(url: string) {
        super(server, url);
        late.push(this);
      }
    }
    server.webSockets = "vanish";
    start({ WebSocket: Late });
    await settle(2_100);
    expect(seen).toEqual(["connected"]);
    expect(late[0]!.onmessage).toBeTypeOf("function");
    late[0]!.onmessage!({
      data: JSON.stringify({ t: "hello", v: 1, limits: DEFAULT_LIMITS, beatMs: 1, deadMs: 2, spreadMs: 0 }),
    });
    late[0]!.onclose!({ code: 1006, reason: "" });
    await settle(60_000);
    expect(seen).toEqual(["connected"]);
    expect(server.got("open")).toHaveLength(1);
  });

  it("uses HTTP if there is no WebSocket class, and throws with transport: websocket", async () => {
    vi.stubGlobal("WebSocket", undefined);
    start({ WebSocket: undefined });
    await settle();
    expect(links()).toEqual([stream]);
    client.dispose();
    expect(() => start({ WebSocket: undefined, transport: "websocket" })).toThrow(/no WebSocket/);
    vi.unstubAllGlobals();
  });
});

describe.each([
  ["a stream", false],
  ["polls", true],
])("over %s", (_, buffering) => {
  beforeEach(async () => {
    server.buffering = buffering;
    start({ transport: "sse" });
    await settle(3_000);
    expect(connection.status).toBe("connected");
  });
  /** A client notices the end of a socket over HTTP only with its next request. */
  const link = () => server.open.at(-1)!;

  it("settles calls in order, after their events", async () => {
    const sums: unknown[] = [];
    for (let n = 1; n <= 300; n++) void connection["add"]!(n).then((sum) => sums.push(sum));
    await settle(60_000);
    const all = Array.from({ length: 300 }, (_, i) => i + 1);
    expect(sums).toEqual(all);
    expect(seen.slice(1)).toEqual(all);
    expect(server.sockets.length).toBeLessThanOrEqual(2);
  });

  it("sends queued frames in one batch, within the frame limit", async () => {
    server.actions["say"] = (_turn: Turn, text: string) => text.length;
    const said = Promise.all(Array.from({ length: 20 }, () => connection["say"]!("x".repeat(30_000))));
    const posts = () => server.requests.filter((r) => r === "POST /api/stream").length;
    const before = posts();
    await settle(2_000);
    expect(await said).toEqual(Array(20).fill(30_000));
    expect(posts() - before).toBeLessThanOrEqual(6); // 600 KB in frames of 256 KiB, and beats
    for (const frame of server.frames) expect(frame.length).toBeLessThanOrEqual(262_144);
  });

  it("sends a batch again if its response was lost; the server accepts it once", async () => {
    server.loseAnswers = 2;
    const added = connection["add"]!(7);
    await settle(2_000);
    expect(await added).toBe(7);
    expect(server.got("call")).toHaveLength(1);
    expect(seen).toEqual(["connected", 7]);
  });

  it("ends the link when a batch is lost repeatedly; the call runs once", async () => {
    server.loseAnswers = 4;
    const added = connection["add"]!(7);
    await settle(8_000);
    expect(await added).toBe(7);
    expect(seen).toEqual(["connected", 7, "disconnected true", "reconnected true"]);
  });

  it("replaces a socket that the server does not know any more", async () => {
    const socket = link();
    socket.onclose = null; // without a sign to the client
    socket.end(1006);
    const added = connection["add"]!(7);
    await settle(4_000);
    expect(await added).toBe(7);
    expect(seen).toEqual(["connected", "disconnected true", expect.anything(), expect.anything()]);
  });

  it("notices a black hole within 25 s", async () => {
    link().blackHoled = true;
    await settle(28_500);
    expect(seen).toEqual(["connected", "disconnected true", "reconnected true"]);
  });

  it("sends the close on dispose, even while a POST is running", async () => {
    const adding = connection["add"]!(1).catch(() => {});
    await settle(0);
    client.dispose();
    await settle(20);
    await adding;
    expect(server.got("close")).toHaveLength(1);
    expect(room().connections.size).toBe(0);
  });

  it("survives silence", async () => {
    await settle(300_000);
    expect(seen).toEqual(["connected"]);
    expect(server.open).toHaveLength(1);
  });
});

describe("requests", () => {
  it("have the client's headers and credentials; a headers function is called for each", async () => {
    const sent: RequestInit[] = [];
    let n = 0;
    const spy = ((url: string, init: RequestInit) => {
      sent.push(init);
      return server.fetch(url, init);
    }) as typeof fetch;
    start({ transport: "sse", fetch: spy, credentials: "include", headers: async () => ({ authorization: `${++n}` }) });
    await settle();
    expect(seen).toEqual(["connected"]);
    expect(
      sent.map(({ credentials, headers }) => [credentials, (headers as Record<string, string>)["authorization"]]),
    ).toEqual([
      ["include", "1"],
      ["include", "2"],
    ]);
    expect((sent[1]!.headers as Record<string, string>)["content-type"]).toBe("application/json");
  });

  it("that are refused temporarily are not repeated earlier than the server asks", async () => {
    server.full = { code: "rate_limited", message: "too many", metadata: { retryAfterMs: 10_000 } };
    start({ transport: "sse" });
    await settle(9_900);
    expect(server.requests).toHaveLength(1);
    server.full = undefined;
    await settle(500);
    expect(seen).toEqual(["error rate_limited", "connected"]);
  });

  it("that are refused report the server's error", async () => {
    const refuse = (async () =>
      Response.json(
        { code: "bad_origin", message: "not from here", metadata: { origin: "x" } },
        { status: 403 },
      )) as unknown as typeof fetch;
    start({ transport: "sse", fetch: refuse });
    await settle(50);
    expect(seen[0]).toBe("error bad_origin");
  });
});
