import type { Page } from "@playwright/test";
import { everywhere, expect, online, received, stopClock, test } from "./fixtures";

type Visit = (url: string, options?: { session?: Record<string, unknown> }) => Promise<Page>;

/** Enters the game as a player, and returns once connected. */
async function play(visit: Visit, url: string, name: string): Promise<Page> {
  const page = await visit(`${url}/game/arena`, { session: { "troupe.player": name } });
  await expect(page.getByRole("status", { name: "Connection" })).toHaveText("Connected");
  return page;
}

const players = (page: Page) => page.getByRole("region", { name: "Players" }).getByRole("listitem");
const whispers = (page: Page) => page.getByRole("log", { name: "Whispers" }).getByRole("listitem");
const stage = (page: Page) => page.getByRole("application", { name: /^Stage/ });

/** The picture of the stage. */
const picture = (page: Page) => stage(page).evaluate((canvas) => (canvas as HTMLCanvasElement).toDataURL());

test("players join, move and leave", everywhere, async ({ server, visit, browserName }) => {
  const ada = await play(visit, server.url, "Ada");
  const bob = await play(visit, server.url, "Bob");
  await expect(players(ada)).toContainText(["Ada (you)", "Bob"]);
  await expect(players(bob)).toContainText(["Ada", "Bob (you)"]);

  const before = await picture(bob);
  await stage(ada).focus();
  await ada.keyboard.down("ArrowRight");
  await expect.poll(() => received(bob).filter((frame) => frame.includes('"playerMoved"')).length).toBeGreaterThan(2);
  await ada.keyboard.up("ArrowRight");
  await expect.poll(() => picture(bob), "what Bob sees").not.toBe(before);
  expect(received(ada).join(), "Ada's own moves").not.toContain('"playerMoved"');

  await bob.close();
  // Firefox may lose the goodbye of a page. Then the server takes it as gone after 10 s.
  await expect(players(ada)).toHaveText([/Ada/], browserName === "firefox" ? { timeout: 15_000 } : {});
  await expect(ada.getByRole("log", { name: "Game log" })).toContainText("Bob left.");
});

test("a player moves to where the stage is touched", async ({ server, visit, request }) => {
  const ada = await play(visit, server.url, "Ada");
  const box = (await stage(ada).boundingBox())!;
  await ada.mouse.click(box.x + box.width * 0.9, box.y + box.height * 0.9);
  const position = async () => {
    const response = await request.post(`${server.url}/api/actors/gameRoom/actions/getGame?key=arena`, {
      data: { args: [] },
    });
    const { result } = (await response.json()) as {
      result: { players: Record<string, { position: { x: number; y: number } }> };
    };
    const at = result.players.Ada!.position;
    return Math.round(at.x / 100) * 100 + Math.round(at.y / 100);
  };
  await expect.poll(position, "in hundreds: x 900, y 5").toBe(905);
});

test("a whisper reaches one player only", async ({ server, visit }) => {
  const ada = await play(visit, server.url, "Ada");
  const bob = await play(visit, server.url, "Bob");
  const cleo = await play(visit, server.url, "Cleo");
  await expect(players(ada)).toContainText(["Ada", "Bob", "Cleo"]);

  await ada.getByRole("combobox", { name: "Whisper to" }).selectOption("Bob");
  await ada.getByRole("textbox", { name: "Whisper" }).fill("meet me behind the curtain");
  await ada.getByRole("button", { name: "Send whisper" }).click();
  await expect(whispers(bob)).toContainText(["meet me behind the curtain"]);
  await expect(whispers(bob)).toContainText(["Ada to you"]);
  await expect(whispers(ada)).toContainText(["You to Bob"]);

  // Events arrive in order: when Cleo sees this one, she would already have seen the whisper.
  await ada.getByRole("button", { name: "Start game" }).click();
  await expect(cleo.getByRole("status", { name: "Game", exact: true })).toContainText("started");
  await expect(whispers(cleo)).toHaveCount(0);
  expect(received(cleo).join()).not.toContain("curtain");
});

test("a whisper for a player who has left goes to nobody else", async ({ server, visit }) => {
  const ada = await play(visit, server.url, "Ada");
  const bob = await play(visit, server.url, "Bob");
  const cleo = await play(visit, server.url, "Cleo");
  await ada.bringToFront(); // only one window has the focus
  await ada.getByRole("button", { name: "Whisper to Bob" }).click();
  const input = ada.getByRole("textbox", { name: "Whisper" });
  await expect(input).toBeFocused();
  await input.fill("for Bob");
  await bob.close();
  await expect(ada.getByText("Bob left.", { exact: true }).first()).toBeVisible();
  await expect(ada.getByRole("button", { name: "Send whisper" })).toBeDisabled();
  await input.press("Enter");
  await expect(input).toHaveValue("for Bob");
  await expect(ada.getByRole("combobox", { name: "Whisper to" })).toHaveValue("Bob");

  await ada.getByRole("combobox", { name: "Whisper to" }).selectOption("Cleo");
  await input.fill("for Cleo");
  await input.press("Enter");
  await expect(whispers(cleo)).toHaveText([/for Cleo/]);
});

test("a player who leaves while a button is pressed does not move it away", async ({ server, visit }) => {
  const ada = await play(visit, server.url, "Ada");
  const bob = await play(visit, server.url, "Bob");
  await play(visit, server.url, "Cleo");
  await expect(players(ada)).toContainText(["Ada", "Bob", "Cleo"]);
  await ada.getByRole("button", { name: "Whisper to Cleo" }).hover();
  await stopClock(ada);
  await ada.mouse.down();
  await bob.close();
  await expect(ada.getByText("Bob left.", { exact: true }).first()).toBeVisible();
  await expect(players(ada), "so far").toContainText(["Ada", "Bob", "Cleo"]);
  await ada.mouse.up();
  await ada.clock.runFor(1_000);
  await expect(players(ada)).toContainText(["Ada", "Cleo"]);
  await expect(ada.getByRole("combobox", { name: "Whisper to" })).toHaveValue("Cleo");
});

test("every start of the game is shown", async ({ server, visit }) => {
  const ada = await play(visit, server.url, "Ada");
  const bob = await play(visit, server.url, "Bob");
  const log = bob.getByRole("log", { name: "Game log" });
  await ada.getByRole("button", { name: "Start game" }).click();
  await expect(log).toContainText("The game has started!");
  await bob.getByRole("button", { name: "Start again" }).click();
  await expect(log).toContainText("The game has started again!");
});

test("who reaches the spotlight gets a point, and the light moves on", async ({ server, visit, request }) => {
  const ada = await play(visit, server.url, "Ada");
  const bob = await play(visit, server.url, "Bob");
  await expect(ada.getByRole("timer")).toHaveCount(0);
  await ada.getByRole("button", { name: "Start game" }).click();
  await expect(bob.getByRole("timer")).toHaveText(/^\d+ s$/);
  const light = async () => {
    const response = await request.post(`${server.url}/api/actors/gameRoom/actions/getGame?key=arena`, {
      data: { args: [] },
    });
    const { result } = (await response.json()) as { result: { round: { spotlight: { x: number; y: number } } } };
    return result.round.spotlight;
  };
  const before = await light();
  const box = (await stage(ada).boundingBox())!;
  await ada.mouse.click(box.x + (box.width * before.x) / 1000, box.y + (box.height * before.y) / 600);
  for (const page of [ada, bob]) await expect(players(page).filter({ hasText: "Ada" })).toContainText("1 point");
  await expect(players(bob).filter({ hasText: "Bob" })).toContainText("0 points");
  expect(await light()).not.toEqual(before);
});

test("a tab opened from another tab is another player", async ({ server, visit }) => {
  const page = await visit(`${server.url}/game/arena`);
  const me = (tab: Page) => players(tab).filter({ hasText: "(you)" });
  const name = await me(page).textContent();
  const [other] = await Promise.all([page.waitForEvent("popup"), page.evaluate(() => void window.open(location.href))]);
  for (const tab of [page, other]) await expect(players(tab)).toHaveCount(2);
  await expect(me(other)).not.toHaveText(name!);
  await page.reload();
  await expect(me(page)).toHaveText(name!);
});

test("a whisper waits while the player's link is down", async ({ server, link, visit }) => {
  const ada = await play(visit, server.url, "Ada");
  const bob = await play(visit, link.url, "Bob");
  await expect(players(ada)).toContainText(["Ada", "Bob"]);
  link.refuse();
  await expect(bob.getByRole("status", { name: "Notice" })).toContainText("The connection is lost");
  await ada.getByRole("textbox", { name: "Whisper" }).fill("are you there?");
  await ada.getByRole("button", { name: "Send whisper" }).click();
  await expect(whispers(ada)).toHaveText([/are you there\?$/]);
  link.pass();
  await online(bob);
  await expect(whispers(bob)).toContainText(["are you there?"]);
  await expect(whispers(bob)).toHaveCount(1);
});
