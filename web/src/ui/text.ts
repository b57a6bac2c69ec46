/** `1 message`, `3 messages`; `1 person`, `3 people`. */
export function count(n: number, noun: string, plural = `${noun}s`): string {
  return `${n} ${n === 1 ? noun : plural}`;
}

const time = new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit" });
const day = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });

export const formatTime = (timestamp: number): string => time.format(timestamp);
export const formatDay = (timestamp: number): string => day.format(timestamp);

const dateAndTime = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

/** Reports whether two times are on the same day in the local time zone. */
export const isSameDay = (a: number, b: number): boolean => new Date(a).toDateString() === new Date(b).toDateString();

/** Formats the time; with the date if it is not today. */
export const formatWhen = (timestamp: number): string =>
  (isSameDay(timestamp, Date.now()) ? time : dateAndTime).format(timestamp);
