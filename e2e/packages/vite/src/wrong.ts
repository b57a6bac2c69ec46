// What the types of the installed packages refuse.
import { createClient } from "@troupe/client";
import { createHooks } from "@troupe/react";
import type { registry } from "./registry";

const client = createClient<typeof registry>();
const { useActor } = createHooks(client);

export function useWrong() {
  // @ts-expect-error -- there is no such actor
  useActor({ name: "chatRooms", key: "general" });
  const room = useActor({ name: "chatRoom", key: "general" });
  // @ts-expect-error -- there is no such event
  room.useEvent("messageRecieved", () => {});
  // @ts-expect-error -- a message's text is a string
  room.useEvent("messageReceived", ({ text }) => text satisfies number);
  // @ts-expect-error -- a text is missing
  void room.connection?.sendMessage("ada");
  // @ts-expect-error -- there is no such action
  void room.handle.sendMassage("ada", "hello");
}
