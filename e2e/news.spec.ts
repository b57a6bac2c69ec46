import type { Page } from "@playwright/test";
import { everywhere, expect, online, received, test } from "./fixtures";

const reader = (page: Page, title: "You" | "A guest") => page.getByRole("region", { name: title, exact: true });
const articles = (page: Page, title: "You" | "A guest") =>
  reader(page, title).getByRole("article").getByRole("paragraph");

async function ready(page: Page): Promise<void> {
  for (const title of ["You", "A guest"]) {
    await expect(page.getByRole("status", { name: `Connection: ${title}` })).toHaveText("Connected");
  }
}

async function subscribe(page: Page): Promise<void> {
  await page.getByRole("button", { name: "Subscribe to premium" }).click();
  await expect(page.getByRole("button", { name: "Back to free" })).toBeEnabled();
}

async function publish(page: Page, content: string, level: "Public" | "Premium"): Promise<void> {
  await page.getByRole("textbox", { name: "Article" }).fill(content);
  await page.getByRole("radio", { name: level }).check();
  await page.getByRole("button", { name: "Publish" }).click();
  await expect(page.getByRole("button", { name: "Publish", exact: true })).toBeEnabled();
}

test("premium articles reach premium readers only", everywhere, async ({ server, visit }) => {
  const desk = await visit(`${server.url}/news`);
  const home = await visit(`${server.url}/news`);
  for (const page of [desk, home]) {
    await ready(page);
    await subscribe(page);
  }
  await publish(desk, "The season opens.", "Public");
  await publish(desk, "Who will be fired.", "Premium");
  await publish(desk, "The season closes.", "Public");

  const all = ["The season closes.", "Who will be fired.", "The season opens."]; // newest first
  const forAll = all.filter((content) => !content.includes("fired"));
  for (const page of [desk, home]) {
    await expect(articles(page, "You")).toHaveText(all);
    await expect(articles(page, "A guest")).toHaveText(forAll);
    // Both readers share a socket; the article was sent on it once.
    expect(received(page).join().split("Who will be fired.")).toHaveLength(2);
  }

  await home.reload();
  await expect(articles(home, "You")).toHaveText(all);
  await expect(articles(home, "A guest")).toHaveText(forAll);
});

test("readers whose link was down get the articles that they may read", async ({ server, link, visit }) => {
  const desk = await visit(`${server.url}/news`);
  const home = await visit(`${link.url}/news`);
  for (const page of [desk, home]) await ready(page);
  await subscribe(home);
  link.refuse();
  await expect(reader(home, "You").getByRole("status", { name: "Notice" })).toContainText("The connection is lost");
  await publish(desk, "The curtain is torn.", "Premium");
  await publish(desk, "The curtain is mended.", "Public");
  link.pass();
  await online(home);
  await expect(articles(home, "You")).toHaveText(["The curtain is mended.", "The curtain is torn."]);
  await expect(articles(home, "A guest")).toHaveText(["The curtain is mended."]);
  await expect(reader(home, "A guest").getByRole("status", { name: "Notice" })).toContainText(
    "1 article came while you were away",
  );
});

test("a subscription takes effect at once and survives a reload, and so does its end", async ({ server, visit }) => {
  const page = await visit(`${server.url}/news`);
  const guest = await visit(`${server.url}/news`);
  for (const p of [page, guest]) await ready(p);
  await publish(page, "The first night.", "Public");
  await publish(page, "The first row.", "Premium");
  await expect(articles(page, "You")).toHaveText(["The first night."]);

  const opened = () => received(page).join().split('"t":"opened"').length;
  const before = opened();
  await subscribe(page);
  const all = ["The first row.", "The first night."];
  await expect(articles(page, "You")).toHaveText(all);
  await expect(articles(page, "A guest")).toHaveText(["The first night."]);
  expect(opened(), "a new connection, because the session is another one").toBe(before + 1);
  await expect(reader(page, "You").getByRole("status", { name: "Notice" })).toBeEmpty();
  await page.reload();
  await expect(articles(page, "You")).toHaveText(all);
  expect(await page.evaluate("document.cookie"), "no script can read the session").toBe("");

  await page.getByRole("button", { name: "Back to free" }).click();
  await expect(articles(page, "You")).toHaveText(["The first night."]);
  await publish(page, "The last row.", "Premium");
  await publish(page, "The last night.", "Public");
  await expect(articles(page, "You")).toHaveText(["The last night.", "The first night."]);
  await expect(articles(guest, "You")).toHaveText(["The last night.", "The first night."]);
  expect(received(guest).join()).not.toContain("row");
});

test("an article that could not be published comes back, before what was written meanwhile", async ({
  server,
  visit,
}) => {
  const page = await visit(`${server.url}/news`);
  await ready(page);
  const article = page.getByRole("textbox", { name: "Article" });
  let answer = () => {};
  const written = new Promise<void>((resolve) => (answer = resolve));
  await page.route("**/publishArticle?**", async (route) => {
    await written;
    await route.fulfill({ status: 503, json: { code: "unavailable", message: "the server is going away" } });
  });
  await article.fill("The first one.");
  await page.getByRole("button", { name: "Publish" }).click();
  await expect(article).toHaveValue("");
  await expect(page.getByRole("button", { name: "Publishing…" })).toBeDisabled();
  await article.fill("The second one.");
  answer();
  await expect(page.getByRole("alert")).toHaveText("Not published: the server is going away.");
  await expect(article).toHaveValue("The first one.\n\nThe second one.");
  await page.unroute("**/publishArticle?**");
  await page.getByRole("button", { name: "Publish" }).click();
  await expect(articles(page, "A guest")).toHaveText(["The first one.\n\nThe second one."]);
});
