import type { Link, Transport } from "./websocket.js";

/** Creates a transport whose code is loaded at each dial. If that fails, the link ends like one that could not be opened. */
export function lazyTransport(load: () => Promise<Transport>): Transport {
  return (base, events) => {
    let link: Link | undefined;
    let closed = false;
    load()
      .then((transport) => {
        if (!closed) link = transport(base, events);
      })
      .catch((error: unknown) => events.end(`could not load the code for HTTP: ${error}`));
    return {
      send: (frame) => link?.send(frame),
      close() {
        closed = true;
        link?.close();
      },
    };
  };
}
