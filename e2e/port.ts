// A port for servers that have to be told theirs.

import { once } from "node:events";
import { createServer } from "node:net";

/**
 * Returns a port on which nobody listens. It is none of those that systems choose for port 0
 * and for connections (from 32768 on Linux, from 49152 elsewhere), so that nobody is given it
 * before its user listens, nor one that browsers refuse (the highest is 10080).
 */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < 100; tries++) {
    const port = 11_000 + Math.floor(Math.random() * 20_000);
    const probe = createServer();
    try {
      await once(probe.listen(port, "127.0.0.1"), "listening");
    } catch {
      continue;
    }
    await once(probe.close(), "close");
    return port;
  }
  throw new Error("no port is free");
}
