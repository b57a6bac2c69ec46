// Finds the browsers for the tests: those in the environment (CHROMIUM, FIREFOX), else
// Playwright's own, else those of the system. As a program it prints the path of the
// browser given as its argument (chromium, firefox, webkit), or fails.

import { chromium, firefox, webkit } from "@playwright/test";
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { pathToFileURL } from "node:url";

const browsers = {
  chromium: [
    process.env.CHROMIUM,
    chromium.executablePath(),
    // The headless shell takes about 0.7 of the CPU of Chromium for the same tests.
    ...onPath("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable"),
  ],
  firefox: [process.env.FIREFOX, firefox.executablePath(), ...onPath("firefox-esr", "firefox")],
  // Playwright can drive no WebKit but its own.
  webkit: [webkit.executablePath()],
};

/**
 * @param {string} name
 * @returns {string | undefined}
 */
export function findBrowser(name) {
  return browsers[name]?.find((path) => path && executable(path));
}

/** @param {...string} names */
function onPath(...names) {
  const directories = (process.env.PATH ?? "").split(delimiter);
  return names.flatMap((name) => directories.map((directory) => join(directory, name)));
}

/** @param {string} path */
function executable(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const path = findBrowser(process.argv[2] ?? "chromium");
  if (path) process.stdout.write(`${path}\n`);
  else process.exitCode = 1;
}
