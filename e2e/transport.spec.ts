// Where WebSockets are blocked, in three ways, a page uses HTTP with the same connection
// and position. And a link that died unnoticed is replaced.

import type { Page } from "@playwright/test";
import { Chat } from "./chat";
import { everywhere, expect, plainPage, received, test } from "./fixtures";
import type { Server } from "./server";

/** A page that shows when it connected, its events and its lifecycle events. */
const listener = `<!doctype html><title>listener</title><script type="module">
  import { createClient } from "/lib/client.js";
  window.heard = [];
  window.life = [];
  const begin = performance.now();
  const connection = createClient().chatRoom.getOrCreate(["general"]).connect({ userId: "listener" });
  connection.on("messageReceived", (message) => {
    window.heard.push(message.text);
    window.heardAt = Date.now();
  });
  connection.on("connected", () => (window.connectedMs = performance.now() - begin));
  connection.on("disconnected", () => window.life.push("disconnected"));
  connection.on("reconnected", ({ recovered }) => window.life.push("reconnected " + recovered));
  window.say = (text) => connection.sendMessage("listener", text);
</script>`;

declare global {
  interface Window {
    heard: string[];
    heardAt: number;
    connectedMs: number;
  }
}

const heard = (page: Page) => page.evaluate(() => window.heard);
const life = (page: Page) => page.evaluate(() => window.life);

/** Loads the page and returns how long it took to connect. */
async function listen(page: Page, url: string): Promise<number> {
  await plainPage(page, url, listener);
  await expect.poll(() => page.evaluate(() => window.connectedMs), { timeout: 20_000 }).toBeGreaterThan(0);
  return page.evaluate(() => window.connectedMs);
}

/** Sends a message directly to the server, not through the proxy. */
async function say(server: Server, text: string): Promise<void> {
  const response = await fetch(`${server.url}/api/actors/chatRoom/actions/sendMessage?key=general`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ args: ["speaker", text] }),
  });
  expect(response.status, await response.text()).toBe(200);
}

for (const way of ["refuse", "close", "swallow"] as const) {
  test(`connects within 5 s where WebSocket upgrades get: ${way}`, everywhere, async ({ server, link, visit }) => {
    link.upgrades = way;
    const page = await visit(`${link.url}/healthz`);
    expect(await listen(page, link.url)).toBeLessThan(5_000);
    await page.evaluate(() => window.say("a call over HTTP"));
    await say(server, "an event");
    await expect.poll(() => heard(page)).toEqual(["a call over HTTP", "an event"]);
    // Over HTTP, too, a broken link loses no event.
    link.cut();
    await say(server, "said meanwhile");
    await expect.poll(() => heard(page)).toEqual(["a call over HTTP", "an event", "said meanwhile"]);
    expect(new Set(await life(page))).toEqual(new Set(["disconnected", "reconnected true"]));
    expect(received(page), "frames over a WebSocket").toEqual([]);
  });
}

test("a page that cannot load its code for HTTP tries another address of it", everywhere, async ({ link, visit }) => {
  link.upgrades = "refuse";
  const page = await visit(`${link.url}/healthz`);
  await page.route("**/lib/http.js", (route) => route.abort());
  await listen(page, link.url);
  await page.evaluate(() => window.say("not lost"));
  await expect.poll(() => heard(page)).toEqual(["not lost"]);
});

test("our own page loads its code for HTTP below its policy", everywhere, async ({ link, visit }) => {
  link.upgrades = "refuse";
  const chat = await new Chat(await visit(`${link.url}/chat/general`)).join("Ada");
  await chat.said("over HTTP");
  await expect(chat.texts).toHaveText(["over HTTP"]);
  expect(received(chat.page), "frames over a WebSocket").toEqual([]);
});

test(
  "G3: a connection switches to HTTP when WebSockets become blocked",
  everywhere,
  async ({ server, link, visit }) => {
    const page = await visit(`${link.url}/healthz`);
    await listen(page, link.url);
    await say(server, "over a WebSocket");
    await expect.poll(() => heard(page)).toHaveLength(1);
    const frames = received(page).length;
    expect(frames).toBeGreaterThan(0);
    link.upgrades = "refuse";
    link.cut();
    await say(server, "over HTTP");
    await page.evaluate(() => window.say("and back"));
    await expect.poll(() => heard(page)).toEqual(["over a WebSocket", "over HTTP", "and back"]);
    expect(new Set(await life(page))).toEqual(new Set(["disconnected", "reconnected true"]));
    expect(received(page)).toHaveLength(frames);
  },
);

test("of 12 tabs over HTTP/1.1 four have a stream, and others take over from closed tabs", async ({
  server,
  link,
  browser,
}) => {
  test.slow(); // 12 pages on a busy machine
  link.upgrades = "refuse";
  const context = await browser.newContext();
  const tabs: Page[] = [];
  for (let i = 0; i < 12; i++) {
    const tab = await context.newPage();
    tabs.push(tab);
    await listen(tab, link.url);
  }
  const slots = (tab: Page) =>
    tab.evaluate(
      async () => (await navigator.locks.query()).held!.filter(({ name }) => name!.startsWith("troupe ")).length,
    );
  expect(await slots(tabs[11]!)).toBe(4);
  await say(server, "to all");
  for (const tab of tabs) await expect.poll(() => heard(tab)).toEqual(["to all"]);
  // The first tabs have the streams.
  for (const tab of tabs.splice(0, 4)) await tab.close();
  const begin = Date.now();
  await say(server, "to the rest");
  for (const tab of tabs) await expect.poll(() => heard(tab)).toEqual(["to all", "to the rest"]);
  await expect.poll(() => slots(tabs[7]!)).toBe(4);
  for (const tab of tabs) {
    expect((await tab.evaluate(() => window.heardAt)) - begin).toBeLessThan(3_000);
    expect(await life(tab)).toEqual([]);
  }
  await context.close();
});

test(
  "a dead link is replaced within 3 s after online, and a working one stays",
  everywhere,
  async ({ server, link, visit }) => {
    const page = await visit(`${link.url}/healthz`);
    await listen(page, link.url);
    /** Returns how long it takes, after online, until the connection changes. */
    const wake = (patienceMs: number) =>
      page.evaluate(async (patience) => {
        const begin = performance.now();
        const before = window.life.length;
        window.dispatchEvent(new Event("offline"));
        window.dispatchEvent(new Event("online"));
        while (window.life.length < before + 2 && performance.now() - begin < patience) {
          await new Promise((resolve) => requestAnimationFrame(resolve));
        }
        return performance.now() - begin;
      }, patienceMs);
    await wake(3_000);
    expect(await life(page)).toEqual([]);
    link.halfOpen();
    await say(server, "into the hole");
    expect(await wake(10_000)).toBeLessThan(3_500);
    expect(await life(page)).toEqual(["disconnected", "reconnected true"]);
    await expect.poll(() => heard(page)).toEqual(["into the hole"]);
  },
);
