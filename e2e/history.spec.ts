// The chat keeps all messages, and shows older ones as the user scrolls back.

import type { Locator } from "@playwright/test";
import { WebSocket } from "ws";
import { createClient } from "../clientjs/src/index";
import type { Registry } from "../web/src/registry.gen";
import { Chat } from "./chat";
import { everywhere, expect, online, test } from "./fixtures";

/** Says one line for each number from one to another, as Bob. */
async function bobSays(url: string, from: number, to: number): Promise<void> {
  const client = createClient<Registry>(url, { WebSocket });
  const room = client.chatRoom.getOrCreate("general").connect();
  for (let n = from; n <= to; n++) await room.sendMessage("bob", `line ${n}`);
  client.dispose();
}

const lines = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => `line ${from + i}`);
const top = (element: Locator) => element.evaluate((element) => Math.round(element.getBoundingClientRect().top));
const beginning = "This is the beginning of # general.";

test(
  "the chat scrolls back to its beginning, and jumps to the newest message",
  everywhere,
  async ({ server, visit }) => {
    await bobSays(server.url, 1, 130);
    const ada = await new Chat(await visit(`${server.url}/chat/general`)).join("Ada");
    const log = ada.page.getByRole("log", { name: "Messages" });
    const line = (n: number) => ada.texts.filter({ hasText: new RegExp(`^line ${n}$`) });
    await expect(line(130)).toBeInViewport();
    await expect(log.getByText(beginning)).toHaveCount(0);
    await expect(ada.page.getByRole("button", { name: "Newest messages" })).toHaveCount(0);

    // What the user reads stays in its place while older messages come in above it.
    for (let oldest = 131; oldest > 1;) {
      const [first] = await ada.texts.allTextContents();
      if (first === "line 1") break;
      oldest = Number(first!.slice(5));
      await log.evaluate((element) => (element.scrollTop = 0));
      await expect(line(oldest)).toBeInViewport();
      await expect.poll(async () => (await ada.texts.first().textContent()) !== first).toBe(true);
      await expect(line(oldest)).toBeInViewport();
    }
    await expect(ada.texts).toHaveText(lines(1, 130));
    await log.evaluate((element) => (element.scrollTop = 0));
    await expect(log.getByText(beginning)).toBeInViewport();

    await expect(ada.page.getByRole("button", { name: "Newest messages" })).toBeVisible();
    const before = await top(line(3));
    await bobSays(server.url, 131, 132);
    await expect(ada.texts).toHaveCount(132);
    expect(await top(line(3)), "new messages move nothing").toBe(before);
    await ada.page.getByRole("button", { name: "New messages" }).click();
    await expect(line(132)).toBeInViewport();
    await expect(ada.page.getByRole("button", { name: /messages$/ })).toHaveCount(0);
    await expect(ada.texts).toHaveText(lines(1, 132));
  },
);

test("after a long time away, what was missed is marked, and older messages have no gap", async ({
  server,
  link,
  visit,
}) => {
  await bobSays(server.url, 1, 70);
  const ada = await new Chat(await visit(`${link.url}/chat/general`)).join("Ada");
  const log = ada.page.getByRole("log", { name: "Messages" });
  await expect(ada.texts.last()).toHaveText("line 70");
  link.refuse();
  await expect(ada.notice).toContainText("The connection is lost");
  await bobSays(server.url, 71, 400);
  link.pass();
  await online(ada.page);
  await expect(ada.notice).toContainText("Back online");
  await expect(ada.texts.last()).toHaveText("line 400");
  await expect(log.getByText("You missed this while you were away")).toHaveCount(1);
  await expect(
    ada.messages.filter({ hasText: "You missed this while you were away" }).getByRole("paragraph"),
  ).toHaveText("line 71");
  for (let count = 0; !(await log.getByText(beginning).count());) {
    await log.evaluate((element) => (element.scrollTop = 0));
    await expect.poll(async () => (count = await ada.texts.count())).toBeGreaterThan(count);
  }
  await expect(ada.texts).toHaveText(lines(1, 400));
});
