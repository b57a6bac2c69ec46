import { useEffect, useRef, useState } from "react";
import type { Member } from "../registry.gen";
import type { ChatRoom } from "./useChatRoom";

const REPEAT_MS = 3_000; // while somebody goes on typing
const SILENT_MS = 5_000; // nothing for so long: not typing any more

interface Typist {
  userId: string;
  name: string;
  at: number;
}

const without = (typists: readonly Typist[], userId: string) => typists.filter((typist) => typist.userId !== userId);

/** Who is typing, and how to tell that we are. */
export function useTyping(room: ChatRoom, me: Member) {
  const [typists, setTypists] = useState<readonly Typist[]>([]); // the most recent one last
  const toldAt = useRef(0);

  room.useEvent("typing", ({ userId, name, typing }) => {
    if (userId === me.userId) return; // another tab of ours
    setTypists((all) => (typing ? [...without(all, userId), { userId, name, at: Date.now() }] : without(all, userId)));
  });
  room.useEvent("messageReceived", ({ userId }) => setTypists((all) => without(all, userId)));

  // Somebody whose connection broke cannot tell that they stopped.
  useEffect(() => {
    const first = typists[0];
    if (!first) return;
    const timer = setTimeout(() => setTypists((all) => without(all, first.userId)), first.at + SILENT_MS - Date.now());
    return () => clearTimeout(timer);
  }, [typists]);

  /** Call it with every change of the text. It tells the others sparingly. */
  const onTyping = (typing: boolean) => {
    const due = typing ? Date.now() - toldAt.current > REPEAT_MS : toldAt.current > 0;
    if (!due || !room.isConnected) return;
    toldAt.current = typing ? Date.now() : 0;
    room.connection?.setTyping(typing).catch(() => {}); // nobody needs to know
  };

  return { names: typists.map(({ name }) => name), onTyping };
}
