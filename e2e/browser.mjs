// Finds the browsers that the tests use: Playwright's own if they are installed,
// else those of the system (or of the environment: CHROMIUM, FIREFOX). As a program
// it prints the path of the one that is named (chromium, firefox, webkit), or fails.

import { chromium, firefox, webkit } from "@playwright/test";
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { pathToFileURL } from "node:url";

const browsers = {
  chromium: [process.env.CHROMIUM, chromium.executablePath(), ...onPath("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")],
  firefox: [process.env.FIREFOX, firefox.executablePath(), ...onPath("firefox-esr", "firefox")],
  // No WebKit but Playwright's own can be driven.
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
