// A browser that translates a page replaces its texts by elements, also those that come
// later. The page must keep working.

import type { Page } from "@playwright/test";
import { Chat } from "./chat";
import { expect, online, test } from "./fixtures";

/** Does to the page what translators do: every text becomes a <font><font>TEXT</font></font>, at once and after each change. */
async function translate(page: Page): Promise<void> {
  await page.evaluate(() => {
    const change = (root: Node) => {
      const texts: Text[] = [];
      const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
      for (let text = walker.nextNode(); text; text = walker.nextNode()) texts.push(text as Text);
      if (root instanceof Text) texts.push(root);
      for (const text of texts) {
        if (!text.data.trim() || text.parentElement?.closest("font, script, style, textarea, option, [translate=no]"))
          continue;
        const outer = document.createElement("font");
        const inner = document.createElement("font");
        inner.textContent = text.data;
        outer.append(inner);
        text.replaceWith(outer);
      }
    };
    change(document.body);
    new MutationObserver((records) => {
      for (const record of records) {
        if (record.type === "characterData") change(record.target);
        for (const node of record.addedNodes) change(node);
      }
    }).observe(document.body, { childList: true, characterData: true, subtree: true });
  });
}

const failed = (page: Page) => page.getByRole("heading", { name: "This page has failed" });

test("a translated home page plays its scene", async ({ server, visit }) => {
  const page = await visit(server.url);
  await translate(page);
  await page.getByRole("button", { name: "Play the scene" }).click();
  await expect(page.getByRole("status", { name: "Score" })).toHaveText("Bob has all 8 lines, each once, in order.");
  await expect(page.getByRole("button", { name: "Play the scene" })).toBeEnabled();
});

test("a translated chat loses and finds its server", async ({ link, visit }) => {
  const ada = await new Chat(await visit(`${link.url}/chat/general`)).join("Ada");
  await translate(ada.page);
  const bob = await new Chat(await visit(`${link.url}/chat/general`)).join("Bob");
  await expect(ada.people).toHaveText([/Ada \(you\)/, /Bob/]);
  await bob.input.pressSequentially("hello");
  await expect(ada.page.getByText("Bob is typing…")).toBeVisible();
  await bob.said("hello");
  await expect(ada.texts).toHaveText(["hello"]);
  link.refuse();
  await expect(ada.notice).toContainText("The connection is lost. Reconnecting");
  await ada.say("later");
  link.pass();
  await online(ada.page);
  await expect(ada.notice).toContainText("Back online. You missed nothing.");
  await ada.connected();
  await expect(ada.texts).toHaveText(["hello", "later"]);
  await ada.messages.last().hover();
  await ada.page.getByRole("button", { name: "Delete message" }).click();
  await expect(ada.texts).toHaveText(["hello"]);
  await ada.page
    .getByRole("navigation", { name: "Rooms" })
    .getByRole("link", { name: /random/ })
    .click();
  await expect(ada.page.getByRole("heading", { level: 1 })).toHaveText("# random");
  await expect(failed(ada.page)).toHaveCount(0);
});

test("a translated game and translated news lose and find their server", async ({ link, visit }) => {
  for (const path of ["/game/arena", "/news"]) {
    const page = await visit(`${link.url}${path}`);
    const connection = page.getByRole("status", { name: /^Connection/ }).first();
    const notice = page.getByRole("status", { name: "Notice" }).first();
    await expect(connection).toHaveText("Connected");
    await translate(page);
    if (path === "/news") {
      await page.getByRole("button", { name: "Subscribe to premium" }).click();
      await expect(page.getByText("You can read every article.")).toBeVisible();
    } else {
      await page.getByRole("button", { name: "Start game" }).click();
    }
    link.refuse();
    await expect(notice).toContainText("The connection is lost. Reconnecting");
    link.pass();
    await online(page);
    await expect(notice).toContainText("Back online");
    await expect(connection).toHaveText("Connected");
    await expect(failed(page)).toHaveCount(0);
    await page.getByRole("navigation", { name: "Main" }).getByRole("link", { name: "Chat" }).click();
    await expect(page.getByRole("textbox", { name: "Your name" })).toBeVisible();
    await page.close();
  }
});
