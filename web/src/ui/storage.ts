// What the page remembers. A browser may refuse storage; then it is forgotten
// with the page.

export function read<T>(key: string, fallback: T, storage: () => Storage = () => localStorage): T {
  try {
    const stored = storage().getItem(key);
    return stored === null ? fallback : (JSON.parse(stored) as T);
  } catch {
    return fallback;
  }
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
