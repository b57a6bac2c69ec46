// What the hooks use of React: one import in a bundle instead of one per hook.
import {
  type RefObject,
  useCallback,
  useEffect,
  useInsertionEffect,
  useMemo,
  useRef,
  useState,
  useSyncExternalStore,
} from "react";

export { useCallback, useEffect, useMemo, useState, useSyncExternalStore };

/** Returns a ref to the value of the latest render. Effects and event handlers may read it. */
export function useLatest<T>(value: T): RefObject<T> {
  const latest = useRef(value);
  useInsertionEffect(() => {
    latest.current = value;
  });
  return latest;
}
