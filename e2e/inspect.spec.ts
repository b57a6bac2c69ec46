// The inspector in a browser, page by page and button by button.

import { AxeBuilder } from "@axe-core/playwright";
import type { Page } from "@playwright/test";
import { Chat } from "./chat";
import { everywhere, expect, test as base } from "./fixtures";
import { callAction, inspected, linkOf, openPage } from "./inspect";
import type { Server } from "./server";

const test = base.extend<{ mode: "read" | "write"; look: (options?: Parameters<typeof visit>[1]) => Promise<Page> }>({
  mode: ["write", { option: true }],
  server: async ({ mode }, provide) => {
    const server = await inspected(mode);
    await provide(server);
    expect(await server.stop(), server.log).toBe(0);
    server.remove();
  },
  look: async ({ server, visit }, provide) => {
    await provide((options) => visit(linkOf(server), options));
  },
});
declare function visit(
  url: string,
  options?: { viewport?: { width: number; height: number }; colorScheme?: "light" | "dark" },
): Promise<Page>;

const region = (page: Page, name: string) => page.getByRole("region", { name, exact: true });

/** Opens an actor by its name and key. */
async function openActor(page: Page, name: string, key: string): Promise<void> {
  await page.getByRole("link", { name: "Actors" }).click();
  const form = page.getByRole("form", { name: "Open an actor" });
  await form.getByRole("combobox", { name: "Name" }).selectOption(name);
  await form.getByRole("textbox", { name: "Key" }).fill(key);
  await form.getByRole("button", { name: "Open" }).click();
  await expect(page.getByRole("heading", { level: 1 })).toContainText(key);
}

const say = (server: Server, key: string, text: string) => callAction(server, "stage", key, "say", "Ada", text);

test("the overview shows turns, messages, sockets and what is stored", everywhere, async ({ server, look, visit }) => {
  const chat = await new Chat(await visit(`${server.url}/chat/general`)).join("Ada");
  const page = await look();
  await expect(page).toHaveURL(/\/inspect\/$/); // the token is gone
  await expect(page.getByRole("status", { name: "Stream" })).toHaveText("Live");
  await expect(region(page, "Sockets").getByRole("img")).toHaveAccessibleName(/^Sockets: 1;/);
  await chat.said("Hello");
  await expect(region(page, "Turns").getByRole("img")).toHaveAccessibleName(/highest [1-9]/);
  await expect(region(page, "Messages").getByRole("img")).toHaveAccessibleName(/highest [1-9]/);
  await page.reload(); // stored actors are counted anew
  await region(page, "Stored actors").getByRole("link", { name: "chatRoom" }).click();
  await expect(page.getByRole("radio", { name: "Stored" })).toBeChecked();
  await expect(page.getByRole("combobox", { name: "Definition" })).toHaveValue("chatRoom");
  await expect(
    page.getByRole("table", { name: "Actors" }).getByRole("link", { name: "chatRoom general" }),
  ).toBeVisible();
});

test("an error shows on the overview, by its code", async ({ server, look }) => {
  await expect(callAction(server, "stage", "x", "nothing")).rejects.toThrow("unknown_action");
  const page = await look();
  await expect(region(page, "Errors by code").getByRole("listitem")).toHaveText(/unknown_action/);
});

test("actors are filtered, sorted and paged", async ({ server, look }) => {
  for (let i = 0; i < 60; i++) await say(server, `room-${String(i).padStart(2, "0")}`, "x".repeat(i + 1));
  const page = await look();
  await page.getByRole("link", { name: "Actors" }).click();
  const rows = page.getByRole("table", { name: "Actors" }).getByRole("row");
  await expect(rows).toHaveCount(51); // with the head
  await page.getByRole("combobox", { name: "Sort by" }).selectOption("size");
  await expect(rows.nth(1)).toContainText("room-59");
  await page.getByRole("button", { name: "Next page" }).click();
  await expect(rows).toHaveCount(11);
  await expect(page.getByRole("button", { name: "Next page" })).toBeDisabled();
  await page.getByRole("button", { name: "First page" }).click();
  await expect(rows).toHaveCount(51);
  await page.getByRole("textbox", { name: "Key begins with" }).fill("room-3");
  await expect(rows).toHaveCount(11);
  await page.getByText("Stored", { exact: true }).click();
  await expect(rows).toHaveCount(11);
  await page.getByRole("textbox", { name: "Key begins with" }).fill("");
  await expect(rows).toHaveCount(51);
  await page.getByRole("button", { name: "Next page" }).click();
  await expect(rows).toHaveCount(11);
  await page.getByRole("combobox", { name: "Definition" }).selectOption("newsRoom");
  await expect(page.getByText("No stored actor matches.")).toBeVisible();
  await say(server, "late", "hello");
  await page.getByRole("combobox", { name: "Definition" }).selectOption("stage");
  await page.getByRole("textbox", { name: "Key begins with" }).fill("late");
  await page.getByRole("button", { name: "Refresh" }).click();
  await expect(rows).toHaveCount(2);
  await page.reload(); // the address has the filter
  await expect(rows).toHaveCount(2);
});

test("an actor's state, log and turns are live, and the log can be paused", everywhere, async ({ server, look }) => {
  await say(server, "live", "one");
  const page = await look();
  await openActor(page, "stage", "live");
  await expect(region(page, "State")).toContainText("said: 1");
  await say(server, "live", "<img src=x onerror=alert(1)>");
  await expect(region(page, "State")).toContainText("said: 2");
  await expect(region(page, "State").locator(".flash")).not.toHaveCount(0);
  const entries = page.getByRole("table", { name: "Log entries" }).getByRole("row");
  await expect(entries.filter({ hasText: "spoken" })).toHaveCount(2);
  await expect(
    page.getByRole("table", { name: "Recent turns" }).getByRole("row").filter({ hasText: "say" }),
  ).toHaveCount(1);

  const newest = entries.filter({ hasText: "spoken" }).first();
  await newest.getByRole("button").click();
  await expect(newest.getByRole("button")).toHaveAttribute("aria-expanded", "true");
  await expect(newest).toContainText("<img src=x");

  await page.getByRole("button", { name: "Pause" }).click();
  await say(server, "live", "three");
  await expect(page.getByRole("button", { name: "Go on (2 new)" })).toBeVisible();
  await expect(entries.filter({ hasText: "spoken" })).toHaveCount(2);
  await page.getByRole("button", { name: "Go on" }).click();
  await expect(entries.filter({ hasText: "spoken" })).toHaveCount(3);
});

test("a connection: what its client was sent, and its end", async ({ server, look, visit }) => {
  const ada = await new Chat(await visit(`${server.url}/chat/general`)).join("Ada");
  await new Chat(await visit(`${server.url}/chat/general`)).join("Bob");
  await ada.said("Hello");
  const page = await look();
  await openActor(page, "chatRoom", "general");
  const conns = region(page, "Connections").getByRole("list").first().getByRole("listitem");
  await expect(conns).toHaveCount(2);
  await expect(conns.first()).toContainText("websocket");
  await expect(conns.first()).toContainText("messageReceived");
  await page.getByRole("checkbox", { name: "Show params" }).check();
  await expect(conns.first()).toContainText("params");

  await page.getByRole("button", { name: "View as #1" }).click();
  const received = page
    .getByRole("table", { name: "Log entries" })
    .getByRole("row")
    .filter({ hasText: "messageReceived" });
  await expect(received.first()).toContainText("sent");
  await page.getByRole("button", { name: "View as #1" }).click();

  await page.getByRole("button", { name: "Disconnect #1" }).click();
  const dialog = page.getByRole("dialog", { name: "Disconnect #1" });
  await dialog.getByRole("textbox", { name: "Reason" }).fill("go home");
  await dialog.getByRole("button", { name: "Disconnect" }).click();
  await expect(dialog).toHaveCount(0);
  await expect(conns).toHaveCount(1);
  await expect(ada.page.getByRole("status", { name: "Connection" })).toHaveText("Disconnected");
  await expect.poll(() => server.log).toContain("what=disconnect");
  expect(server.log).toMatch(/address=127\.0\.0\.1\b/);
});

test("a table is read page by page", async ({ server, look, visit }) => {
  const chat = await new Chat(await visit(`${server.url}/chat/general`)).join("Ada");
  await chat.said("Hello");
  const page = await look();
  await openActor(page, "chatRoom", "general");
  await page.getByRole("button", { name: "Show history" }).click();
  await expect(page.getByRole("table", { name: "history" })).toContainText("Hello");
});

test("an actor that does not exist", async ({ look }) => {
  const page = await look();
  await page.getByRole("link", { name: "Actors" }).click();
  const form = page.getByRole("form", { name: "Open an actor" });
  await form.getByRole("textbox", { name: "Key" }).fill('["nobody", "here"]');
  await form.getByRole("button", { name: "Open" }).click();
  await expect(page.getByRole("alert")).toContainText("there is no actor");
});

test("an action of an actor with OnAuth is run as somebody", everywhere, async ({ server, look, visit }) => {
  const reader = await visit(`${server.url}/news`);
  await expect(reader.getByRole("heading", { level: 1 })).toBeVisible();
  const page = await look();
  await page.getByRole("link", { name: "Actors" }).click();
  await page.getByRole("link", { name: /^newsRoom/ }).click();
  const run = region(page, "Run an action");
  await run.getByRole("combobox", { name: "Action" }).selectOption("getArticles");
  await run.getByRole("textbox", { name: "As" }).fill("no JSON");
  await run.getByRole("button", { name: "Run getArticles" }).click();
  await expect(run.getByRole("alert")).toContainText("As is not JSON");
  await run.getByRole("textbox", { name: "As" }).fill('{"nothing": 1}');
  await run.getByRole("button", { name: "Run getArticles" }).click();
  await expect(run.getByRole("alert")).toContainText("unknown field");
});

test("actions: their results and refusals", async ({ server, look }) => {
  await say(server, "act", "one");
  const page = await look();
  await openActor(page, "stage", "act");
  const run = region(page, "Run an action");
  await run.getByRole("combobox", { name: "Action" }).selectOption("say");
  await run.getByRole("textbox", { name: "from" }).fill("Operator");
  await run.getByRole("textbox", { name: "text" }).fill("from the inspector");
  await run.getByRole("button", { name: "Run say" }).click();
  await expect(run.getByRole("status", { name: "Result" })).toContainText("ok");
  await expect(region(page, "State")).toContainText("from the inspector");
  await run.getByRole("combobox", { name: "Action" }).selectOption("getLines");
  await run.getByRole("button", { name: "Run getLines" }).click();
  await expect(run.getByRole("status", { name: "Result" })).toContainText("from the inspector");
  await run.getByRole("combobox", { name: "Action" }).selectOption("say");
  await run.getByRole("textbox", { name: "text" }).fill("x".repeat(10_000));
  await run.getByRole("button", { name: "Run say" }).click();
  await expect(run.getByRole("alert")).toBeVisible();
});

test("what happens while a button is pressed does not move it away", async ({ server, look }) => {
  await say(server, "press", "one");
  const page = await look();
  const devtools = await page.context().newCDPSession(page);
  let heard = 0;
  devtools.on("Network.eventSourceMessageReceived", ({ eventName, data }) => {
    if (eventName === "turns") heard += (JSON.parse(data) as { turns: unknown[] }).turns.length;
  });
  await devtools.send("Network.enable");
  await openActor(page, "stage", "press");
  const run = region(page, "Run an action");
  await run.getByRole("combobox", { name: "Action" }).selectOption("getLines");
  await run.getByRole("button", { name: "Run getLines" }).hover();
  await page.clock.install();
  await page.clock.pauseAt(Date.now() + 60_000); // however slow the machine is, it does not end the wait
  await page.mouse.down();
  for (const text of ["two", "three", "four"]) await say(server, "press", text);
  await expect.poll(() => heard, "turns that the page was told of").toBeGreaterThanOrEqual(3);
  await page.mouse.up();
  await page.clock.runFor(1_000);
  await expect(run.getByRole("status", { name: "Result" })).toContainText("four");
  await expect(region(page, "Turns").getByRole("row").filter({ hasText: "say" })).toHaveCount(3);
});

test("the state is edited, and that is undone", async ({ server, look }) => {
  await say(server, "edit", "one");
  const page = await look();
  await openActor(page, "stage", "edit");
  await page.getByRole("button", { name: "Edit state" }).click();
  const dialog = page.getByRole("dialog", { name: "Edit the state" });
  const state = dialog.getByRole("textbox", { name: "State" });
  const text = await state.inputValue();
  await state.fill(text.replace('"said": 1', '"said": "x"'));
  await dialog.getByRole("button", { name: "Save" }).click();
  await expect(dialog.getByRole("alert")).toBeVisible();
  await state.fill(text.replace('"said": 1', '"said": 41'));
  await dialog.getByRole("button", { name: "Save" }).click();
  await expect(dialog.getByRole("status")).toHaveText("The state is saved.");
  await expect(region(page, "State")).toContainText("said: 41");
  await dialog.getByRole("button", { name: "Undo" }).click();
  await expect(region(page, "State")).toContainText("said: 1");
  await say(server, "edit", "two");
  await expect(region(page, "State")).toContainText("said: 2");
});

test("an actor is reset", async ({ server, look }) => {
  await say(server, "reset", "one");
  const page = await look();
  await openActor(page, "stage", "reset");
  await page.getByRole("button", { name: "Reset" }).click();
  const dialog = page.getByRole("dialog", { name: "Reset this actor" });
  await dialog.getByRole("button", { name: "Reset" }).click();
  await expect(dialog).toHaveCount(0);
  await expect.poll(() => server.log).toContain("what=reset");
});

test("an actor is destroyed, once its key is typed", async ({ server, look }) => {
  await say(server, "doomed", "one");
  const page = await look();
  await openActor(page, "stage", "doomed");
  await page.getByRole("button", { name: "Destroy" }).click();
  const dialog = page.getByRole("dialog", { name: "Destroy this actor" });
  await expect(dialog.getByRole("button", { name: "Destroy" })).toBeDisabled();
  await dialog.getByRole("textbox").fill("doomed");
  await dialog.getByRole("button", { name: "Destroy" }).click();
  await expect(page.getByText("This actor was destroyed")).toBeVisible();
  await expect(page.getByRole("button", { name: "Edit state" })).toHaveCount(0);
});

test("messages run now, and are cancelled", async ({ server, look, visit }) => {
  const chat = await new Chat(await visit(`${server.url}/chat/general`)).join("Ada");
  const page = await look();
  await openActor(page, "chatRoom", "general");
  const messages = region(page, "Messages").getByRole("listitem");
  const run = region(page, "Run an action");
  await run.getByRole("combobox", { name: "Action" }).selectOption("sendTimed");
  const later = async (text: string, count: number) => {
    await run.getByRole("textbox", { name: "userId" }).fill("u1");
    await run.getByRole("textbox", { name: "text" }).fill(text);
    await run
      .getByRole("textbox", { name: /^t / })
      .fill(JSON.stringify({ at: Date.now() + count * 3_600_000, keepMs: 0 }));
    await run.getByRole("button", { name: "Run sendTimed" }).click();
    await expect(messages).toHaveCount(count);
  };
  await later("tea", 1);
  await later("milk", 2);
  await messages.first().getByRole("button", { name: "Cancel" }).click();
  await expect(messages).toHaveCount(1);
  await messages.getByRole("button", { name: "Run now" }).click();
  await expect(messages).toHaveCount(0);
  await expect(chat.texts.filter({ hasText: "milk" })).toHaveCount(1);
});

test.describe("an inspector that only looks", () => {
  test.use({ mode: "read" });
  test("has no buttons that change something", async ({ server, look }) => {
    await say(server, "quiet", "one");
    const page = await look();
    await openActor(page, "stage", "quiet");
    await expect(region(page, "State")).toContainText("said: 1");
    for (const name of ["Edit state", "Reset", "Destroy", /^Disconnect/, /^Run/]) {
      await expect(page.getByRole("button", { name })).toHaveCount(0);
    }
  });
});

test("without the link, nobody comes in; after a restart, neither", everywhere, async ({ server, look, visit }) => {
  const page = await look();
  const stranger = await visit(new URL("/inspect/", page.url()).href);
  await expect(stranger.getByRole("heading", { level: 1 })).toHaveText("Open the inspector by its link");
  const port = new URL(page.url()).port;
  await server.stop();
  (server.flags as string[]).splice(1, 1, `127.0.0.1:${port}`); // the same address
  await server.start();
  await page.reload();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Open the inspector by its link");
});

const sizes = {
  "light, on a desk": { viewport: { width: 1280, height: 900 }, colorScheme: "light" },
  "dark, on a desk": { viewport: { width: 1280, height: 900 }, colorScheme: "dark" },
  "dark, on a phone": { viewport: { width: 390, height: 844 }, colorScheme: "dark" },
} as const;

for (const [name, options] of Object.entries(sizes)) {
  test(`no accessibility violation, and nothing to scroll sideways: ${name}`, async ({ server, look, visit }) => {
    const chat = await new Chat(await visit(`${server.url}/chat/general`)).join("Ada");
    await chat.said(`A word that does not end: ${"x".repeat(300)}`);
    await say(server, "x".repeat(120), "long key");
    const page = await look(options);
    const check = async (what: string) => {
      await expect(page.getByRole("heading", { level: 1 }), what).toBeVisible(); // the page has been rendered
      const { violations } = await new AxeBuilder({ page }).analyze();
      expect(
        violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.html).join(" ")}`),
        what,
      ).toEqual([]);
      expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth), what).toBeLessThanOrEqual(0);
      expect(
        await page.locator("main").evaluate((main) => main.scrollWidth - main.clientWidth),
        what,
      ).toBeLessThanOrEqual(0);
    };
    await expect(region(page, "Sockets").getByRole("img")).toHaveAccessibleName(/^Sockets: 1;/);
    await check("overview");
    await page.getByRole("link", { name: "Actors" }).click();
    await expect(page.getByRole("table", { name: "Actors" }).getByRole("row")).not.toHaveCount(1);
    await check("actors");
    await openActor(page, "chatRoom", "general");
    await page.getByRole("button", { name: "View as #1" }).click();
    await page.getByRole("button", { name: "Show history" }).click();
    await expect(page.getByRole("table", { name: "history" })).toContainText("A word");
    await check("actor");
    await page.getByRole("button", { name: "Disconnect #1" }).click();
    await check("dialog");
    await page.keyboard.press("Escape");
    await expect(page.getByRole("dialog")).toHaveCount(0);
    await openPage(page, "/nothing");
    await check("an unknown address");
    if (name.startsWith("light")) {
      const stranger = await visit(new URL("/inspect/", page.url()).href);
      expect((await new AxeBuilder({ page: stranger }).analyze()).violations).toEqual([]);
    }
  });
}

test("no accessibility violation while the server does not answer, and when it fails", async ({ look }) => {
  const page = await look({ viewport: { width: 1280, height: 500 } }); // too low for the overview
  for (const answer of ["none", "failure"]) {
    await page.context().route("**/inspect/api/**", (route) => answer === "failure" && route.abort());
    for (const path of ["/", "/actors", `/actors/${"x".repeat(22)}`]) {
      await openPage(page, path);
      await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
      const { violations } = await new AxeBuilder({ page }).analyze();
      expect(violations, `${path}, ${answer}`).toEqual([]);
    }
    await page.context().unrouteAll();
  }
});

test("the keyboard is enough", async ({ server, look }) => {
  await say(server, "keys", "one");
  const page = await look();
  await page.getByRole("link", { name: "Actors" }).focus();
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { level: 1 })).toBeFocused();
  await page.getByRole("link", { name: "stage keys" }).focus();
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { level: 1 })).toContainText("stage");
  await page.getByRole("button", { name: "Reset" }).focus();
  await page.keyboard.press("Enter");
  await expect(page.getByRole("button", { name: "Close" })).toBeFocused();
  await page.keyboard.press("Escape");
  await expect(page.getByRole("dialog")).toHaveCount(0);
  await page.getByRole("group", { name: "Log, newest first" }).focus();
  await page.keyboard.press("ArrowDown");
});

// The sample has no actor with this much. The server is real, but its answers about one actor are changed on their way.
test("an actor with more than a page shows at once, and a parked message", async ({ server, look }) => {
  await say(server, "much", "one");
  const page = await look();
  await openActor(page, "stage", "much");
  const id = page.url().split("/").at(-1)!;
  const item = (n: number) => ({ key: String(n), value: `item ${n}`, bytes: 9 });
  const conn = (num: number) => ({ num, id: `connection${num}`, online: true, droppedMs: 0, expiresMs: 0, start: 0 });
  const parked = { id: `${id}.7`, type: "remind", dueMs: 1, retryMs: 0, tries: 10, parked: "no paper" };
  const posts: string[] = [];
  await page.context().route(
    (url) => url.pathname === `/inspect/api/actors/${id}` || url.pathname === "/inspect/api/stream",
    async (route) => {
      const url = new URL(route.request().url());
      const real = await page.context().request.get(`${url.origin}/inspect/api/actors/${id}`);
      const after = Number(url.searchParams.get("after") ?? 0);
      const actor = {
        ...(await real.json()),
        state:
          url.searchParams.get("state") === "whole"
            ? { long: "x".repeat(1000), many: [...Array(500).keys()] }
            : undefined,
        connCount: 3,
        conns: after ? [conn(3)] : [conn(1), conn(2)],
        tables: [{ field: "lines", keys: "int", len: 30, bytes: 300 }],
        messages: [parked],
        messageCount: 1,
      };
      if (!url.pathname.endsWith("/stream")) return route.fulfill({ json: actor });
      const body = `event: actor\ndata: ${JSON.stringify(actor)}\n\n`;
      return route.fulfill({ contentType: "text/event-stream", body });
    },
  );
  await page.context().route("**/inspect/api/actors/*/tables/lines?*", (route) => {
    const after = new URL(route.request().url()).searchParams.get("after");
    const items = after === "6" ? [item(5)] : [...Array(25).keys()].map((n) => item(30 - n));
    return route.fulfill({ json: { len: 30, more: after === null, items } });
  });
  await page.context().route("**/inspect/api/actors/*/messages/**", (route) => {
    posts.push(new URL(route.request().url()).pathname); // Firefox does not tell what is posted
    return route.fulfill({ json: {} });
  });
  await page.reload();

  const state = region(page, "State");
  await expect(state).toContainText("too large to be shown live");
  await state.getByRole("button", { name: "Load it once" }).click();
  await state.getByRole("button", { name: "all 1000 characters" }).click();
  await expect(state).toContainText("x".repeat(1000));
  await state.getByText("many").click();
  await expect(state).not.toContainText("150");
  await state.getByRole("button", { name: /^\d+ more$/ }).click();
  await expect(state).toContainText("150");

  const conns = region(page, "Connections").getByRole("list").first().getByRole("listitem");
  await expect(conns).toHaveCount(2);
  await page.getByRole("button", { name: "Next connections" }).click();
  await expect(conns).toHaveText([/#3/]);
  await page.getByRole("button", { name: "First connections" }).click();
  await expect(conns).toHaveCount(2);

  await page.getByRole("button", { name: "Show lines" }).click();
  const items = page.getByRole("table", { name: "lines" }).getByRole("row");
  await expect(items).toHaveCount(26); // with the head
  await page.getByRole("button", { name: "More items" }).click();
  await expect(items).toHaveCount(27);
  await expect(page.getByRole("button", { name: "More items" })).toHaveCount(0);
  await page.getByRole("button", { name: "Reload lines" }).click();
  await expect(items).toHaveCount(26);

  const messages = region(page, "Messages");
  await expect(messages).toContainText("parked after 10 tries");
  await expect(messages).toContainText("no paper");
  await messages.getByRole("button", { name: "Try again" }).click();
  await expect.poll(() => posts).toEqual([`/inspect/api/actors/${id}/messages/7`]);
});
