// Takes the pictures of the documentation, docs/images/chat-light.png and -dark.png:
// the real page of bin/troupe, with people who talk. "make pictures" runs it.

import { chromium } from "@playwright/test";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { findBrowser } from "./browser.mjs";

const local = (path) => fileURLToPath(new URL(path, import.meta.url));

const talk = [
  ["Ada", "Morning! I pulled the plug on the server while you were typing."],
  ["Grace", "I noticed nothing. My message arrived, once."],
  ["Edsger", "My train went through the long tunnel. Everything you said was here when I came out."],
  ["Ada", "Same order for everyone?"],
  ["Grace", "Same order for everyone."],
];

const server = spawn(local("../bin/troupe"), ["-addr", "127.0.0.1:0", "-store", "memory", "-log", "warn"], {
  stdio: ["ignore", "pipe", "inherit"],
});
const browser = await chromium.launch({ executablePath: findBrowser("chromium") });
try {
  let url;
  for await (const line of createInterface({ input: server.stdout })) {
    url = /http:\/\/\S+/.exec(line)?.[0];
    if (url) break;
  }
  if (!url) throw new Error("the server ended before it listened");

  /** Opens the chat for someone, as a browser of their own. */
  const join = async (name) => {
    const context = await browser.newContext({
      locale: "en-GB",
      reducedMotion: "reduce",
      viewport: { width: 1280, height: 720 },
    });
    const page = await context.newPage();
    await page.goto(`${url}/chat/general`);
    await page.getByRole("textbox", { name: "Your name" }).fill(name);
    await page.getByRole("button", { name: "Join" }).click();
    await page.getByRole("status", { name: "Connection" }).getByText("Connected").waitFor();
    return page;
  };

  const pages = {};
  for (const name of ["Ada", "Grace", "Edsger"]) pages[name] = await join(name);
  for (const [name, text] of talk) {
    await pages[name].getByRole("textbox", { name: "Message" }).fill(text);
    await pages[name].getByRole("button", { name: "Send" }).click();
    await pages.Ada.getByRole("log", { name: "Messages" }).getByText(text).waitFor();
  }
  for (const colorScheme of ["light", "dark"]) {
    await pages.Ada.emulateMedia({ colorScheme });
    await pages.Ada.screenshot({
      path: local(`../docs/images/chat-${colorScheme}.png`),
      animations: "disabled",
      caret: "hide",
    });
  }
} finally {
  await browser.close();
  if (server.exitCode === null) {
    server.kill("SIGTERM");
    await once(server, "exit");
  }
}
