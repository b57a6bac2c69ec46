// The inspector's shell: header, pages, focus on navigation, as the sample's.
//
// Accessible names: navigation "Inspector" with links Overview, Actors · link "Skip to content"

import { useEffect, useRef } from "react";
import "../ui/base.css";
import "./inspect.css";
import { ErrorBoundary } from "../app/ErrorBoundary";
import { Link, usePath } from "../app/router";
import { Logo } from "../ui/icons";
import { ThemeButton } from "../ui/ThemeButton";
import { ActorPage } from "./ActorPage";
import { ActorsPage } from "./ActorsPage";
import { OverviewPage } from "./OverviewPage";

const PAGES = [
  { href: "/", label: "Overview" },
  { href: "/actors", label: "Actors" },
];

function route(path: string) {
  const [page, id] = path.split("/").filter(Boolean);
  if (page === "actors" && id) return { section: "/actors", title: "Actor", element: <ActorPage key={id} id={id} /> };
  if (page === "actors") return { section: "/actors", title: "Actors", element: <ActorsPage /> };
  return { section: "/", title: "Overview", element: <OverviewPage /> };
}

export function App() {
  const path = usePath();
  const { section, title, element } = route(path);
  const main = useRef<HTMLElement>(null);
  const shown = useRef(path);

  useEffect(() => {
    document.title = `${title} · Inspector`;
  }, [title]);

  useEffect(() => {
    if (shown.current === path) return;
    shown.current = path;
    main.current?.scrollTo(0, 0);
    main.current?.querySelector("h1")?.focus();
  }, [path]);

  return (
    <>
      <a className="skip" href="#main">
        Skip to content
      </a>
      <header className="bar">
        <Link href="/" className="brand" aria-label="Troupe inspector, overview">
          <Logo />
          <span>Inspector</span>
        </Link>
        <nav aria-label="Inspector">
          {PAGES.map(({ href, label }) => (
            <Link key={href} href={href} aria-current={href === section ? "page" : undefined}>
              {label}
            </Link>
          ))}
        </nav>
        <ThemeButton />
      </header>
      {/* A Tab stop: before its data is there, a page may hold nothing else that takes the focus, yet has to be scrolled. */}
      <main id="main" ref={main} tabIndex={0}>
        <ErrorBoundary key={path}>{element}</ErrorBoundary>
      </main>
    </>
  );
}
