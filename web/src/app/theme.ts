// The theme: the system's, or the one that was chosen. The colours themselves are
// in ui/base.css, which follows color-scheme.

import { read, write } from "../ui/storage";

export type Theme = "system" | "light" | "dark";

export const THEMES: readonly Theme[] = ["system", "light", "dark"];

const KEY = "troupe.theme";
const PAPER = { light: "#fbf8f3", dark: "#17131a" };

export function storedTheme(): Theme {
  const stored = read<Theme>(KEY, "system");
  return THEMES.includes(stored) ? stored : "system";
}

export function storeTheme(theme: Theme): void {
  write(KEY, theme);
  applyTheme(theme);
}

export function applyTheme(theme: Theme): void {
  document.documentElement.dataset.theme = theme;
  // What the browser shows around the page: it has one colour for each of the system's themes.
  for (const meta of document.querySelectorAll<HTMLMetaElement>('meta[name="theme-color"]')) {
    meta.content = PAPER[theme === "system" ? (meta.media.includes("dark") ? "dark" : "light") : theme];
  }
}
