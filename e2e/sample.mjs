// Starts bin/troupe and a browser for the scripts that take pictures.

import { chromium } from "@playwright/test";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { findBrowser } from "./browser.mjs";

/**
 * Returns the path of a file of the project.
 *
 * @param {string} path
 */
export const local = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url));

/**
 * Runs a function with a browser and the URL of a server that keeps nothing.
 *
 * @param {(browser: import("@playwright/test").Browser, url: string) => Promise<void>} take
 */
export async function withSample(take) {
  const server = spawn(local("bin/troupe"), ["-addr", "127.0.0.1:0", "-store", "memory", "-log", "warn"], {
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
    await take(browser, url);
  } finally {
    await browser.close();
    if (server.exitCode === null) {
      server.kill("SIGTERM");
      await once(server, "exit");
    }
  }
}
