// Components share connections, and must not remove each other's listeners. Does not depend on React.
import type { Connection } from "@troupe/client";

type Handler = (data: never) => void;

interface Listener {
  name: string;
  handler: Handler;
  remove: () => void;
}

/**
 * Returns a component's own view of a shared connection: `off()` removes only listeners that were added through it,
 * and so does `dispose()`, because other components may still use the connection.
 */
export function createView(shared: Connection): Connection {
  let listeners: Listener[] = [];
  const off = (name?: string, handler?: Handler) => {
    const isMeant = (l: Listener) => (name ?? l.name) === l.name && (handler ?? l.handler) === l.handler;
    for (const { remove } of listeners.filter(isMeant)) remove();
  };
  const view = (connection: Connection): Connection => {
    const add = (once: boolean) => (name: string, handler: Handler) => {
      const handleOnce = (data: never) => {
        listener.remove();
        handler(data);
      };
      const isOnce = once && typeof handler === "function"; // else `on` throws
      const removeShared = connection.on(name, (isOnce ? handleOnce : handler) as never);
      const listener: Listener = {
        name,
        handler,
        remove() {
          removeShared();
          listeners = listeners.filter((l) => l !== listener);
        },
      };
      listeners.push(listener);
      return listener.remove;
    };
    const members: Record<string | symbol, unknown> = {
      on: add(false),
      once: add(true),
      off,
      dispose: () => off(),
      withOptions: (...args: Parameters<Connection["withOptions"]>) => view(connection.withOptions(...args)),
    };
    return new Proxy(connection, {
      get: (target, name) => (Object.hasOwn(members, name) ? members[name] : Reflect.get(target, name)),
    });
  };
  return view(shared);
}
