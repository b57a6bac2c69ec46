// The fixtures of the specs: a server for each test, a proxy in front of it, and people,
// each with a browser context.

import { test as base, type Browser, type BrowserContext, expect, type Page } from "@playwright/test";
import { Proxy } from "./proxy";
import { Server } from "./server";

interface Fixtures {
  /** The server's store: the default, unless a file uses another. */
  store: "sqlite" | "memory";
  /** The real binary, started for this test. */
  server: Server;
  /** A proxy in front of the server, whose links can be broken. */
  link: Proxy;
  /** Opens a page in a new browser context, as another person. */
  visit: (url: string, options?: VisitOptions) => Promise<Page>;
}

type VisitOptions = Parameters<Browser["newContext"]>[0] & {
  /** Initial entries of the page's sessionStorage. */
  session?: Record<string, unknown>;
};

/** Marks a test that runs in all browsers that are found; make test-browsers runs all tests in all of them. */
export const everywhere = { tag: "@everywhere" };

/** Firefox reports a broken WebSocket or stream as an error of the page. */
const brokenLink =
  /Firefox can’t establish a connection to the server at (ws|http)s?:|The connection to wss?:\S+ was interrupted/;

const frames = new WeakMap<Page, string[]>();
const logs = new WeakMap<Page, string[]>();

/** Every frame that a page opened by visit has received on WebSockets. */
export const received = (page: Page): readonly string[] => frames.get(page) ?? [];

/** Everything that a page opened by visit has written to the console. */
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
    const contexts: BrowserContext[] = [];
    const faults: string[] = [];
    await provide(async (url, { session = {}, isMobile, ...options } = {}) => {
      // Firefox has small windows and touch, but no mobile emulation.
      const context = await browser.newContext(browserName === "firefox" ? options : { isMobile, ...options });
      contexts.push(context);
      const got: string[] = [];
      await context.exposeFunction("frameReceived", (data: string) => got.push(data));
      await context.addInitScript(tellFrames);
      await context.addInitScript((items) => {
        if (origin === "null") return; // about:blank has no origin, and Firefox runs this there, too
        for (const [key, value] of Object.entries(items)) sessionStorage.setItem(key, JSON.stringify(value));
      }, session);
      const said: string[] = [];
      const page = await context.newPage();
      frames.set(page, got);
      logs.set(page, said);
      page.on("console", (message) => {
        if (String(message.type()) !== "timeStamp") said.push(message.text()); // React writes some, and Firefox reports them
      });
      page.on("pageerror", (error) => {
        if (!brokenLink.test(String(error))) faults.push(String(error));
      });
      await page.goto(url);
      return page;
    });
    for (const context of contexts) {
      // A page may still ask something whose handler fails once the page is gone.
      for (const routed of [context, ...context.pages()]) await routed.unrouteAll({ behavior: "ignoreErrors" });
      await context.close();
    }
    expect(faults, "uncaught errors in pages").toEqual([]);
  },
});

/** Runs in pages, because Playwright sees no frames over WebDriver BiDi. */
function tellFrames(): void {
  const { frameReceived } = window as unknown as { frameReceived?: (data: unknown) => void };
  window.WebSocket = class extends WebSocket {
    constructor(...args: ConstructorParameters<typeof WebSocket>) {
      super(...args);
      this.addEventListener("message", ({ data }) => frameReceived?.(data));
    }
  };
}

/** Tells the page that it is online, so that it does not wait for its next attempt. */
export async function online(page: Page): Promise<void> {
  await page.evaluate(() => window.dispatchEvent(new Event("online")));
}

/** Stops the page's clock: however slow the machine is, no timer of the page ends meanwhile. */
export async function stopClock(page: Page): Promise<void> {
  await page.clock.install();
  await page.clock.pauseAt(Date.now() + 60_000);
}

/** Shows HTML without a build on the server's origin. */
export async function plainPage(page: Page, url: string, html: string): Promise<void> {
  await page.goto(`${url}/healthz`); // any page of that origin
  await page.setContent(html);
}

export { expect };
