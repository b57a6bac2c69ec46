// Our messages that the server does not have yet, and what becomes of them.

import { read, write } from "../ui/storage";

/** One of our messages before the server has it. */
export interface Outgoing {
  id: string;
  text: string;
  timestamp: number;
  /** There was no connection yet since it was written: it has certainly not been sent. */
  waits?: boolean;
  /** Why it was not sent; undefined while it is on its way. */
  error?: string;
}

export type OutgoingAction =
  | { type: "sending"; id: string; text: string; timestamp: number; waits: boolean }
  | { type: "connected" }
  | { type: "failed"; id: string; error: string }
  | { type: "done"; id: string }
  | { type: "left" };

const NOT_SENT = "Not sent: you left before there was a connection.";
const IN_DOUBT = "You left before an answer came: it may have been sent.";

export function outgoingReducer(outgoing: readonly Outgoing[], action: OutgoingAction): readonly Outgoing[] {
  switch (action.type) {
    case "sending": {
      const { id, text, timestamp, waits } = action;
      return [...without(outgoing, id), { id, text, timestamp, waits }];
    }
    case "connected":
      return outgoing.map((message) => ({ ...message, waits: false }));
    case "failed":
      return outgoing.map((message) => (message.id === action.id ? { ...message, error: action.error } : message));
    case "done":
      return without(outgoing, action.id);
    // The room, or the page. Nothing is sent again by itself after that: what may have
    // reached the server would be said twice.
    case "left":
      return outgoing.map((message) => ({ ...message, error: message.error ?? (message.waits ? NOT_SENT : IN_DOUBT) }));
  }
}

function without(outgoing: readonly Outgoing[], id: string): readonly Outgoing[] {
  return outgoing.filter((message) => message.id !== id);
}

// What is kept is kept per tab: what one tab is sending is no other tab's business.
const session = () => sessionStorage;
const storageKey = (room: string) => `troupe.outgoing.${room}`;

/** Does to what is kept of a room what the reducer does to what is shown. */
export function keepOutgoing(room: string, action: OutgoingAction): void {
  write(storageKey(room), outgoingReducer(kept(room), action), session);
}

/** What we said in a room before we left it, as far as it did not arrive. */
export const keptOutgoing = (room: string) => outgoingReducer(kept(room), { type: "left" });

const kept = (room: string) => read<readonly Outgoing[]>(storageKey(room), [], session);
