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
      // on() throws if the handler is no function.
      const removeShared = connection.on(name, (once && typeof handler === "function" ? handleOnce : handler) as never);
      const remove = () => {
        removeShared();
        listeners = listeners.filter((l) => l[2] !== remove);
      };
      listeners.push([name, handler, remove]);
      return remove;
    };
    const members: Record<string | symbol, unknown> & Pick<Connection, "withOptions"> = {
      on: add(),
      once: add(true),
      off,
      dispose: () => off(),
      withOptions: (options) => view(connection.withOptions(options)),
    };
    return new Proxy(connection, {
      get: (target, name) => (Object.hasOwn(members, name) ? members[name] : target[name as string]),
    });
  };
  return view(shared);
}
