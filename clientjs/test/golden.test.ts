// The golden frames, which the Go tests read, too: frames of a server are decoded,
// and frames of a client are compared with those that this client sends.
import { readdirSync, readFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Client } from "../src/index.js";
import { decodeFrame, encode, encodeCall, encodeFrame, type ClientMessage, type ServerMessage } from "../src/wire.js";
import { FakeServer, settle } from "./fakeServer.js";

interface Golden {
  name: string;
  direction: "client" | "server";
  frame: string;
}

const folder = new URL("../../backend/wire/testdata/golden/", import.meta.url);
const golden = readdirSync(folder)
  .filter((file) => file.endsWith(".json"))
  .map((file) => JSON.parse(readFileSync(new URL(file, folder), "utf8")) as Golden);

const SERVER_TYPES: Record<ServerMessage["t"], string[]> = {
  hello: ["v", "limits", "beatMs", "deadMs", "spreadMs"],
  opened: ["c", "s", "actorId", "log", "connId"],
  event: ["c", "s", "e", "d"],
  reply: ["c", "s", "id"],
  fail: ["c", "s", "id", "code", "message"],
  at: ["c", "s"],
  closed: ["c", "code", "message", "reconnect"],
  error: ["code", "message"],
  beat: [],
  bye: ["delayMs"],
};

const fromServer = golden.filter(({ direction }) => direction === "server");
const fromClient = golden.filter(({ direction }) => direction === "client");

it("finds frames in both directions", () => {
  expect(fromServer.length).toBeGreaterThan(15);
  expect(fromClient.length).toBeGreaterThan(10);
});

for (const g of fromServer) {
  it(`decodes ${g.name}`, () => {
    const messages = decodeFrame(g.frame);
    expect(messages.length).toBeGreaterThan(0);
    for (const message of messages) {
      const fields = SERVER_TYPES[message.t];
      expect(fields, `type ${message.t}`).toBeDefined();
      for (const field of fields) expect(message, message.t).toHaveProperty(field);
    }
    expect(messages).toEqual([JSON.parse(g.frame)].flat());
  });
}

const k = "AAECAwQFBgcICQoLDA0ODw";
const caller = "EBESExQVFhcYGRobHB0eHw";
const call = (id: number, a: string, args: unknown[], more: { s?: number; ack?: number } = {}) =>
  encodeCall({ t: "call", c: 1, id, a, ...more }, JSON.stringify(args));
const one = (message: ClientMessage) => [encode(message)];

/** The messages of this client for each of the frames. */
const MADE: Record<string, string[]> = {
  ack: one({ t: "ack", c: 1, s: 22, ack: 7 }),
  "array-from-client": [
    encode({ t: "sub", c: 1, e: ["typing"] }),
    call(11, "setTyping", [true]),
    encode({ t: "beat" }),
  ],
  "beat-from-client": one({ t: "beat" }),
  "beat-probe": one({ t: "beat", probe: true }),
  call: [call(7, "sendMessage", ["ada", "hello"])],
  "call-ack": [call(8, "deleteMessage", ["m1"], { s: 21, ack: 7 })],
  "call-no-args": [call(9, "getMessages", [])],
  "call-unicode": [call(10, "sendMessage", ["zoë 🎭", 'a\nb \u2028 "q" \\', null, 1500, [true, {}]])],
  close: one({ t: "close", c: 1 }),
  open: one({ t: "open", c: 1, actor: "chatRoom", key: ["general"], subs: ["messageReceived", "typing"], k, caller }),
  "open-by-id": one({ t: "open", c: 1, actorId: "q83vASNFZ4mrze8BI0VniQ", k, caller }),
  "open-by-id-named": one({ t: "open", c: 1, actor: "chatRoom", actorId: "q83vASNFZ4mrze8BI0VniQ", k, caller }),
  "open-create": one({
    t: "open",
    c: 2,
    actor: "gameRoom",
    key: ["a", "b"],
    create: true,
    input: { size: 3 },
    params: { playerId: "p1" },
    subs: [],
    k,
    caller,
  }),
  "open-get": one({ t: "open", c: 1, actor: "chatRoom", key: ["general"], create: false, subs: undefined, k, caller }),
  "open-n": one({ t: "open", c: 4, n: 4, actor: "chatRoom", key: ["general"], k, caller }),
  "open-resume": one({
    t: "open",
    c: 1,
    actor: "chatRoom",
    key: ["general"],
    subs: ["messageReceived"],
    k,
    caller,
    log: "Zm9vYmFyYmF6cXV4MTIzNA",
    s: 19,
    ack: 6,
  }),
  params: one({ t: "params", c: 1, params: { token: "t2" } }),
  sub: one({ t: "sub", c: 1, e: ["messageReceived", "messageDeleted"] }),
  unsub: one({ t: "unsub", c: 1, e: ["messageReceived"] }),
};

for (const g of fromClient) {
  it(`encodes ${g.name}`, () => {
    expect(MADE, "a case for every frame of a client").toHaveProperty([g.name]);
    expect(JSON.parse(encodeFrame(MADE[g.name]!))).toEqual(JSON.parse(g.frame));
  });
}

describe("a connection sends", () => {
  let server: FakeServer;
  let client: Client;
  let secrets: string[];

  beforeEach(() => {
    vi.useFakeTimers();
    secrets = [k, caller];
    vi.spyOn(crypto, "getRandomValues").mockImplementation((array) => {
      (array as Uint8Array).set(Buffer.from(secrets.shift()!, "base64url"));
      return array;
    });
    server = new FakeServer();
    client = server.createClient();
  });
  afterEach(() => {
    client.dispose();
    vi.useRealTimers();
  });

  /** Checks that the last frame is a golden one, on channel c. */
  const expectLast = (name: string, c = 1) => {
    const { frame: text } = golden.find((g) => g.name === name)!;
    const message = JSON.parse(text);
    // This client always counts its opens.
    expect(JSON.parse(server.frames.at(-1)!)).toEqual({ ...message, c, ...(message.t === "open" && { n: c }) });
  };

  it.each<[string, (client: Client) => void]>([
    [
      "open",
      ({ chatRoom }) => {
        const connection = chatRoom!.getOrCreate("general").connect();
        connection.on("messageReceived", () => {});
        connection.on("typing", () => {});
      },
    ],
    ["open-by-id-named", ({ chatRoom }) => void chatRoom!.getForId("q83vASNFZ4mrze8BI0VniQ").connect()],
    ["open-get", ({ chatRoom }) => void chatRoom!.get(["general"]).connect()],
  ])("%s", async (name, connect) => {
    connect(client);
    await settle();
    expectLast(name);
  });

  it("open-resume, call and call-ack", async () => {
    const room = server.actor("chatRoom", "general");
    room.log = "Zm9vYmFyYmF6cXV4MTIzNA";
    server.actions["sendMessage"] = () => null;
    server.actions["deleteMessage"] = () => null;
    const connection = client["chatRoom"]!.getOrCreate("general").connect();
    connection.on("messageReceived", () => {});
    await settle();
    for (let n = 1; n <= 13; n++) room.broadcast("messageReceived", n);
    for (let id = 1; id <= 6; id++) void connection["sendMessage"]!("ada", "hello");
    await settle();
    server.cut();
    await settle(1000);
    expectLast("open-resume", 2);
    void connection["sendMessage"]!("ada", "hello");
    await settle();
    expectLast("call", 2);
    room.broadcast("messageReceived", 14);
    await settle();
    void connection["deleteMessage"]!("m1");
    await settle();
    expectLast("call-ack", 2);
  });

  it("sub, unsub and close", async () => {
    const connection = client["chatRoom"]!.getOrCreate("general").connect();
    await settle();
    connection.on("messageReceived", () => {});
    connection.on("messageDeleted", () => {});
    await settle();
    expectLast("sub");
    connection.off("messageReceived");
    await settle();
    expectLast("unsub");
    connection.dispose();
    await settle();
    expectLast("close");
  });
});

it("rejects invalid frames", () => {
  for (const text of ["", "<html>", "null", "1", '["a"]', '{"c":1}', '[{"t":"at"},null]']) {
    expect(() => decodeFrame(text), text).toThrow();
  }
});
