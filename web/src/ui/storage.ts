// What the page remembers. A browser may refuse storage; then it is forgotten
// with the page.

/** What was stored; the fallback if that is nothing, or not of the same form. */
export function read<T>(key: string, fallback: T, storage: () => Storage = () => localStorage): T {
  try {
    const stored: unknown = JSON.parse(storage().getItem(key) ?? "null");
    return isLike(stored, fallback) ? stored : fallback;
  } catch {
    return fallback;
  }
}

/** Whether a value has the types of another: in every field that it has, in every item. */
function isLike<T>(value: unknown, other: T): value is T {
  if (typeof value !== typeof other || Array.isArray(value) !== Array.isArray(other)) return false;
  if (Array.isArray(other)) return !other.length || (value as unknown[]).every((item) => isLike(item, other[0]));
  if (typeof value !== "object" || !value || !other) return value !== null;
  return Object.entries(other).every(([field, like]) => isLike((value as Record<string, unknown>)[field], like));
}

export function write(key: string, value: unknown, storage: () => Storage = () => localStorage): void {
  try {
    storage().setItem(key, JSON.stringify(value));
  } catch {
    // refused, or full
  }
}

/** A random id. Unlike crypto.randomUUID it works on plain HTTP too. */
export function randomId(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
