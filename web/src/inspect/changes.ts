/** Adds the paths of all values that differ between two JSON values, such as `players.ada.x`, to a set. */
export function changedPaths(before: unknown, after: unknown, path = "", changed = new Set<string>()): Set<string> {
  if (Object.is(before, after)) return changed;
  if (isBranch(before) && isBranch(after) && Array.isArray(before) === Array.isArray(after)) {
    const old = before as Record<string, unknown>;
    for (const [key, value] of Object.entries(after)) {
      if (key in old) changedPaths(old[key], value, join(path, key), changed);
      else changed.add(join(path, key));
    }
    // What is gone shows in what had it.
    if (Object.keys(old).some((key) => !(key in after))) changed.add(path);
    return changed;
  }
  return changed.add(path);
}

export const isBranch = (value: unknown): value is object => typeof value === "object" && value !== null;

/** The path of a member. Dots in names do not matter: a path is only compared. */
export const join = (path: string, key: string | number): string => `${path}.${key}`;
