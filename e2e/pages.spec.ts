// Checks of every page: no accessibility violation in light and dark, and no horizontal
// scrolling on a phone.

import { AxeBuilder } from "@axe-core/playwright";
import type { Locator, Page } from "@playwright/test";
import { Chat, onItsWay } from "./chat";
import { expect, online, test } from "./fixtures";

/** Each page, with some content. */
const pages: Record<string, { path: string; fill?: (page: Page) => Promise<unknown> }> = {
  "the home page": {
    path: "/",
    fill: async (page) => {
      const [ada, bob] = ["Ada", "Bob"].map((name) => page.getByRole("region", { name, exact: true }));
      await ada!.getByRole("textbox").fill("x".repeat(100));
      await ada!.getByRole("textbox").press("Enter");
      await expect(bob!.getByRole("listitem")).toHaveCount(1);
      await bob!.getByRole("button", { name: "Pull Bob’s plug" }).click();
      await bob!.getByRole("textbox").fill("not yet");
      await bob!.getByRole("textbox").press("Enter");
      await expect(bob!.getByText("waits for the plug")).toBeVisible();
    },
  },
  "the name prompt": { path: "/chat/general" },
  "the chat": {
    path: "/chat/general",
    fill: async (page) => {
      const chat = await new Chat(page).join("Ada");
      await chat.said("Hello");
      await chat.said(`A word that does not end: ${"x".repeat(300)}`);
    },
  },
  "the game": {
    path: "/game/arena",
    fill: (page) => expect(page.getByRole("region", { name: "Players" }).getByRole("listitem")).toHaveCount(1),
  },
  "the news": {
    path: "/news",
    fill: async (page) => {
      await page.getByRole("textbox", { name: "Category" }).fill("x".repeat(64));
      await page.getByRole("textbox", { name: "Article" }).fill(`News of ${"x".repeat(300)}`);
      await page.getByRole("button", { name: "Subscribe to premium" }).click();
      await page.getByRole("radio", { name: "Premium" }).check();
      await page.getByRole("button", { name: "Publish" }).click();
      await expect(page.getByRole("article")).toHaveCount(1);
    },
  },
  "the documentation": { path: "/docs/deploy" },
  "a page that does not exist": { path: "/nowhere" },
};

/** Fails if axe finds a violation, however small. */
async function expectAccessible(page: Page): Promise<void> {
  // The colours of people depend on their ids: check all colours, not a random one.
  await page.evaluate(() => {
    for (const coloured of document.querySelectorAll<HTMLElement>('[style*="--hue"]')) {
      for (let hue = 0; hue < 360; hue += 15) {
        const copy = coloured.cloneNode(true) as HTMLElement;
        copy.style.setProperty("--hue", String(hue));
        copy.dataset.copy = "";
        coloured.after(copy);
      }
    }
  });
  const { violations } = await new AxeBuilder({ page }).analyze();
  await page.evaluate(() => document.querySelectorAll("[data-copy]").forEach((copy) => copy.remove()));
  expect(
    violations.map(({ id, nodes }) => [id, ...nodes.map(({ html, failureSummary }) => `${html}\n${failureSummary}`)]),
  ).toEqual([]);
}

for (const [name, { path, fill }] of Object.entries(pages)) {
  for (const colorScheme of ["light", "dark"] as const) {
    test(`${name}, ${colorScheme}: axe finds nothing`, async ({ server, visit }) => {
      const page = await visit(server.url + path, { colorScheme, reducedMotion: "reduce" });
      await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
      await fill?.(page);
      await expectAccessible(page);
    });
  }

  test(`${name}: nothing scrolls horizontally on a small phone`, async ({ server, visit }) => {
    const page = await visit(server.url + path, {
      viewport: { width: 320, height: 640 },
      isMobile: true,
      hasTouch: true,
    });
    await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
    await fill?.(page);
    const widths = await page.evaluate(() =>
      [document.documentElement, document.querySelector("main")!].map((e) => e.scrollWidth),
    );
    expect(Math.max(...widths)).toBeLessThanOrEqual(320);
  });
}

for (const colorScheme of ["light", "dark"] as const) {
  test(`while the link is down and after it, ${colorScheme}: axe finds nothing`, async ({ link, visit }) => {
    const page = await visit(`${link.url}/chat/general`, { colorScheme, reducedMotion: "reduce" });
    const chat = await new Chat(page).join("Ada");
    link.refuse();
    await expect(chat.notice).toContainText("The connection is lost");
    await chat.say("into the void");
    await expect(chat.messages.last()).toContainText(onItsWay);
    await expectAccessible(page);
    link.pass();
    await online(page);
    await expect(chat.notice).toContainText("Back online");
    await expectAccessible(page);
  });
}

test("on a phone, one tap opens the rooms and the people", async ({ server, visit, browserName }) => {
  // Over WebDriver BiDi, a touch does not become a click.
  const touch = (target: Locator) => (browserName === "firefox" ? target.click() : target.tap());
  const page = await visit(`${server.url}/chat/general`, {
    viewport: { width: 360, height: 740 },
    isMobile: true,
    hasTouch: true,
  });
  await new Chat(page).join("Ada");
  await touch(page.getByRole("button", { name: "Rooms" }));
  await touch(page.getByRole("navigation", { name: "Rooms" }).getByRole("link", { name: /random/ }));
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("# random");
  await touch(page.getByRole("button", { name: "Who is here" }));
  await expect(page.getByRole("region", { name: "Who is here" })).toBeVisible();
});

test("on a phone, a keyboard opens and closes the drawers", async ({ server, visit }) => {
  const page = await visit(`${server.url}/chat/general`, { viewport: { width: 360, height: 740 } });
  await new Chat(page).join("Ada");
  const { keyboard } = page;
  const button = page.getByRole("button", { name: "Rooms" });
  const link = (room: RegExp) => page.getByRole("navigation", { name: "Rooms" }).getByRole("link", { name: room });
  await button.press("Enter");
  await expect(link(/general/)).toBeFocused();
  await expect(page.locator("[inert]").getByRole("textbox", { name: "Message" }), "covered").toHaveCount(1);
  await keyboard.press("Escape");
  await expect(button).toBeFocused();
  await expect(button).toHaveAttribute("aria-expanded", "false");
  await button.press("Enter");
  await link(/random/).press("Enter");
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("# random");
  await expect(page.getByRole("textbox", { name: "Message" })).toBeFocused();
});

test("deep links and the back button work", async ({ server, visit }) => {
  const page = await visit(`${server.url}/news`);
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("The Daily Troupe");
  await page.getByRole("navigation", { name: "Main" }).getByRole("link", { name: "Game" }).click();
  await expect(page).toHaveURL(/\/game\/arena$/);
  await expect(page).toHaveTitle(/Game/);
  await page.goBack();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("The Daily Troupe");
});

test("the documentation is searched in the page", async ({ server, visit }) => {
  const page = await visit(server.url);
  await page.getByRole("navigation", { name: "Main" }).getByRole("link", { name: "Docs" }).click();
  await page.getByRole("searchbox").fill("blocks websockets nginx");
  await page
    .getByRole("list", { name: "Search results" })
    .getByRole("link", { name: /Deploy: nginx/ })
    .click();
  await expect(page).toHaveURL(/\/docs\/deploy#nginx$/);
  await expect(page.getByRole("heading", { name: "nginx" })).toBeInViewport();
});

test("a chosen theme is kept, and applied to the browser's own UI", async ({ server, visit }) => {
  const page = await visit(`${server.url}/news`, { colorScheme: "light" });
  await page.getByRole("button", { name: "Theme: system" }).click();
  await page.getByRole("button", { name: "Theme: light" }).click();
  await page.reload();
  await expect(page.getByRole("button", { name: "Theme: dark" })).toBeVisible();
  for (const meta of await page.locator('meta[name="theme-color"]').all())
    await expect(meta).toHaveAttribute("content", "#17131a");
});

test("a page that is older than the server offers a reload", async ({ server, visit }) => {
  const page = await visit(`${server.url}/nowhere`);
  let old = true;
  // In the script, not in the server's hello: on a busy machine the page may connect over HTTP.
  await page.route(/assets\/main-.*\.js$/, async (route) => {
    const response = await route.fetch();
    const script = await response.text();
    await route.fulfill({ response, body: old ? script.replace(/("~contract":\s*)"[^"]+"/, '$1"older"') : script });
  });
  await page.goto(`${server.url}/game/arena`);
  const notice = page.getByRole("status", { name: "Notice" });
  await expect(notice).toContainText("A new version is available.");
  await expectAccessible(page);
  old = false;
  await notice.getByRole("button", { name: "Reload" }).click();
  await expect(page.getByRole("region", { name: "Players" }).getByRole("listitem")).toHaveCount(1);
  await expect(notice).toBeEmpty();
});
