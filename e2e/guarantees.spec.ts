// The README's guarantees, in a browser, over links that really break. The page has one
// import of the client, no build and no UI.

import type { Page } from "@playwright/test";
import type { Server } from "./server";
import { everywhere, expect, plainPage, test } from "./fixtures";

const listener = `<!doctype html><title>listener</title><script type="module">
  import { createClient } from "/lib/client.js";
  window.received = [];
  window.life = [];
  const connection = createClient().chatRoom.getOrCreate(["general"]).connect({ userId: "listener" });
  connection.on("messageReceived", (message) => window.received.push(message.text));
  for (const name of ["connected", "disconnected"]) connection.on(name, () => window.life.push(name));
  connection.on("reconnected", (how) => {
    window.life.push("reconnected " + (how.recovered ? "whole" : how.reason + ", missed " + how.missed));
  });
  window.say = (text) => connection.sendMessage("listener", text);
</script>`;

declare global {
  interface Window {
    received: string[];
    life: string[];
    say: (text: string) => Promise<unknown>;
  }
}

async function listen(page: Page, url: string): Promise<void> {
  await plainPage(page, url, listener);
  await expect.poll(() => life(page)).toEqual(["connected"]);
}

const received = (page: Page) => page.evaluate(() => window.received);
const life = (page: Page) => page.evaluate(() => window.life);

/** Sends a message directly to the server, not through the proxy. */
async function say(server: Server, text: string): Promise<void> {
  const response = await fetch(`${server.url}/api/actors/chatRoom/actions/sendMessage?key=general`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ args: ["speaker", text] }),
  });
  if (!response.ok) throw new Error(`sendMessage: ${response.status} ${await response.text()}`);
}

test(
  "G3: every event arrives once and in order, however often the link breaks",
  everywhere,
  async ({ server, link, page }) => {
    await listen(page, link.url);
    const texts = Array.from({ length: 300 }, (_, i) => `message ${i}`);
    for (const [i, text] of texts.entries()) {
      await say(server, text);
      if (i % 13 === 7) link.cut();
      if (i % 100 === 50) link.refuse();
      if (i % 100 === 80) link.pass();
    }
    link.pass();
    await expect.poll(() => received(page)).toEqual(texts);
    const lived = await life(page);
    expect(lived.filter((event) => event === "connected")).toHaveLength(1);
    expect(lived.filter((event) => event.startsWith("reconnected") && event !== "reconnected whole")).toEqual([]);
    expect(lived).toContain("reconnected whole");
  },
);

test("G5: calls made while the link breaks take effect once", everywhere, async ({ link, page }) => {
  await listen(page, link.url);
  const texts = Array.from({ length: 60 }, (_, i) => `said ${i}`);
  const said = page.evaluate(async (all) => {
    for (const text of all) await window.say(text);
  }, texts);
  for (let cuts = 0; cuts < 8; cuts++) {
    const heard = (await received(page)).length;
    link.cut();
    await expect.poll(async () => (await received(page)).length).toBeGreaterThan(Math.min(heard + 3, texts.length - 1));
  }
  await said;
  await expect.poll(() => received(page)).toEqual(texts);
});

test("a black-holed link is detected and replaced", async ({ server, link, page }) => {
  test.slow(); // the heartbeat takes 25 seconds
  await listen(page, link.url);
  link.blackHole();
  await say(server, "into the hole");
  await expect.poll(() => life(page), { timeout: 60_000 }).toEqual(["connected", "disconnected"]);
  link.pass();
  await expect.poll(() => received(page), { timeout: 60_000 }).toEqual(["into the hole"]);
  expect(await life(page)).toEqual(["connected", "disconnected", "reconnected whole"]);
});

test("G3, G6: nothing is lost when the server is killed repeatedly", everywhere, async ({ server, page }) => {
  await listen(page, server.url);
  const texts = Array.from({ length: 5 }, (_, i) => `message ${i}`);
  for (const text of texts) {
    await say(server, text);
    await server.stop("SIGKILL");
    await server.start();
  }
  await expect.poll(() => received(page)).toEqual(texts);
  expect(
    (await life(page)).filter((event) => event.startsWith("reconnected") && event !== "reconnected whole"),
  ).toEqual([]);
});

test.describe("on the memory store", () => {
  test.use({ store: "memory" });

  test("G4: a server that lost its log reports that before anything else", everywhere, async ({ server, page }) => {
    await listen(page, server.url);
    await say(server, "before");
    await expect.poll(() => received(page)).toEqual(["before"]);
    await server.stop("SIGKILL");
    await expect.poll(() => life(page)).toContain("disconnected");
    await server.start();
    await expect.poll(() => life(page)).toContainEqual(expect.stringMatching(/^reconnected restart/));
    await say(server, "after");
    await expect.poll(() => received(page)).toEqual(["before", "after"]);
  });
});

test("a deploy is one disconnection and one reconnection", everywhere, async ({ server, page }) => {
  await listen(page, server.url);
  expect(await server.stop(), "exit status").toBe(0);
  await server.start();
  await expect.poll(() => life(page)).toEqual(["connected", "disconnected", "reconnected whole"]);
  await page.evaluate(() => window.say("hello again"));
  await expect.poll(() => received(page)).toEqual(["hello again"]);
});
