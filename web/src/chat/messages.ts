// The messages of a chat room, and how they are shown.

import type { Message } from "../registry.gen";
import { isSameDay } from "../ui/text";

/** The place of a message in the room, which is also its id. */
export const keyOf = ({ id }: Message): number => Number(id);

/** What the user was away for. Messages are told apart by their keys, which grow. */
export interface Away {
  /** The key of the newest message that was here; undefined before the messages have been loaded. */
  newest?: number;
  /** The newest message when the connection was lost; undefined while it is up. */
  lostAfter?: number | undefined;
  /** Messages after one key, up to another, were sent while it was lost. The second is unknown while they are loaded. */
  missed?: { after: number; upTo: number | undefined };
}

export type AwayAction =
  | { type: "received"; key: number }
  | { type: "lost" }
  /** The connection is up again; all messages sent meanwhile have arrived, or, if not recovered, are loaded again. */
  | { type: "restored"; recovered: boolean }
  /** The messages are loaded, up to this key. */
  | { type: "loaded"; newest: number };

export function awayReducer(away: Away, action: AwayAction): Away {
  const { newest, lostAfter, missed } = away;
  switch (action.type) {
    case "received":
      return newest === undefined ? away : { ...away, newest: Math.max(newest, action.key) };
    case "lost":
      // If it was lost before and has not recovered since, the first loss counts.
      return { ...away, lostAfter: lostAfter ?? newest };
    case "restored":
      if (lostAfter === undefined) return away;
      return { newest, missed: { after: lostAfter, upTo: action.recovered ? newest : undefined } };
    case "loaded":
      return {
        ...away,
        newest: action.newest,
        ...(missed && { missed: { ...missed, upTo: missed.upTo ?? action.newest } }),
      };
  }
}

/** The messages of others that were sent while the connection was lost. */
export function missedBy(me: string, { missed }: Away, messages: readonly Message[]): readonly Message[] {
  if (missed?.upTo === undefined) return [];
  const { after, upTo } = missed;
  return messages.filter((m) => m.userId !== me && keyOf(m) > after && keyOf(m) <= upTo);
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

export function toRows(messages: readonly Message[], firstMissed?: Message, now = Date.now()): Row[] {
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
