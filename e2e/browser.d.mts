export type BrowserName = "chromium" | "firefox" | "webkit";
export function findBrowser(name: BrowserName): string | undefined;
