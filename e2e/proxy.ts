// A TCP proxy before the server, whose links can really break. (A browser's
// offline mode leaves an open WebSocket open.)

import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** What a link does to bytes, in both directions. */
export interface Shape {
  latencyMs?: number;
  /** Up to so much later than latencyMs. */
  jitterMs?: number;
  bytesPerSecond?: number;
  /** Bytes arrive in pieces of this size. */
  sliceBytes?: number;
}

/** What a link holds back of one direction before it stops reading. */
const MAX_HELD = 256 << 10;

export class Proxy {
  /** How links are, also those that are open. */
  shape: Shape = {};
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
    this.#relay(browser, server);
    this.#relay(server, browser);
    if (this.#state === "swallow") {
      browser.pause();
      server.pause();
    }
  }

  /** Passes on what comes from one end, in order, when the shape says so. */
  #relay(from: Socket, to: Socket): void {
    let due = 0;
    let held = 0;
    let ended = false;
    const pass = (piece: Buffer) => {
      held -= piece.length;
      if (to.destroyed || this.#state === "swallow") return;
      to.write(piece);
      if (held === 0 && ended) to.end();
      resume();
    };
    const full = () => held >= MAX_HELD || to.writableLength >= MAX_HELD;
    const resume = () => {
      if (!full() && this.#state !== "swallow") from.resume();
    };
    to.on("drain", resume);
    from.on("data", (data: Buffer) => {
      const { latencyMs = 0, jitterMs = 0, bytesPerSecond = Infinity, sliceBytes = data.length } = this.shape;
      for (let at = 0; at < data.length; at += sliceBytes) {
        const piece = data.subarray(at, at + sliceBytes);
        const now = Date.now();
        held += piece.length;
        due = Math.max(due, now + latencyMs + Math.random() * jitterMs) + (1000 * piece.length) / bytesPerSecond;
        if (held === piece.length && due <= now) pass(piece);
        else setTimeout(pass, due - now, piece);
      }
      if (full()) from.pause();
    });
    from.on("end", () => {
      ended = true;
      if (held === 0) to.end();
    });
  }
}

// A broken link is what this proxy is for; "close" follows and tidies up.
function ignore(): void {}
