// What the hooks use of React: one import in a bundle instead of one per hook.
import { useInsertionEffect, useRef, type RefObject } from "react";

export { useCallback, useEffect, useMemo, useState, useSyncExternalStore } from "react";

/** Returns a ref to the value of the latest render. Effects and event handlers may read it. */
export function useLatest<T>(value: T): RefObject<T> {
  const latest = useRef(value);
  useInsertionEffect(() => {
    latest.current = value;
  });
  return latest;
}
