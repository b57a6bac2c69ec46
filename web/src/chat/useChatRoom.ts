import { useActorPages, useActorState, useOptimisticAction } from "@troupe/react";
import { useEffect, useMemo, useReducer, useState } from "react";
import type { Later, Member, Timing } from "../registry.gen";
import { useActor, useEvent } from "../troupe";
import { failure } from "../ui/failure";
import { randomId } from "../ui/storage";
import { awayReducer, missedBy } from "./messages";
import { storeOutgoing, storedOutgoing, type OutgoingAction, outgoingReducer } from "./outgoing";

const PAGE = 50;
const NONE: readonly Later[] = [];

/** Connects to a chat room. Returns its messages and members, and functions that send and delete. */
export function useChatRoom(key: string, me: Member) {
  const room = useActor({ name: "chatRoom", key: [key], params: me });
  const [outgoing, dispatch] = useReducer(outgoingReducer, key, storedOutgoing);
  const [members, setMembers] = useState<Member[]>([]);
  const [problem, setProblem] = useState("");

  const pages = useActorPages(room, {
    load: (connection, before) => connection.getPage(before, PAGE),
    on: {
      messageReceived: (message) => ({ key: Number(message.id), value: message }),
      messageDeleted: ({ messageId }) => ({ key: Number(messageId) }),
    },
  });
  const messages = useMemo(() => pages.items.map(({ value }) => value), [pages.items]);

  const [away, observe] = useReducer(awayReducer, {});
  const isReady = pages.status === "ready";
  const newest = pages.items.at(-1)?.key ?? 0;
  useEffect(() => {
    if (isReady) observe({ type: "loaded", newest });
  }, [isReady, newest]);
  useEvent(room, "messageReceived", ({ id }) => observe({ type: "received", key: Number(id) }));
  useEvent(room, "disconnected", () => observe({ type: "lost" }));
  useEvent(room, "reconnected", ({ recovered }) => observe({ type: "restored", recovered }));
  useEvent(room, "membersChanged", (changed) => setMembers(changed.members));

  useEffect(() => storeOutgoing(key, { type: "left" }), [key]);

  /** Updates the page and the storage, so that unsent messages survive leaving the room or the page. */
  const track = (action: OutgoingAction) => {
    dispatch(action);
    storeOutgoing(key, action);
  };

  useEvent(room, "connected", () => track({ type: "connected" }));
  useEvent(room, "reconnected", () => track({ type: "connected" }));

  /** Shows the message at once, and its result when that is known, which may be after the user left the room. */
  const send = async (text: string, timing?: Timing, id = randomId()) => {
    track({ type: "sending", id, text, timestamp: Date.now(), timing, isQueued: !room.isConnected });
    const { connection } = room;
    try {
      if (!connection) throw new Error("not connected");
      await (timing ? connection.sendTimed(me.userId, text, timing) : connection.sendMessage(me.userId, text));
      track({ type: "done", id });
    } catch (error) {
      track({ type: "failed", id, error: failure("sent", error) });
    }
  };

  /** Removes the message at once, and shows it again if deleting fails. */
  const [shown, remove] = useOptimisticAction(
    messages,
    async (id: string) => room.connection?.deleteMessage(id),
    (messages, id) => messages.filter((message) => message.id !== id),
  );
  const deleteMessage = async (id: string) => {
    setProblem("");
    try {
      await remove(id);
    } catch (error) {
      setProblem(failure("deleted", error));
    }
  };

  const { state: later = NONE } = useActorState(room, {
    load: (connection) => connection.getLater(),
    on: { laterChanged: (_, changed) => changed.later },
  });
  const [waiting, cancel] = useOptimisticAction(
    later,
    async (id: string) => room.connection?.cancelLater(id),
    (later, id) => later.filter((message) => message.id !== id),
  );
  const cancelLater = async (id: string) => {
    setProblem("");
    try {
      await cancel(id);
    } catch (error) {
      setProblem(failure("canceled", error));
    }
  };

  return {
    ...room,
    messages: shown,
    later: waiting,
    cancelLater,
    missed: missedBy(me.userId, away, shown),
    pages,
    outgoing,
    members,
    send,
    discard: (id: string) => track({ type: "done", id }),
    deleteMessage,
    problem,
  };
}

export type ChatRoom = ReturnType<typeof useChatRoom>;
