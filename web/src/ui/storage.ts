// Values that survive a reload. If the browser refuses storage, they are lost with
// the page.

/** Returns the stored value, or the fallback if there is none or its type differs from the fallback's. */
export function read<T>(key: string, fallback: T, storage: () => Storage = () => localStorage): T {
  try {
    const stored: unknown = JSON.parse(storage().getItem(key) ?? "null");
    return isLike(stored, fallback) ? stored : fallback;
  } catch {
    return fallback;
  }
}

/** Reports whether a value has the same type as another, in every field of the other and in every item. */
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
    // storage is refused or full
  }
}

/** Returns a random id. Unlike crypto.randomUUID, this also works on plain HTTP. */
export function randomId(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
