// A TCP proxy in front of the server, whose links can really break. (The offline mode of
// browsers does not close an open WebSocket.)

import { createHash } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** How a link delivers bytes, in both directions. */
export interface Shape {
  latencyMs?: number;
  /** Random additional delay, up to this. */
  jitterMs?: number;
  bytesPerSecond?: number;
  /** Bytes arrive in pieces of this size. */
  sliceBytes?: number;
}

/** Bytes that a link buffers in one direction before it stops reading. */
const MAX_HELD = 256 << 10;

export class Proxy {
  /** The shape of all links, including open ones. */
  shape: Shape = {};
  /** What happens to new WebSockets: refused, closed right after the upgrade, or no response. Other requests work. */
  upgrades: "pass" | "refuse" | "close" | "swallow" = "pass";
  #suspects = new Set<Socket>();
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

  /** Resets all links. New ones work. */
  cut(): void {
    for (const { browser, server } of this.#pairs) {
      browser.resetAndDestroy();
      server.resetAndDestroy();
    }
    for (const browser of this.#suspects) browser.resetAndDestroy();
  }

  /** Silently drops everything on the links that are open. New ones work. */
  halfOpen(): void {
    for (const { browser, server } of this.#pairs) {
      for (const end of [browser, server]) end.removeAllListeners("data").pause();
    }
  }

  /** Resets all links, and new ones, until pass(). */
  refuse(): void {
    this.#state = "refuse";
    this.cut();
  }

  /** Silently drops everything on all links, old and new, until pass(). */
  blackHole(): void {
    this.#state = "swallow";
    for (const { browser, server } of this.#pairs) {
      browser.pause();
      server.pause();
    }
  }

  /** Lets new links work again; black-holed ones break. */
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
    if (this.upgrades === "pass") return this.#join(browser);
    this.#suspects.add(browser);
    browser.on("close", () => this.#suspects.delete(browser));
    browser.once("readable", () => {
      const head = browser.read() as Buffer | null;
      if (!head) return;
      const key = /^sec-websocket-key: (.*)\r$/im.exec(head.toString("latin1"))?.[1];
      if (!key) {
        this.#suspects.delete(browser);
        browser.unshift(head);
        this.#join(browser);
      } else if (this.upgrades === "refuse") {
        browser.end("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
      } else if (this.upgrades === "close") {
        const accept = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
        browser.end(
          `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
        );
      }
    });
  }

  #join(browser: Socket): void {
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

  /** Forwards bytes from one end to the other, in order, delayed as the shape says. */
  #relay(from: Socket, to: Socket): void {
    const pieces: { data: Buffer; due: number }[] = [];
    let held = 0;
    let due = 0;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let ended = false;
    const flow = () => {
      if (held >= MAX_HELD || to.writableLength >= MAX_HELD) from.pause();
      else if (this.#state !== "swallow") from.resume();
    };
    // One timer at a time, because several could fire out of order.
    const pass = () => {
      timer = undefined;
      while (pieces[0] && pieces[0].due <= Date.now()) {
        const { data } = pieces.shift()!;
        held -= data.length;
        if (this.#state !== "swallow" && to.writable) to.write(data);
      }
      if (pieces[0]) timer = setTimeout(pass, pieces[0].due - Date.now());
      else if (ended) to.end();
      flow();
    };
    from.on("data", (all: Buffer) => {
      const { latencyMs = 0, jitterMs = 0, bytesPerSecond = Infinity, sliceBytes = all.length } = this.shape;
      for (let at = 0; at < all.length; at += sliceBytes) {
        const data = all.subarray(at, at + sliceBytes);
        due = Math.max(due, Date.now() + latencyMs + Math.random() * jitterMs) + (1000 * data.length) / bytesPerSecond;
        pieces.push({ data, due });
        held += data.length;
      }
      if (!timer) pass();
      flow();
    });
    to.on("drain", flow);
    from.on("end", () => {
      ended = true;
      if (!timer) pass();
    });
    from.on("close", () => clearTimeout(timer));
  }
}

// Broken links are expected; the handler of "close" cleans up.
function ignore(): void {}
