// A test for the type checker, which nothing imports: correct uses of the registry
// compile, and wrong ones do not.

import { createClient } from "@troupe/client";
import type { registry } from "./registry.gen";

const client = createClient<typeof registry>();

export async function right(): Promise<string> {
  const room = client.chatRoom.getOrCreate("general").connect({ userId: "ada" });
  room.on("messageReceived", (m) => m.text.toUpperCase());
  room.on("disconnected", ({ willRetry }) => willRetry);
  client.chatRoom.getOrCreate("general").connect();
  const message = await room.sendMessage("ada", "hello");
  const game = client.gameRoom.getOrCreate(["a"]).connect({ playerId: "ada", skillLevel: 3 });
  const state = await game.getGame();
  await client.newsRoom.get("world").publishArticle({ category: "a", content: "b", level: "premium" });
  return message.text + state.players.ada?.health;
}

export async function wrong(): Promise<void> {
  const room = client.chatRoom.getOrCreate("general").connect();
  // @ts-expect-error -- there is no such actor
  client.chatroom.getOrCreate("general");
  // @ts-expect-error -- there is no such action
  await room.sendMesage("ada", "hello");
  // @ts-expect-error -- an argument is missing
  await room.sendMessage("ada");
  // @ts-expect-error -- an argument is of another type
  await room.setTyping("yes");
  // @ts-expect-error -- there is no such event
  room.on("messageRecieved", () => {});
  // @ts-expect-error -- a payload has no such field
  room.on("messageReceived", (m) => m.txt);
  // @ts-expect-error -- params are missing
  client.gameRoom.getOrCreate("a").connect();
  // @ts-expect-error -- a field of params is missing
  client.gameRoom.getOrCreate("a").connect({ role: "player" });
  // @ts-expect-error -- there is no such level
  await client.newsRoom.get("world").publishArticle({ category: "a", content: "b", level: "gold" });
  // @ts-expect-error -- the result has no such field
  (await room.sendMessage("ada", "hello")).txt.toUpperCase();
}
