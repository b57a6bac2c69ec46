// The text of a room that was not sent yet. It is still there after a reload.

import { read, write } from "../ui/storage";

export const draftKey = (room: string) => `troupe.draft.${room}`;

/** Keeps a text that could not be sent because its author has left the room. */
export function addToDraft(room: string, text: string): void {
  const key = draftKey(room);
  write(key, [read(key, ""), text].filter(Boolean).join("\n"));
}
