// Components share connections, and must not remove each other's listeners. Does not depend on React.
import type { Connection } from "@troupe/client";

type Handler = (data: never) => void;

/**
 * Returns a component's own view of a shared connection: `off()` removes only listeners that were added through it,
 * and so does `dispose()`, because other components may still use the connection.
 */
export function createView(shared: Connection): Connection {
  let listeners: Array<[name: string, handler: Handler, remove: () => void]> = [];
  const off = (name?: string, handler?: Handler) => {
    for (const [n, h, remove] of listeners) if ((name ?? n) === n && (handler ?? h) === h) remove();
  };
  const view = (connection: Connection): Connection => {
    const add = (once?: boolean) => (name: string, handler: Handler) => {
      const handleOnce = (data: never) => {
        remove();
        handler(data);
      };
      const isOnce = once && typeof handler === "function"; // else `on` throws
      const removeShared = connection.on(name, (isOnce ? handleOnce : handler) as never);
      const remove = () => {
        removeShared();
        listeners = listeners.filter((l) => l[2] !== remove);
      };
      listeners.push([name, handler, remove]);
      return remove;
    };
    const members: Record<string | symbol, unknown> = {
      on: add(),
      once: add(true),
      off,
      dispose: () => off(),
      withOptions: (...args: Parameters<Connection["withOptions"]>) => view(connection.withOptions(...args)),
    };
    return new Proxy(connection, {
      get: (target, name) => (Object.hasOwn(members, name) ? members[name] : target[name as string]),
    });
  };
  return view(shared);
}
