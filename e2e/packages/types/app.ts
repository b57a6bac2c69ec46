// What an app of others exports: its declarations mention most types of the packages.
import { createClient, ActorError } from "@troupe/client";
import { createHooks, useActorState, useEvent, useOptimisticAction, type UseActorOptions } from "@troupe/react";
import type { registry } from "./registry.js";
export const client = createClient<typeof registry>("http://localhost:8080");
export const { useActor, useEvent: useOwnEvent } = createHooks(client);
export const room = client.chatRoom.getOrCreate(["general"]);
export const connection = room.connect();
export const created = () => client.gameRoom.create("a", { input: { size: 3 } });
export const lobby = () => client.chatRoom.getOrCreate();
export const useRoom = (key: string) => useActor({ name: "chatRoom", key });
export const useMessages = (key: string) => {
  const actor = useRoom(key);
  useEvent(actor, "messageReceived", (m) => m.text);
  return useActorState(actor, { load: (c) => c.getMessages(), on: { messageReceived: (all, m) => [...all, m] } });
};
export function useAny<N extends "chatRoom">(options: UseActorOptions<typeof registry, N>) {
  return useActor(options);
}
export const useSay = () =>
  useOptimisticAction(
    [] as string[],
    async (t: string) => t,
    (all, t) => [...all, t],
  );
export const isFull = (e: unknown) => e instanceof ActorError && e.code === "full";
export const off = connection.on("messageReceived", (m) => m.text);
export const error = new ActorError("a", "b");
