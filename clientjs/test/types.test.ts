// Tests of types for `npm run typecheck`: correct uses compile, and wrong ones do not.
// Only the last line runs.
import { expect, it } from "vitest";
import WebSocketOfNode from "ws";
import { ActorError, createClient, type Connection, type Reconnected } from "../src/index.js";
import type { Message, registry } from "./registry.js";

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const is = <_T extends true>(): void => {};

export async function typed(): Promise<void> {
  const client = createClient<typeof registry>("http://localhost:8080");
  createClient("http://localhost:8080", { WebSocket });
  createClient<typeof registry>("http://localhost:8080", { registry: {} as typeof registry }).chatRoom.get("a");
  createClient("http://localhost:8080", { WebSocket: WebSocketOfNode });
  const room = client.chatRoom.getOrCreate(["general"]);
  const connection = room.connect();

  const message = await connection.sendMessage("ada", "hello");
  is<Equal<typeof message, Message>>();
  is<Equal<Awaited<ReturnType<typeof room.getMessages>>, Message[]>>();
  is<Equal<ReturnType<typeof connection.deleteMessage>, Promise<void>>>();
  is<Equal<Awaited<ReturnType<typeof room.resolve>>, string>>();
  is<Equal<typeof connection.id, string | undefined>>();

  connection.on("messageReceived", (m) => is<Equal<typeof m, Message>>());
  const off = connection.once("messageDeleted", ({ messageId }) => is<Equal<typeof messageId, string>>());
  is<Equal<typeof off, () => void>>();
  connection.on("connected", () => {});
  connection.on("reconnected", (r) => is<Equal<typeof r, Reconnected>>());
  connection.on("error", (e) => is<Equal<typeof e, ActorError>>());
  connection.on("closed", (e) => is<Equal<typeof e, ActorError | undefined>>());
  connection.off("messageReceived", (m: Message) => void m);
  connection.off("messageReceived");
  connection.off();

  const called = await connection.call("sendMessage", "ada", "hello");
  is<Equal<typeof called, Message>>();
  await connection.withOptions({ timeoutMs: 1000 }).sendMessage("ada", "hello");
  await room.withOptions({ signal: AbortSignal.timeout(1) }).call("getMessages");

  // @ts-expect-error: there is no such actor
  client.chatroom;
  // @ts-expect-error: there is no such action
  void connection.sendMesage("ada", "hello");
  // @ts-expect-error: an argument is missing
  void connection.sendMessage("ada");
  // @ts-expect-error: an argument is of the wrong type
  void room.sendMessage("ada", 1);
  // @ts-expect-error: there is no such event
  connection.on("messageRecieved", () => {});
  // @ts-expect-error: the payload is a Message
  connection.on("messageReceived", (m: { nope: string }) => void m);
  // @ts-expect-error: there is no such action
  void connection.call("nope");
  // @ts-expect-error: an argument is of the wrong type
  void connection.call("sendMessage", "ada", 1);
  // @ts-expect-error: a key consists of strings
  client.chatRoom.get([1]);
  // @ts-expect-error: status cannot be set
  connection.status = "closed";

  client.chatRoom.get("general").connect({ userId: "u1" });
  client.chatRoom.get("general").connect(async ({ attempt, signal }) => {
    is<Equal<typeof attempt, number>>();
    is<Equal<typeof signal, AbortSignal>>();
    return { userId: "u1" };
  });
  const game = client.gameRoom.create(["room"], { size: 3 });
  game.connect({ playerId: "p1" }, { timeoutMs: 5000 });
  game.connect(() => ({ playerId: "p1" }));
  // @ts-expect-error: params are needed
  game.connect();
  // @ts-expect-error: playerId is needed
  game.connect({ role: "player" });
  // @ts-expect-error: playerId is a string
  game.connect(() => ({ playerId: 1 }));
  client.gameRoom.create(["room"], { input: { size: 3 } });
  const created = await client.chatRoom.create("new");
  is<Equal<typeof created, typeof room>>();
  client.chatRoom.create("new").connect();
  await client.newsRoom.getOrCreate().resolve();
  is<Equal<typeof connection.actorId, string | undefined>>();
  connection.reconnect();
  createClient(new URL("http://localhost:8080"));
  // @ts-expect-error: an undefined key is a mistake
  client.chatRoom.getOrCreate(undefined);
  // @ts-expect-error: input is needed
  client.gameRoom.create(["room"]);
  // @ts-expect-error: input is needed
  client.gameRoom.create();
  // @ts-expect-error: input has a size
  client.gameRoom.getOrCreate(["room"], { input: {} });
  client.newsRoom.create("news");

  // A function that takes any connection takes this one, and payloads have the declared types.
  const kept: Connection<(typeof registry)["chatRoom"]> = connection;
  void kept;
}

export async function untyped(): Promise<void> {
  const client = createClient();
  const room = client["chatRoom"]!.getOrCreate("general");
  const connection = room.connect({ anything: true });
  connection.on("whatever", ({ deep }) => deep.er);
  connection.on("error", (error) => error.message);
  const result = await connection["anyAction"]!(1, "2");
  result.anything;
  await room.call("anyAction", 1);
}

it("compiles", () => expect([typed, untyped]).toHaveLength(2));
