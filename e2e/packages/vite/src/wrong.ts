// Uses that the types of the installed packages must reject.
import { createClient } from "@troupe/client";
import { createHooks, useActorState, useOptimisticAction } from "@troupe/react";
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

  const { state } = useActorState(room, {
    load: (connection) => connection.getMessages(),
    on: {
      messageReceived: (messages, message) => [...messages, message],
      // @ts-expect-error -- there is no such event
      messageRecieved: (messages) => messages,
    },
  });
  // @ts-expect-error -- it may not be loaded yet
  void state.length;
  useActorState(room, {
    // @ts-expect-error -- there is no such action
    load: (connection) => connection.getMassages(),
    on: {},
  });
  useActorState(room, {
    load: (connection) => connection.getMessages(),
    // @ts-expect-error -- a message is not the state
    on: { messageReceived: (_, message) => message },
  });

  const [, run] = useOptimisticAction(
    0,
    async (by: number) => `${by}`,
    (n, by) => n + by,
  );
  // @ts-expect-error -- the action takes a number
  void run("1");
  // @ts-expect-error -- and returns a string
  void (run(1) satisfies Promise<number>);
}
