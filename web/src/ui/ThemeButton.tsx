import { useState } from "react";
import { THEMES, storedTheme, storeTheme } from "../app/theme";
import { Icon } from "./icons";

/** Chooses the theme: the system's, light or dark. Its accessible name has the current one. */
export function ThemeButton() {
  const [theme, setTheme] = useState(storedTheme);
  const next = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length]!;
  const change = () => {
    setTheme(next);
    storeTheme(next);
  };
  return (
    <button
      type="button"
      className="icon-button"
      onClick={change}
      aria-label={`Theme: ${theme}`}
      title={`Theme: ${theme}`}
    >
      <Icon name={theme} />
    </button>
  );
}
