// Components share connections, and must not remove each other's listeners. Does not depend on React.
import type { CallOptions, Connection } from "@troupe/client";

type Handler = (data: never) => void;

/**
 * Returns a component's own view of a shared connection: `off()` removes only listeners that were added through it,
 * and so does `dispose()`, because other components may still use the connection.
 */
export function createView(shared: Connection): Connection {
  const listeners = new Map<() => void, [name: string, handler: Handler]>();
  const off = (name?: string, handler?: Handler) => {
    for (const [remove, [n, h]] of listeners) if ((name ?? n) === n && (handler ?? h) === h) remove();
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
        listeners.delete(remove);
      };
      listeners.set(remove, [name, handler]);
      return remove;
    };
    return {
      __proto__: connection, // which has everything else
      on: add(),
      once: add(true),
      off,
      dispose: () => off(),
      withOptions: (options: CallOptions) => view(connection.withOptions(options)),
    } as unknown as Connection;
  };
  return view(shared);
}
