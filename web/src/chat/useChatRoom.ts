import { ActorError } from "@troupe/client";
import { useReducer, useState } from "react";
import type { Member } from "../registry";
import { useActor } from "../troupe";
import { randomId } from "../ui/storage";
import { addToDraft } from "./draft";
import { chatReducer, emptyChat } from "./messages";

/** A chat room, connected: what was said, who is here, and what can be done. */
export function useChatRoom(key: string, me: Member) {
  const room = useActor({ name: "chatRoom", key: [key], params: me });
  const [chat, dispatch] = useReducer(chatReducer, emptyChat);
  const [members, setMembers] = useState<Member[]>([]);
  const [problem, setProblem] = useState("");

  room.useEvent("history", (history) => dispatch({ type: "history", ...history }));
  room.useEvent("messageReceived", (message) => dispatch({ type: "received", message }));
  room.useEvent("messageDeleted", ({ messageId }) => dispatch({ type: "deleted", messageId }));
  room.useEvent("membersChanged", (changed) => setMembers(changed.members));

  /** Asks for what was said; false if the connection was lost again: the next reconnection asks again. */
  const reload = async () => {
    try {
      const messages = await room.connection?.getMessages();
      if (messages) dispatch({ type: "history", messages });
      return true;
    } catch {
      return false;
    }
  };

  room.useEvent("disconnected", () => dispatch({ type: "lost" }));
  room.useEvent("reconnected", async ({ recovered }) => {
    // What was missed has been replayed already. Only if that was not possible, ask.
    if (!recovered && !(await reload())) return;
    dispatch({ type: "back", userId: me.userId });
  });

  /** Shows the message at once, and what became of it when that is known. */
  const send = async (text: string, id = randomId()) => {
    if (!room.connection) return;
    dispatch({ type: "sending", id, text, timestamp: Date.now() });
    try {
      const message = await room.connection.sendMessage(me.userId, text);
      dispatch({ type: "sent", id, message });
    } catch (error) {
      dispatch({ type: "failed", id, error: failure("sent", error) });
      if (leftBefore(error)) addToDraft(key, text);
    }
  };

  /** The event tells everybody, us too; only a failure is news. */
  const deleteMessage = async (id: string) => {
    setProblem("");
    try {
      await room.connection?.deleteMessage(id);
    } catch (error) {
      setProblem(failure("deleted", error));
    }
  };

  return {
    ...room,
    chat,
    members,
    send,
    discard: (id: string) => dispatch({ type: "discarded", id }),
    deleteMessage,
    problem,
  };
}

export type ChatRoom = ReturnType<typeof useChatRoom>;

/** We went to another room before it could be sent. */
function leftBefore(error: unknown): boolean {
  return error instanceof ActorError && error.code === "not_sent" && (error.metadata as { reason?: string })?.reason === "closed";
}

/** Why something was not done, for people. */
function failure(done: "sent" | "deleted", error: unknown): string {
  if (!(error instanceof ActorError)) return String(error);
  switch (error.code) {
    case "not_sent":
      return `Not ${done}: there was no connection.`;
    case "maybe_ran":
      return `No answer came: it may have been ${done}.`;
    default:
      return `Not ${done}: ${error.message}.`;
  }
}
