import { useState } from "react";
import { post } from "./api";

/** Sends changes: whether one is under way, and why the last one failed. */
export function useSend() {
  const [sending, setSending] = useState(false);
  const [error, setError] = useState("");
  const send = async <T>(path: string, body: unknown): Promise<T | undefined> => {
    setSending(true);
    setError("");
    try {
      return await post<T>(path, body);
    } catch (e) {
      setError((e as Error).message);
      return undefined;
    } finally {
      setSending(false);
    }
  };
  return { send, sending, error, setError };
}
