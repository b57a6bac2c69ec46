import type { Page } from "@playwright/test";
import { everywhere, expect, test } from "./fixtures";

const person = (page: Page, name: string) => {
  const card = page.getByRole("region", { name, exact: true });
  return {
    lines: card.getByRole("listitem").getByRole("paragraph"),
    waiting: card.getByText("waits for the plug"),
    pull: () => card.getByRole("button", { name: `Pull ${name}’s plug` }).click(),
    insert: () => card.getByRole("button", { name: `Plug ${name} back in` }).click(),
    connection: card.getByRole("status", { name: `Connection of ${name}` }),
    say: async (text: string) => {
      await card.getByRole("textbox", { name: `Line of ${name}` }).fill(text);
      await card.getByRole("button", { name: `Say it as ${name}` }).click();
    },
  };
};

const events = (page: Page) => page.getByRole("log", { name: "Events" }).getByRole("listitem");
const score = (page: Page) => page.getByRole("status", { name: "Score" });

test("the scene: Bob's plug is pulled, and he gets every line once", everywhere, async ({ server, visit }) => {
  const page = await visit(server.url);
  await expect(person(page, "Bob").connection).toHaveText("Connected");
  await page.getByRole("button", { name: "Play the scene" }).click();
  await expect(score(page)).toHaveText("Bob has 2 of 5 lines.");
  await expect(score(page)).toHaveText("Bob has all 8 lines, each once, in order.");
  await expect(events(page).filter({ hasText: "replayed" })).toHaveText([
    "#3 spoken Ada: Act II: the lights go out. replayed",
    "#4 spoken Ada: It was the butler. replayed",
    "#5 spoken Ada: No. It was the cat. replayed",
    "reconnected recovered=true replayed=3",
  ]);
  await expect(page.getByRole("button", { name: "Play the scene" })).toBeEnabled();
});

test("with both plugs pulled, and a killed server, nothing is lost", async ({ server, visit }) => {
  const page = await visit(server.url);
  const [ada, bob] = [person(page, "Ada"), person(page, "Bob")];
  await ada.say("one");
  await expect(bob.lines).toHaveText(["one"]);
  await bob.pull();
  await expect(bob.connection).toHaveText("Reconnecting…");
  await ada.say("two");
  await expect(ada.lines).toHaveText(["one", "two"]);
  await bob.say("three");
  await expect(bob.waiting).toHaveCount(1);
  await ada.pull();
  await ada.say("four");
  await server.stop("SIGKILL");
  await server.start();
  await expect(bob.lines).toHaveText(["one", "three"]);
  await bob.insert();
  await expect(bob.lines).toHaveText(["one", "two", "three"]);
  await ada.insert();
  await expect(ada.lines).toHaveText(["one", "two", "three", "four"]);
  await expect(bob.lines).toHaveText(["one", "two", "three", "four"]);
  await expect(score(page)).toHaveText("Bob has all 4 lines, each once, in order.");
});

test("on a phone, what is said moves no plug", async ({ server, visit }) => {
  const page = await visit(server.url, { viewport: { width: 390, height: 844 } });
  /** How far below the page's title Bob is. */
  const top = () =>
    page.evaluate(() => {
      const [title, bob] = ["h1", "[aria-label=Bob]"].map((one) =>
        document.querySelector(one)!.getBoundingClientRect(),
      );
      return bob!.top - title!.top;
    });
  const before = await top();
  await person(page, "Ada").say("one");
  await expect(score(page)).toHaveText("Bob has the line, each once, in order.");
  expect(await top()).toBeCloseTo(before, 0);
  await person(page, "Bob").pull();
  await person(page, "Ada").say("two");
  await expect(score(page)).toHaveText("Bob has 1 of 2 lines.");
  expect(await top()).toBeCloseTo(before, 0);
});

test("a reload keeps the lines, and another tab has its own", async ({ server, visit }) => {
  const page = await visit(server.url);
  await person(page, "Ada").say("mine");
  await expect(person(page, "Bob").lines).toHaveText(["mine"]);
  await page.reload();
  await expect(person(page, "Bob").lines).toHaveText(["mine"]);
  const other = await visit(server.url);
  await expect(person(other, "Bob").connection).toHaveText("Connected");
  await expect(person(other, "Bob").lines).toHaveCount(0);
});

test("the code on the page is that of the project", async ({ server, visit }) => {
  const page = await visit(server.url, { viewport: { width: 1200, height: 900 } });
  await expect(page.getByRole("region", { name: "backend/rooms/stage.go" })).toContainText("func (s *Stage) Say(");
  await expect(page.getByRole("region", { name: "web/src/home/useStage.ts" })).toContainText("useOptimisticAction(");
});
