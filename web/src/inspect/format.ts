const whole = new Intl.NumberFormat(undefined, { maximumFractionDigits: 0 });
const compact = new Intl.NumberFormat(undefined, { notation: "compact", maximumSignificantDigits: 3 });
const few = new Intl.NumberFormat(undefined, { maximumSignificantDigits: 3 });

/** `12`, `1,234`, `12.3K`. */
export const number = (n: number): string =>
  n >= 10_000 ? compact.format(n) : n >= 100 ? whole.format(n) : few.format(n);

/** `812 B`, `1.2 KB`, `64 MB`. */
export function bytes(n: number): string {
  const units = ["B", "KB", "MB", "GB", "TB"];
  let unit = 0;
  for (; n >= 1000 && unit < units.length - 1; unit++) n /= 1024;
  return `${few.format(n)} ${units[unit]}`;
}

/** `12 µs`, `1.4 ms`, `2.1 s`. */
export function duration(ms: number): string {
  if (ms >= 1000) return `${few.format(ms / 1000)} s`;
  if (ms >= 1) return `${few.format(ms)} ms`;
  return `${few.format(ms * 1000)} µs`;
}

const clock = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
});
const dateAndTime = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

/** `14:03:59`; with the date if it is not today. */
export const time = (ms: number): string =>
  new Date(ms).toDateString() === new Date().toDateString() ? clock.format(ms) : dateAndTime.format(ms);

/** `3 s ago`, `in 2 min`. */
export function ago(ms: number, now: number): string {
  const s = Math.round((now - ms) / 1000);
  if (s < 0) return `in ${span(-s)}`;
  return s < 1 ? "now" : `${span(s)} ago`;
}

function span(s: number): string {
  if (s < 90) return `${s} s`;
  if (s < 90 * 60) return `${Math.round(s / 60)} min`;
  if (s < 36 * 3600) return `${Math.round(s / 3600)} h`;
  return `${Math.round(s / 86_400)} d`;
}

/** A key as people write it: `general`, or `["team", "7"]` if it has not one component. */
export const keyText = (key: readonly string[]): string => (key.length === 1 ? key[0]! : JSON.stringify(key));
