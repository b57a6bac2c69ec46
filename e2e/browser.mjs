// Finds the Chromium that the tests use: Playwright's own if it is installed,
// else that of the system. As a program it prints the path, or fails.

import { chromium } from "@playwright/test";
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { pathToFileURL } from "node:url";

const names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/** @returns {string | undefined} */
export function findChromium() {
  const directories = (process.env.PATH ?? "").split(delimiter);
  const candidates = [process.env.CHROMIUM, chromium.executablePath()].concat(
    names.flatMap((name) => directories.map((directory) => join(directory, name))),
  );
  return candidates.find((path) => path && executable(path));
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
  const path = findChromium();
  if (path) process.stdout.write(`${path}\n`);
  else process.exitCode = 1;
}
