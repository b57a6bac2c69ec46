import { limited } from "./callOptions.js";
import { now } from "./clock.js";
import { abandonedError, errorFrom } from "./errors.js";
import type { Http } from "./http.js";
import { byteLength } from "./limits.js";
import { HTTP_VERSION } from "./timing.js";
import type { ClientOptions } from "./types.js";

/**
 * Returns a function that loads what only HTTP needs, which most pages never do. It rejects if that fails,
 * for example while the network is down, or because a deployment has replaced the page's files, and tries again when
 * it is next called. Some browsers do not load a file again that they once failed to load; a page of the
 * server, whose base is given, has another address to try.
 */
export function createLoader(options: ClientOptions, base: (() => string) | undefined): () => Promise<Http> {
  let http: Http | undefined;
  const load = async () => {
    const { createHttp, version } = await import("./http.js").catch((error: unknown) => {
      if (!base) throw error;
      const address = `${base()}/lib/http.js?${Date.now()}`;
      return import(/* @vite-ignore */ /* webpackIgnore: true */ address) as Promise<typeof import("./http.js")>;
    });
    if (version !== HTTP_VERSION) throw new Error("the server has a newer client: reload the page");
    return createHttp(options, { errorFrom, abandonedError, limited, byteLength, now });
  };
  // A load that hangs is not kept: the next call tries again.
  return async () => (http ??= await load());
}
