import { useEffect, useState } from "react";

/** Returns whether a value has been true for at least ms milliseconds. */
export function useTrueFor(value: boolean, ms: number): boolean {
  const [stable, setStable] = useState(false);
  useEffect(() => {
    if (!value) return;
    const timer = setTimeout(setStable, ms, true);
    return () => {
      clearTimeout(timer);
      setStable(false);
    };
  }, [value, ms]);
  return value && stable;
}
