// A TCP proxy before the server, whose links can really break. (A browser's
// offline mode leaves an open WebSocket open.)

import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

export class Proxy {
  #pairs = new Set<{ browser: Socket; server: Socket }>();
  #state: "pass" | "refuse" | "swallow" = "pass";
  #listener = createServer((browser) => this.#accept(browser));
  #port = 0;

  constructor(readonly target: () => number) {}

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  async start(): Promise<void> {
    this.#listener.listen(0, "127.0.0.1");
    await once(this.#listener, "listening");
    this.#port = (this.#listener.address() as AddressInfo).port;
  }

  /** Breaks all links with a reset. New ones get through. */
  cut(): void {
    for (const { browser, server } of this.#pairs) {
      browser.resetAndDestroy();
      server.resetAndDestroy();
    }
  }

  /** Breaks all links and resets new ones, until pass(). */
  refuse(): void {
    this.#state = "refuse";
    this.cut();
  }

  /** Lets nothing through any more, on old links and new ones, and tells nobody, until pass(). */
  blackHole(): void {
    this.#state = "swallow";
    for (const { browser, server } of this.#pairs) {
      browser.pause();
      server.pause();
    }
  }

  /** Lets new links through again; those in the black hole break. */
  pass(): void {
    if (this.#state === "swallow") this.cut();
    this.#state = "pass";
  }

  async close(): Promise<void> {
    this.cut();
    this.#listener.close();
    await once(this.#listener, "close");
  }

  #accept(browser: Socket): void {
    browser.on("error", ignore);
    if (this.#state === "refuse") {
      browser.resetAndDestroy();
      return;
    }
    const server = connect(this.target(), "127.0.0.1");
    server.on("error", ignore);
    const pair = { browser, server };
    this.#pairs.add(pair);
    for (const socket of [browser, server]) {
      socket.on("close", () => {
        this.#pairs.delete(pair);
        browser.destroy();
        server.destroy();
      });
    }
    browser.pipe(server);
    server.pipe(browser);
    if (this.#state === "swallow") {
      browser.pause();
      server.pause();
    }
  }
}

// A broken link is what this proxy is for; "close" follows and tidies up.
function ignore(): void {}
