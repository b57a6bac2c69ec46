// The theme: the system's, or the one the user chose. The colours are in
// ui/base.css, which follows color-scheme.

import { read, write } from "../ui/storage";

export type Theme = "system" | "light" | "dark";

export const THEMES: readonly Theme[] = ["system", "light", "dark"];

const KEY = "troupe.theme";
const BACKGROUND = { light: "#fbf8f3", dark: "#17131a" };

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
  // The colour of the browser's own UI. There is one meta element for each of the system's themes.
  for (const meta of document.querySelectorAll<HTMLMetaElement>('meta[name="theme-color"]')) {
    meta.content = BACKGROUND[theme === "system" ? (meta.media.includes("dark") ? "dark" : "light") : theme];
  }
}
