import { useEvent } from "@troupe/react";
import { useEffect, useState } from "react";
import type { Member } from "../registry.gen";
import type { ChatRoom } from "./useChatRoom";

/** While the page is hidden, shows the number of new messages in its title. */
export function useTitleCount(room: ChatRoom, me: Member): void {
  const [count, setCount] = useState(0);
  useEvent(room, "messageReceived", ({ userId }) => {
    if (document.hidden && userId !== me.userId) setCount((n) => n + 1);
  });
  useEffect(() => {
    const reset = () => setCount(0);
    document.addEventListener("visibilitychange", reset);
    return () => document.removeEventListener("visibilitychange", reset);
  }, []);
  useEffect(() => {
    if (!count) return;
    const { title } = document;
    document.title = `(${count}) ${title}`;
    return () => {
      document.title = title;
    };
  }, [count]);
}
