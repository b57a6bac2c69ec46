import { defineConfig } from "@playwright/test";
import { findChromium } from "./browser.mjs";

const executablePath = findChromium();
if (!executablePath) {
  throw new Error('no Chromium found: install one, or run "npx playwright install chromium"');
}

export default defineConfig({
  testDir: ".",
  outputDir: "test-results",
  reporter: process.env.CI ? [["list"]] : [["list"], ["html", { outputFolder: "report", open: "never" }]],
  fullyParallel: true,
  workers: 2,
  forbidOnly: !!process.env.CI,
  timeout: 90_000,
  expect: { timeout: 20_000 },
  use: {
    browserName: "chromium",
    trace: "retain-on-failure",
    launchOptions: {
      executablePath,
      // No look-ups of the browser's own, which only fail where there is no network.
      args: [
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-default-apps",
        "--disable-sync",
        "--no-first-run",
      ],
    },
  },
});
