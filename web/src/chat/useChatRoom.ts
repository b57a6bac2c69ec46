import { useEffect, useReducer, useState } from "react";
import type { Member } from "../registry.gen";
import { useActor } from "../troupe";
import { failure } from "../ui/failure";
import { randomId } from "../ui/storage";
import { chatReducer, emptyChat } from "./messages";
import { keepOutgoing, keptOutgoing, type OutgoingAction } from "./outgoing";

/**
 * A chat room, connected: what was said, who is here, and what can be done.
 *
 * The server sends `history` when a connection opens, once. That is enough, because
 * this is the only place with these params; a second one, mounted later, would join
 * the connection that exists and have to ask with getMessages().
 */
export function useChatRoom(key: string, me: Member) {
  const room = useActor({ name: "chatRoom", key: [key], params: me });
  const [chat, dispatch] = useReducer(chatReducer, key, (room) => ({ ...emptyChat, outgoing: keptOutgoing(room) }));
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

  useEffect(() => keepOutgoing(key, { type: "left" }), [key]);

  /** What we say is kept as well as shown: it must not be lost with the room or the page. */
  const track = (action: OutgoingAction) => {
    dispatch(action);
    keepOutgoing(key, action);
  };

  room.useEvent("connected", () => track({ type: "connected" }));
  room.useEvent("disconnected", () => dispatch({ type: "lost" }));
  room.useEvent("reconnected", async ({ recovered }) => {
    track({ type: "connected" });
    // What was missed has been replayed already. Only if that was not possible, ask.
    if (!recovered && !(await reload())) return;
    dispatch({ type: "back", userId: me.userId });
  });

  /** Shows the message at once, and what became of it when that is known: perhaps after we have left. */
  const send = async (text: string, id = randomId()) => {
    track({ type: "sending", id, text, timestamp: Date.now(), waits: !room.isConnected });
    try {
      if (!room.connection) throw new Error("there is no connection");
      const message = await room.connection.sendMessage(me.userId, text);
      dispatch({ type: "received", message });
      track({ type: "done", id });
    } catch (error) {
      track({ type: "failed", id, error: failure("sent", error) });
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
    discard: (id: string) => track({ type: "done", id }),
    deleteMessage,
    problem,
  };
}

export type ChatRoom = ReturnType<typeof useChatRoom>;
