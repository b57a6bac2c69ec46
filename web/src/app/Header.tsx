import { useState } from "react";
import { Icon, Logo } from "../ui/icons";
import { base, Link } from "./router";
import { storedTheme, storeTheme, THEMES } from "./theme";

const PAGES = [
  { section: "chat", href: "/chat/general", label: "Chat" },
  { section: "game", href: "/game/arena", label: "Game" },
  { section: "news", href: "/news", label: "News" },
];

export function Header({ path }: { path: string }) {
  const section = path.split("/")[1];
  return (
    <header className="header">
      <Link href="/" className="brand" aria-label="Troupe, home" aria-current={section ? undefined : "page"}>
        <Logo />
        <span>Troupe</span>
      </Link>
      <nav aria-label="Main">
        {PAGES.map((page) => (
          <Link key={page.section} href={page.href} aria-current={page.section === section ? "page" : undefined}>
            {page.label}
          </Link>
        ))}
        <a href={`${base}/docs/`}>Docs</a>
      </nav>
      <ThemeButton />
    </header>
  );
}

function ThemeButton() {
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
