import { defineConfig, firefox, type Project } from "@playwright/test";
import { type BrowserName, findBrowser } from "./browser.mjs";

const found = (["chromium", "firefox", "webkit"] as const).flatMap((name) => {
  const executablePath = findBrowser(name);
  return executablePath ? [{ name, executablePath }] : [];
});
if (found.length === 0) {
  throw new Error('no browser found: install Chromium or Firefox, or run "npx playwright install chromium"');
}

const options: Record<BrowserName, (executablePath: string) => Project["use"]> = {
  chromium: (executablePath) => ({
    launchOptions: {
      executablePath,
      // Disable look-ups by the browser itself, which fail without a network.
      args: [
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-default-apps",
        "--disable-sync",
        "--no-first-run",
      ],
    },
  }),
  // A Firefox that is not Playwright's is driven over WebDriver BiDi.
  firefox: (executablePath) => ({
    ...(executablePath !== firefox.executablePath() && { channel: "moz-firefox" }),
    launchOptions: {
      executablePath,
      // Without a screen it finds no mouse: a fine pointer (2) that can hover (4).
      firefoxUserPrefs: { "ui.primaryPointerCapabilities": 6, "ui.allPointerCapabilities": 6 },
    },
  }),
  webkit: (executablePath) => ({ launchOptions: { executablePath } }),
};

export default defineConfig({
  testDir: ".",
  outputDir: "test-results",
  reporter: process.env.CI ? [["list"]] : [["list"], ["html", { outputFolder: "report", open: "never" }]],
  fullyParallel: true,
  workers: 4, // on two cores: a worker waits for its browser and for time to pass more than half of the time
  forbidOnly: !!process.env.CI,
  timeout: 90_000,
  expect: { timeout: 20_000 },
  use: { trace: process.env.CI ? "off" : "retain-on-failure" }, // a trace costs much time, and nobody sees that of a CI machine
  // The first browser runs all tests, the others only those in which browsers differ. With
  // BROWSERS=all (make test-browsers) all browsers run all tests, which takes minutes longer.
  projects: found.map(({ name, executablePath }, i) => ({
    name,
    ...(i > 0 && process.env.BROWSERS !== "all" && { grep: /@everywhere/ }),
    use: { browserName: name, ...options[name](executablePath) },
  })),
});
