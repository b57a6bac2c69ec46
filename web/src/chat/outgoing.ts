// Messages of the user that the server does not have yet.

import type { Timing } from "../registry.gen";
import { read, write } from "../ui/storage";

/** A message that is being sent, or could not be sent. */
export interface Outgoing {
  id: string;
  text: string;
  timestamp: number;
  /** When it is sent, and how long it stays, if the user has chosen that. */
  timing?: Timing | undefined;
  /** There has been no connection since it was written, so it has certainly not been sent. */
  isQueued?: boolean;
  /** Why it was not sent; undefined while it is being sent. */
  error?: string;
}

export type OutgoingAction =
  | { type: "sending"; id: string; text: string; timestamp: number; timing?: Timing | undefined; isQueued: boolean }
  | { type: "connected" }
  | { type: "failed"; id: string; error: string }
  | { type: "done"; id: string }
  | { type: "left" };

const NOT_SENT = "Not sent: you left before there was a connection.";
const IN_DOUBT = "You left before an answer arrived: it may have been sent.";

export function outgoingReducer(outgoing: readonly Outgoing[], action: OutgoingAction): readonly Outgoing[] {
  switch (action.type) {
    case "sending": {
      const { id, text, timestamp, timing, isQueued } = action;
      return [...without(outgoing, id), { id, text, timestamp, timing, isQueued }];
    }
    case "connected":
      return outgoing.map((message) => ({ ...message, isQueued: false }));
    case "failed":
      return outgoing.map((message) => (message.id === action.id ? { ...message, error: action.error } : message));
    case "done":
      return without(outgoing, action.id);
    // The user left the room or the page. After that, nothing is sent again automatically, because the
    // server may already have the message.
    case "left":
      return outgoing.map((message) => ({
        ...message,
        error: message.error ?? (message.isQueued ? NOT_SENT : IN_DOUBT),
      }));
  }
}

function without(outgoing: readonly Outgoing[], id: string): readonly Outgoing[] {
  return outgoing.filter((message) => message.id !== id);
}

// Stored per tab, because every tab sends its own messages.
const session = () => sessionStorage;
const storageKey = (room: string) => `troupe.outgoing.${room}`;

/** Applies an action to the stored messages of a room, as the reducer does to those on the page. */
export function storeOutgoing(room: string, action: OutgoingAction): void {
  write(storageKey(room), outgoingReducer(stored(room), action), session);
}

/** Returns the messages of a room that had not arrived when the user left it. */
export const storedOutgoing = (room: string) => outgoingReducer(stored(room), { type: "left" });

const stored = (room: string) => read<readonly Outgoing[]>(storageKey(room), [], session);
