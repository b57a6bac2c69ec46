// When a message is sent, and how long it stays, as the user chooses it.

import type { Timing } from "../registry.gen";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

/** Times to send at, by the value of their option. Each returns Unix milliseconds; undefined is now. */
export const SEND: Record<string, { label: string; at: (now: number) => number | undefined }> = {
  now: { label: "Now", at: () => undefined },
  minute: { label: "In a minute", at: (now) => now + MINUTE },
  hour: { label: "In an hour", at: (now) => now + HOUR },
  tomorrow: { label: "Tomorrow at 9:00", at: (now) => tomorrow(now, 9) },
};

/** How long a message stays, in milliseconds, by the value of its option. */
export const KEEP: Record<string, { label: string; ms?: number }> = {
  ever: { label: "Never" },
  minute: { label: "After a minute", ms: MINUTE },
  hour: { label: "After an hour", ms: HOUR },
  day: { label: "After a day", ms: 24 * HOUR },
};

/** What the user has chosen. send is a name in SEND, or `at` for the time in at, which is that of an input. */
export interface Choice {
  send: string;
  at: string;
  keep: string;
}

export const NOW: Choice = { send: "now", at: "", keep: "ever" };

/** Returns the timing of a message that is sent now; undefined if it is like any other. */
export function timingOf({ send, at, keep }: Choice, now = Date.now()): Timing | undefined {
  const time = send === "at" ? new Date(at).getTime() : SEND[send]!.at(now);
  const keepMs = KEEP[keep]!.ms;
  if (time === undefined && keepMs === undefined) return undefined;
  return { ...(time !== undefined && { at: time }), ...(keepMs !== undefined && { keepMs }) };
}

/** Reports whether the time that the user has chosen is one to come, or now. */
export const isToCome = ({ send, at }: Choice, now = Date.now()): boolean =>
  send !== "at" || new Date(at).getTime() > now;

/** Returns a time as the value of an input for a date and a time in the local time zone. */
export function toInput(time: number): string {
  const { year, month, day, hour, minute } = Object.fromEntries(
    parts.formatToParts(time).map(({ type, value }) => [type, value]),
  );
  return `${year}-${month}-${day}T${hour}:${minute}`;
}

const parts = new Intl.DateTimeFormat("en", {
  year: "numeric",
  month: "2-digit",
  day: "2-digit",
  hour: "2-digit",
  minute: "2-digit",
  hourCycle: "h23",
});

function tomorrow(now: number, hour: number): number {
  const date = new Date(now);
  return new Date(date.getFullYear(), date.getMonth(), date.getDate() + 1, hour).getTime();
}
