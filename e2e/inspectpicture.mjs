// Takes the pictures of the inspector in the README and the documentation:
// docs/images/inspect-*.png. "make pictures" runs it.

import { local, withSample } from "./sample.mjs";

const TOKEN = "the-token-of-the-pictures";
const PORT = 6099;
process.env.TROUPE_INSPECT_TOKEN = TOKEN;

const LINES = [
  "Who moves the piano?",
  "I can, after the rehearsal.",
  "The lights are ready.",
  "Curtain in five minutes!",
  "Break a leg.",
];

/** People who talk in the chat, so that there is something to see. */
async function talk(browser, url, seconds) {
  const people = [];
  for (const name of ["Ada", "Bob", "Cleo"]) {
    const page = await (await browser.newContext()).newPage();
    await page.goto(`${url}/chat/general`);
    await page.getByRole("textbox", { name: "Your name" }).fill(name);
    await page.getByRole("button", { name: "Join" }).click();
    await page.getByRole("status", { name: "Connection" }).getByText("Connected").waitFor();
    people.push(page);
  }
  const game = await (await browser.newContext()).newPage();
  await game.goto(`${url}/game/arena`);
  for (let i = 0; i < seconds * 2; i++) {
    const page = people[i % 3];
    await page.getByRole("textbox", { name: "Message" }).fill(LINES[i % LINES.length]);
    await page.getByRole("button", { name: "Send" }).click();
    await page.waitForTimeout(300 + 200 * Math.abs(Math.sin(i / 7)));
  }
  return people;
}

await withSample(
  async (browser, url) => {
    const people = await talk(browser, url, 45);
    for (const colorScheme of ["light", "dark"]) {
      const context = await browser.newContext({
        colorScheme,
        viewport: { width: 1320, height: 860 },
        reducedMotion: "reduce",
      });
      const page = await context.newPage();
      await page.goto(`http://127.0.0.1:${PORT}/inspect/?token=${TOKEN}`);
      await page.getByRole("link", { name: "chatRoom" }).waitFor();
      await people[0].waitForTimeout(2_500);
      await page.screenshot({ path: local(`docs/images/inspect-overview-${colorScheme}.png`) });

      await page.getByRole("link", { name: "Actors" }).click();
      await page.getByRole("link", { name: "chatRoom general" }).click();
      await page.getByRole("button", { name: "View as #2" }).click();
      for (const [i, person] of people.entries()) {
        await person.getByRole("textbox", { name: "Message" }).fill(LINES[i]);
        await person.getByRole("button", { name: "Send" }).click();
      }
      await page.getByRole("table", { name: "Recent turns" }).getByText("sendMessage").nth(2).waitFor();
      await people[0].waitForTimeout(1_000);
      await page.screenshot({ path: local(`docs/images/inspect-actor-${colorScheme}.png`) });
      await context.close();
    }
  },
  ["-debug-addr", `127.0.0.1:${PORT}`, "-inspect", "write"],
);
