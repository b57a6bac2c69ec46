// Takes the moving picture of the README, docs/images/plug-light.gif and -dark.gif: the
// scene of the home page. Time is virtual, so that every frame is there on any machine.
// "make picture" runs it.

import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { local, withSample } from "./sample.mjs";

const STEP_MS = 100;
const END_MS = 4000; // the last frame stays

/** Plays the scene, and calls shot at each change of the picture with the time since the one before. */
async function film(browser, url, colorScheme, shot) {
  const page = await browser.newPage({
    colorScheme,
    reducedMotion: "reduce",
    viewport: { width: 1100, height: 760 },
  });
  await page.clock.install();
  await page.goto(url);
  for (const name of ["Ada", "Bob"]) {
    await page
      .getByRole("status", { name: `Connection of ${name}` })
      .getByText("Connected")
      .waitFor();
  }
  const stage = page.getByRole("region", { name: "Two people and two plugs" });
  await page.clock.pauseAt(Date.now() + 1000);
  const button = page.getByRole("button", { name: "Play the scene" });
  const box = await stage.boundingBox();
  const clip = { x: 10, y: box.y - 16, width: 1080, height: box.height + 32 };
  let before;
  let since = 0;
  const look = async () => {
    const picture = await page.screenshot({ clip, animations: "disabled", caret: "hide" });
    if (before?.equals(picture)) return;
    if (before) shot(before, since);
    before = picture;
    since = 0;
  };
  await look();
  await button.click();
  do {
    await page.clock.runFor(STEP_MS);
    since += STEP_MS;
    // Frames of the socket arrive in real time: let them arrive before the clock moves.
    await page.waitForTimeout(60);
    await look();
  } while (await button.isHidden());
  shot(before, END_MS);
  await page.close();
}

await withSample(async (browser, url) => {
  for (const colorScheme of ["light", "dark"]) {
    const directory = mkdtempSync(join(tmpdir(), "troupe-picture-"));
    const frames = [];
    await film(browser, url, colorScheme, (picture, ms) => {
      const file = join(directory, `${frames.length}.png`);
      writeFileSync(file, picture);
      frames.push(`${file}=${ms}`);
    });
    execFileSync(
      "go",
      ["run", "-buildvcs=false", "./tool/gif", local(`docs/images/plug-${colorScheme}.gif`), ...frames],
      {
        cwd: local(""),
        stdio: "inherit",
      },
    );
    rmSync(directory, { recursive: true });
  }
});
