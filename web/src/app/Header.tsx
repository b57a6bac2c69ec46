import { Logo } from "../ui/icons";
import { base, Link } from "./router";
import { ThemeButton } from "../ui/ThemeButton";

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
