// What the specs start from: a server of the test's own, a proxy before it, and
// people, each with a browser context.

import { test as base, type Browser, expect, type Page } from "@playwright/test";
import { Proxy } from "./proxy";
import { Server } from "./server";

interface Fixtures {
  /** Where the server keeps its actors: the default, if a file does not use another. */
  store: "sqlite" | "memory";
  /** The real binary, for this test alone. */
  server: Server;
  /** A proxy before the server, whose links can be broken. */
  link: Proxy;
  /** Opens a page in a browser context of its own: another person. */
  visit: (url: string, options?: VisitOptions) => Promise<Page>;
}

type VisitOptions = Parameters<Browser["newContext"]>[0] & {
  /** What the page finds in its sessionStorage. */
  session?: Record<string, unknown>;
};

/** Of a test that runs in all browsers that are found; make test-browsers runs all of them so. */
export const everywhere = { tag: "@everywhere" };

/** What Firefox reports like an error of the page when a WebSocket breaks. */
const brokenLink = /Firefox can’t establish a connection to the server at wss?:|The connection to wss?:\S+ was interrupted/;

const frames = new WeakMap<Page, string[]>();
const logs = new WeakMap<Page, string[]>();

/** Every frame that a page opened with visit has received on WebSockets. */
export const received = (page: Page): readonly string[] => frames.get(page) ?? [];

/** Everything that a page opened with visit has written on the console. */
export const logged = (page: Page): readonly string[] => logs.get(page) ?? [];

export const test = base.extend<Fixtures>({
  store: ["sqlite", { option: true }],

  server: async ({ store }, provide) => {
    const server = new Server(store);
    await server.start();
    await provide(server);
    const status = await server.stop();
    server.remove();
    expect(status, `exit status of the server, which logged:\n${server.log}`).toBe(0);
  },

  link: async ({ server }, provide) => {
    const link = new Proxy(() => server.port);
    await link.start();
    await provide(link);
    await link.close();
  },

  visit: async ({ browser, browserName }, provide) => {
    const contexts: { close(): Promise<void> }[] = [];
    const faults: string[] = [];
    await provide(async (url, { session = {}, isMobile, ...options } = {}) => {
      // Firefox has small and touched windows, but no mobile ones.
      const context = await browser.newContext(browserName === "firefox" ? options : { isMobile, ...options });
      contexts.push(context);
      const got: string[] = [];
      await context.exposeFunction("frameReceived", (data: string) => got.push(data));
      await context.addInitScript(tellFrames);
      await context.addInitScript((items) => {
        if (origin === "null") return; // about:blank has none, and Firefox runs this there, too
        for (const [key, value] of Object.entries(items)) sessionStorage.setItem(key, JSON.stringify(value));
      }, session);
      const said: string[] = [];
      const page = await context.newPage();
      frames.set(page, got);
      logs.set(page, said);
      page.on("console", (message) => {
        if (String(message.type()) !== "timeStamp") said.push(message.text()); // React leaves some, and Firefox tells
      });
      page.on("pageerror", (error) => {
        if (!brokenLink.test(String(error))) faults.push(String(error));
      });
      await page.goto(url);
      return page;
    });
    for (const context of contexts) await context.close();
    expect(faults, "uncaught errors in pages").toEqual([]);
  },
});

/** Runs in pages: Playwright itself sees no frames over WebDriver BiDi. */
function tellFrames(): void {
  const { frameReceived } = window as unknown as { frameReceived?: (data: unknown) => void };
  window.WebSocket = class extends WebSocket {
    constructor(...args: ConstructorParameters<typeof WebSocket>) {
      super(...args);
      this.addEventListener("message", ({ data }) => frameReceived?.(data));
    }
  };
}

/** The browser notices that there is a network again, and need not wait for its next attempt. */
export async function online(page: Page): Promise<void> {
  await page.evaluate(() => window.dispatchEvent(new Event("online")));
}

/** Shows a page of the test's own on the server's origin: HTML without a build. */
export async function plainPage(page: Page, url: string, html: string): Promise<void> {
  await page.goto(`${url}/healthz`); // any page of that origin
  await page.setContent(html);
}

export { expect };
