import { useActorState, useOptimisticAction } from "@troupe/react";
import { useEffect, useReducer, useState } from "react";
import type { Member } from "../registry.gen";
import { useActor } from "../troupe";
import { failure } from "../ui/failure";
import { randomId } from "../ui/storage";
import { back, deleted, emptyChat, listed, lost, received } from "./messages";
import { keepOutgoing, keptOutgoing, type OutgoingAction, outgoingReducer } from "./outgoing";

/** A chat room, connected: what was said, who is here, and what can be done. */
export function useChatRoom(key: string, me: Member) {
  const room = useActor({ name: "chatRoom", key: [key], params: me });
  const [outgoing, dispatch] = useReducer(outgoingReducer, key, keptOutgoing);
  const [members, setMembers] = useState<Member[]>([]);
  const [problem, setProblem] = useState("");

  const { state: chat = emptyChat } = useActorState(room, {
    load: async (connection) => listed(emptyChat, await connection.getMessages()),
    merge: (known, { messages }) => back(listed(known, messages), me.userId),
    on: {
      messageReceived: (chat, message) => received(chat, message),
      messageDeleted: (chat, { messageId }) => deleted(chat, messageId),
      disconnected: (chat) => lost(chat),
      reconnected: (chat) => back(chat, me.userId),
    },
  });
  room.useEvent("membersChanged", (changed) => setMembers(changed.members));

  useEffect(() => keepOutgoing(key, { type: "left" }), [key]);

  /** What we say is kept as well as shown: it must not be lost with the room or the page. */
  const track = (action: OutgoingAction) => {
    dispatch(action);
    keepOutgoing(key, action);
  };

  room.useEvent("connected", () => track({ type: "connected" }));
  room.useEvent("reconnected", () => track({ type: "connected" }));

  /** Shows the message at once, and what became of it when that is known: perhaps after we have left. */
  const send = async (text: string, id = randomId()) => {
    track({ type: "sending", id, text, timestamp: Date.now(), waits: !room.isConnected });
    try {
      if (!room.connection) throw new Error("there is no connection");
      await room.connection.sendMessage(me.userId, text);
      track({ type: "done", id });
    } catch (error) {
      track({ type: "failed", id, error: failure("sent", error) });
    }
  };

  /** It is gone at once, and back if that fails. (What we send needs more than that: it stays to be tried again.) */
  const [shown, remove] = useOptimisticAction(chat, async (id: string) => room.connection?.deleteMessage(id), deleted);
  const deleteMessage = async (id: string) => {
    setProblem("");
    try {
      await remove(id);
    } catch (error) {
      setProblem(failure("deleted", error));
    }
  };

  return {
    ...room,
    chat: shown,
    loaded: chat !== emptyChat,
    outgoing,
    members,
    send,
    discard: (id: string) => track({ type: "done", id }),
    deleteMessage,
    problem,
  };
}

export type ChatRoom = ReturnType<typeof useChatRoom>;
