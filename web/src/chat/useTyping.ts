import { useEvent } from "@troupe/react";
import { useEffect, useRef, useState } from "react";
import type { Member } from "../registry.gen";
import type { ChatRoom } from "./useChatRoom";

const REPEAT_MS = 3_000; // how often typing is reported
const SILENT_MS = 5_000; // a typist who is silent for this long has stopped

interface Typist {
  userId: string;
  name: string;
  at: number;
}

const without = (typists: readonly Typist[], userId: string) => typists.filter((typist) => typist.userId !== userId);

/** Returns the names of others who are typing, and a function that reports the user's own typing. */
export function useTyping(room: ChatRoom, me: Member) {
  const [typists, setTypists] = useState<readonly Typist[]>([]); // the most recent one last
  const reportedAt = useRef(0);

  useEvent(room, "typing", ({ userId, name, typing }) => {
    if (userId === me.userId) return; // the user's other tab
    setTypists((all) => (typing ? [...without(all, userId), { userId, name, at: Date.now() }] : without(all, userId)));
  });
  useEvent(room, "messageReceived", ({ userId }) => setTypists((all) => without(all, userId)));

  // A typist whose connection broke cannot report that they stopped.
  useEffect(() => {
    const first = typists[0];
    if (!first) return;
    const timer = setTimeout(() => setTypists((all) => without(all, first.userId)), first.at + SILENT_MS - Date.now());
    return () => clearTimeout(timer);
  }, [typists]);

  /** Call it after every change of the text. It sends at most one report every REPEAT_MS. */
  const onTyping = (typing: boolean) => {
    const due = typing ? Date.now() - reportedAt.current > REPEAT_MS : reportedAt.current > 0;
    if (!due || !room.isConnected) return;
    reportedAt.current = typing ? Date.now() : 0;
    room.connection?.setTyping(typing).catch(() => {}); // not worth an error message
  };

  return { names: typists.map(({ name }) => name), onTyping };
}
