// The theme: the system's, or the one that was chosen. The colours themselves are
// in ui/base.css, which follows color-scheme.

import { read } from "../ui/storage";

export type Theme = "system" | "light" | "dark";

export const THEMES: readonly Theme[] = ["system", "light", "dark"];

export const THEME_KEY = "troupe.theme";

export function storedTheme(): Theme {
  const stored = read<Theme>(THEME_KEY, "system");
  return THEMES.includes(stored) ? stored : "system";
}

export function applyTheme(theme: Theme): void {
  document.documentElement.dataset.theme = theme;
}
