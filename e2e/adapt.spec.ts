// Pages in the hands of people who see, read or point in another way: forced colours, 400 % zoom, large text, right to
// left, a keyboard only, no JavaScript.

import type { Page } from "@playwright/test";
import { Chat } from "./chat";
import { expect, test } from "./fixtures";

/** Each page, with something in it. */
const pages: Record<string, { path: string; fill?: (page: Page) => Promise<unknown> }> = {
  home: { path: "/" },
  chat: {
    path: "/chat/general",
    fill: async (page) => {
      const chat = await new Chat(page).join("Ada");
      for (const text of ["Hello", "How are you?", "Well."]) await chat.said(text);
    },
  },
  game: { path: "/game/arena" },
  news: { path: "/news" },
  docs: { path: "/docs/semantics" },
};

const open = async (page: Page, fill?: (page: Page) => Promise<unknown>) => {
  await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
  await fill?.(page);
};

/** The document does not scroll sideways, in either direction. */
const expectToFit = async (page: Page) => {
  const over = await page.evaluate(() => {
    const { scrollWidth, clientWidth } = document.documentElement;
    return scrollWidth - clientWidth;
  });
  expect(over, "pixels to scroll sideways").toBeLessThanOrEqual(0);
};

for (const [name, { path, fill }] of Object.entries(pages)) {
  test(`${name}: at 400 % zoom everything is reached by scrolling down`, async ({ server, visit }) => {
    // 1280 × 1024 at 400 %.
    const page = await visit(server.url + path, { viewport: { width: 320, height: 256 }, deviceScaleFactor: 4 });
    await open(page, fill);
    await expectToFit(page);
    if (name === "chat") {
      await expect(page.getByRole("log").getByText("Well.")).toBeInViewport();
      await page.getByRole("textbox", { name: "Message" }).focus();
      await expect(page.getByRole("textbox", { name: "Message" })).toBeInViewport();
    }
  });

  test(`${name}: text of twice the size fits`, async ({ server, visit }) => {
    const page = await visit(server.url + path, { viewport: { width: 1280, height: 900 } });
    await page.evaluate(() => document.documentElement.style.setProperty("font-size", "200%", "important"));
    await open(page, fill);
    await expectToFit(page);
    if (name === "chat") {
      const { width, height } = (await page.getByRole("button", { name: "Send" }).boundingBox())!;
      expect(Math.abs(width - height), "the button is a circle").toBeLessThan(2);
    }
  });

  test(`${name}: right to left, it fits`, async ({ server, visit }) => {
    const page = await visit(server.url + path, { viewport: { width: 390, height: 800 } });
    await page.evaluate(() => (document.documentElement.dir = "rtl"));
    await open(page, fill);
    await expectToFit(page);
    const left = await page.getByRole("navigation", { name: "Main" }).evaluate((nav) => nav.getBoundingClientRect());
    expect(left.left).toBeGreaterThanOrEqual(0);
  });

  test(`${name}: in forced colours, the page that is open and the focus are seen`, async ({ server, visit }) => {
    const page = await visit(server.url + path, { forcedColors: "active" });
    await open(page, fill);
    const looks = (current: boolean) =>
      page
        .getByRole("navigation", { name: "Main" })
        .locator(current ? "a[aria-current=page]" : "a:not([aria-current])")
        .first()
        .evaluate((link) => {
          const { textDecorationLine, outlineStyle, borderBottomStyle, borderBottomColor, backgroundColor, color } =
            getComputedStyle(link);
          return [
            textDecorationLine,
            outlineStyle,
            borderBottomStyle,
            borderBottomColor,
            backgroundColor,
            color,
          ].join();
        });
    if (name !== "home") expect(await looks(true)).not.toBe(await looks(false));
    const seen = new Set<string>();
    for (let i = 0; i < 12; i++) {
      await page.keyboard.press("Tab");
      const focus = await page.evaluate(() => {
        const element = document.activeElement;
        if (!element || element === document.body) return "";
        const { outlineStyle, outlineWidth } = getComputedStyle(element);
        return `${element.outerHTML.slice(0, 80)} ${outlineStyle} ${outlineWidth}`;
      });
      if (focus) expect(focus).not.toMatch(/ (none .*|\S+ 0px)$/);
      seen.add(focus);
    }
    expect(seen.size, "places that Tab reaches").toBeGreaterThan(3);
  });

  test(`${name}: without JavaScript it says what it is`, async ({ server, visit }) => {
    const page = await visit(server.url + path, { javaScriptEnabled: false });
    await expect(page).toHaveTitle(/Troupe/);
    if (name === "docs") await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
    else await expect(page.getByText(/JavaScript/).first()).toBeVisible();
  });
}

test("the home page is played with a keyboard only", async ({ server, visit }) => {
  const page = await visit(server.url);
  const { keyboard } = page;
  /** Presses Tab until something with this accessible name has the focus. */
  const tabTo = async (name: RegExp) => {
    for (let i = 0; i < 40; i++) {
      await keyboard.press("Tab");
      const label = await page.evaluate(
        () => document.activeElement?.getAttribute("aria-label") ?? document.activeElement?.textContent ?? "",
      );
      if (name.test(label)) return;
    }
    throw new Error(`Tab does not reach ${name}`);
  };
  await expect(page.getByRole("status", { name: "Connection of Bob" })).toContainText(/connected/i);
  await tabTo(/Line of Ada/);
  await keyboard.type("one");
  await keyboard.press("Enter");
  const bob = page.getByRole("region", { name: "Bob", exact: true });
  await expect(bob.getByRole("listitem")).toHaveCount(1);
  await tabTo(/Pull Bob’s plug/);
  await keyboard.press("Enter");
  await expect(page.getByRole("button", { name: "Plug Bob back in" })).toBeFocused();
  await keyboard.press("Space");
  await expect(page.getByRole("button", { name: "Pull Bob’s plug" })).toBeFocused();
});
