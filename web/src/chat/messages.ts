// What a chat room knows: the messages that the server has, and those of ours
// that are on their way.

import type { Message } from "../registry.gen";
import { isSameDay } from "../ui/text";
import { type Outgoing, type OutgoingAction, outgoingReducer } from "./outgoing";

export interface Chat {
  /** The server has told what was said. */
  loaded: boolean;
  messages: readonly Message[];
  outgoing: readonly Outgoing[];
  /** The ids of what was here when the connection was lost, until it is back. */
  before?: ReadonlySet<string>;
  /** The ids of what others said while we were away; empty if that was nothing. */
  missed: readonly string[];
}

export const emptyChat: Chat = { loaded: false, messages: [], outgoing: [], missed: [] };

export type ChatAction =
  | { type: "history"; messages: readonly Message[] }
  | { type: "received"; message: Message }
  | { type: "deleted"; messageId: string }
  | { type: "lost" }
  | { type: "back"; userId: string }
  | OutgoingAction;

export function chatReducer(chat: Chat, action: ChatAction): Chat {
  switch (action.type) {
    case "history":
      return { ...chat, loaded: true, messages: merge(chat.messages, action.messages) };
    case "received":
      return { ...chat, messages: add(chat.messages, action.message) };
    case "deleted":
      return { ...chat, messages: chat.messages.filter((message) => message.id !== action.messageId) };
    case "lost":
      // Lost again before it was really back: what was here at first still counts.
      return { ...chat, before: chat.before ?? new Set(chat.messages.map(({ id }) => id)) };
    case "back": {
      const isNew = ({ id, userId }: Message) => !!chat.before && !chat.before.has(id) && userId !== action.userId;
      return { ...chat, before: undefined, missed: chat.messages.filter(isNew).map(({ id }) => id) };
    }
    default:
      return { ...chat, outgoing: outgoingReducer(chat.outgoing, action) };
  }
}

/** A message is told twice, as an event and as the reply to its author: by id it is one. */
function add(messages: readonly Message[], message: Message): readonly Message[] {
  return messages.some(({ id }) => id === message.id) ? messages : [...messages, message];
}

/**
 * The server's list decides for the time that it covers: what is not in it was
 * deleted. The server keeps only the newest messages; older ones that we have stay.
 */
export function merge(known: readonly Message[], listed: readonly Message[]): readonly Message[] {
  const first = listed[0];
  if (!first) return [];
  const ids = new Set(listed.map(({ id }) => id));
  return [...known.filter(({ id, timestamp }) => !ids.has(id) && timestamp < first.timestamp), ...listed];
}

/** A message as it is shown: with what comes before it. */
export interface Row {
  message: Message;
  /** Another author or name than before, or much later: shows who and when. */
  startsGroup: boolean;
  /** The first message of its day; today is told only after another day. */
  startsDay: boolean;
  /** The first one that was missed. */
  startsMissed: boolean;
}

const GROUP_MS = 5 * 60_000;

/** Somebody with another name now is, to the reader, somebody else. */
const sameAuthor = (a: Message, b: Message) => a.userId === b.userId && a.name === b.name;

export function toRows(messages: readonly Message[], missed: readonly string[] = [], now = Date.now()): Row[] {
  // The first of them that is still there: it may have been deleted since.
  const firstMissed = messages.find(({ id }) => missed.includes(id));
  return messages.map((message, i) => {
    const before = messages[i - 1];
    const startsDay = !isSameDay(before?.timestamp ?? now, message.timestamp);
    const startsMissed = message === firstMissed;
    const startsGroup =
      !before || startsDay || startsMissed || !sameAuthor(before, message) || message.timestamp - before.timestamp > GROUP_MS;
    return { message, startsGroup, startsDay, startsMissed };
  });
}
