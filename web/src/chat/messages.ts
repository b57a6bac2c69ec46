// The messages of a chat room, and how they are shown.

import type { Message } from "../registry.gen";
import { isSameDay } from "../ui/text";

export interface Chat {
  messages: readonly Message[];
  /** Ids of the messages that were here when the connection was lost; undefined while it is up. */
  before?: ReadonlySet<string>;
  /** Ids of the messages that others sent while the connection was lost. */
  missed: readonly string[];
}

export const emptyChat: Chat = { messages: [], missed: [] };

export const listed = (chat: Chat, messages: readonly Message[]): Chat => ({
  ...chat,
  messages: merge(chat.messages, messages),
});

export const received = (chat: Chat, message: Message): Chat => ({ ...chat, messages: [...chat.messages, message] });

export const deleted = (chat: Chat, messageId: string): Chat => ({
  ...chat,
  messages: chat.messages.filter(({ id }) => id !== messageId),
});

/** The connection is lost. If it was lost before and has not recovered since, the first loss counts. */
export const connectionLost = (chat: Chat): Chat => ({
  ...chat,
  before: chat.before ?? new Set(chat.messages.map(({ id }) => id)),
});

/** The connection is up again, and all messages sent meanwhile have arrived. */
export function connectionRestored({ before, ...chat }: Chat, me: string): Chat {
  const isNew = ({ id, userId }: Message) => !!before && !before.has(id) && userId !== me;
  return { ...chat, missed: chat.messages.filter(isNew).map(({ id }) => id) };
}

/**
 * Merges the known messages with the server's list. In the time that the list covers, messages that are not in it
 * were deleted. The server keeps only the newest messages, so older known ones stay.
 */
export function merge(known: readonly Message[], listed: readonly Message[]): readonly Message[] {
  const first = listed[0];
  if (!first) return [];
  const ids = new Set(listed.map(({ id }) => id));
  return [...known.filter(({ id, timestamp }) => !ids.has(id) && timestamp < first.timestamp), ...listed];
}

/** A message and the dividers and headers that are shown before it. */
export interface Row {
  message: Message;
  /** Another author or name than before, or much later: author and time are shown. */
  startsGroup: boolean;
  /** The first message of its day. Today gets a divider only after an earlier day. */
  startsDay: boolean;
  /** The first missed message. */
  startsMissed: boolean;
}

const GROUP_MS = 5 * 60_000;

/** After a change of name, messages are grouped as if they came from somebody else. */
const sameAuthor = (a: Message, b: Message) => a.userId === b.userId && a.name === b.name;

export function toRows(messages: readonly Message[], missed: readonly string[] = [], now = Date.now()): Row[] {
  // The first one may have been deleted since.
  const firstMissed = messages.find(({ id }) => missed.includes(id));
  return messages.map((message, i) => {
    const before = messages[i - 1];
    const startsDay = !isSameDay(before?.timestamp ?? now, message.timestamp);
    const startsMissed = message === firstMissed;
    const startsGroup =
      !before ||
      startsDay ||
      startsMissed ||
      !sameAuthor(before, message) ||
      message.timestamp - before.timestamp > GROUP_MS;
    return { message, startsGroup, startsDay, startsMissed };
  });
}
