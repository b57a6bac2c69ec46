// What a chat room knows of what was said, and what becomes of that.

import type { Message } from "../registry.gen";
import { isSameDay } from "../ui/text";

export interface Chat {
  messages: readonly Message[];
  /** The ids of what was here when the connection was lost, until it is back. */
  before?: ReadonlySet<string>;
  /** The ids of what others said while we were away; empty if that was nothing. */
  missed: readonly string[];
}

export const emptyChat: Chat = { messages: [], missed: [] };

export const listed = (chat: Chat, messages: readonly Message[]): Chat => ({ ...chat, messages: merge(chat.messages, messages) });

export const received = (chat: Chat, message: Message): Chat => ({ ...chat, messages: [...chat.messages, message] });

export const deleted = (chat: Chat, messageId: string): Chat => ({
  ...chat,
  messages: chat.messages.filter(({ id }) => id !== messageId),
});

/** The connection is lost. If it was lost before and not really back since, what was here at first still counts. */
export const lost = (chat: Chat): Chat => ({ ...chat, before: chat.before ?? new Set(chat.messages.map(({ id }) => id)) });

/** The connection is back, and everything that was said meanwhile is here. */
export function back({ before, ...chat }: Chat, me: string): Chat {
  const isNew = ({ id, userId }: Message) => !!before && !before.has(id) && userId !== me;
  return { ...chat, missed: chat.messages.filter(isNew).map(({ id }) => id) };
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
