import { useState } from "react";
import { read, write } from "./storage";

/** State that survives a reload. */
export function useStored<T>(key: string, initial: T): [T, (value: T) => void] {
  const [value, setValue] = useState(() => read(key, initial));
  return [
    value,
    (next) => {
      write(key, next);
      setValue(next);
    },
  ];
}
