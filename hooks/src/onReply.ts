import type { Connection } from "@troupe/client";

/** Wraps a connection: onReply is called when a call was answered, before any later event. */
export function withOnReply(connection: Connection, onReply: () => void): Connection {
  return new Proxy(connection, {
    get(target, name) {
      const value: unknown = target[name as string];
      if (typeof value !== "function") return value;
      return (...args: unknown[]) => {
        const result = value(...args);
        return name === "withOptions" ? withOnReply(result, onReply) : (result?.finally?.(onReply) ?? result);
      };
    },
  });
}
