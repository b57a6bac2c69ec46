/** `1 message`, `3 messages`; `1 person`, `3 people`. */
export function count(n: number, noun: string, plural = `${noun}s`): string {
  return `${n} ${n === 1 ? noun : plural}`;
}

const time = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const day = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });

export const formatTime = (timestamp: number): string => time.format(timestamp);
export const formatDay = (timestamp: number): string => day.format(timestamp);

const dateAndTime = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

/** Whether two moments are on one day, where the reader is. */
export const isSameDay = (a: number, b: number): boolean => new Date(a).toDateString() === new Date(b).toDateString();

/** The time of what is from today, date and time of what is older. */
export const formatWhen = (timestamp: number): string => (isSameDay(timestamp, Date.now()) ? time : dateAndTime).format(timestamp);
