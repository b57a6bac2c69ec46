// Takes the pictures that the page's head names: web/src/icons. "make pictures" runs it.

import { readFileSync, writeFileSync } from "node:fs";
import { local, withSample } from "./sample.mjs";

/** The picture that is shown beside links to the page: its top, while Bob's plug is pulled. */
async function takeSocial(browser, url) {
  const page = await browser.newPage({ reducedMotion: "reduce", viewport: { width: 1200, height: 630 } });
  await page.goto(url);
  await page.getByRole("button", { name: "Play the scene" }).click();
  await page.getByText("Bob has 2 of 5 lines.").waitFor();
  await page.screenshot({ path: local("web/src/icons/social.png"), animations: "disabled", caret: "hide" });
}

/** The icon as PNG, and in an ICO file, which may have a PNG in it. */
async function takeIcons(browser) {
  const svg = readFileSync(local("web/src/icon.svg"), "utf8");
  const draw = async (size, image) => {
    const page = await browser.newPage({ viewport: { width: size, height: size } });
    await page.setContent(`<body style="margin:0">${image.replace("<svg", '<svg style="display:block"')}</body>`);
    const png = await page.screenshot({ omitBackground: true });
    await page.close();
    return png;
  };
  // Systems cut corners of their own.
  const square = svg
    .replace('rx="8"', "")
    .replace("M0 8a8 8 0 0 1 8-8h5.5", "M0 0h13.5")
    .replace("M32 8a8 8 0 0 0-8-8h-5.5", "M32 0h-13.5");
  writeFileSync(local("web/src/icons/app.png"), await draw(512, square));
  writeFileSync(local("web/src/icons/touch.png"), await draw(180, square));

  const png = await draw(32, svg);
  const head = Buffer.alloc(22);
  head.writeUInt16LE(1, 2); // an icon
  head.writeUInt16LE(1, 4); // one image
  head.writeUInt8(32, 6); // its width
  head.writeUInt8(32, 7); // and height
  head.writeUInt16LE(1, 10); // planes
  head.writeUInt16LE(32, 12); // bits per pixel
  head.writeUInt32LE(png.length, 14);
  head.writeUInt32LE(head.length, 18); // where it begins
  writeFileSync(local("web/src/icons/favicon.ico"), Buffer.concat([head, png]));
}

await withSample(async (browser, url) => {
  await takeSocial(browser, url);
  await takeIcons(browser);
});
