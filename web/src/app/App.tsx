// The shell: header, pages, and focus management on navigation.
//
// Accessible names: navigation "Main" with links Chat, Game, News · link "Skip to
// content" · button "Theme: system" (or light, dark).

import { useEffect, useRef } from "react";
import "../ui/base.css";
import "./app.css";
import { ChatPage } from "../chat/ChatPage";
import { GamePage } from "../game/GamePage";
import { NewsPage } from "../news/NewsPage";
import { HomePage } from "../home/HomePage";
import { ErrorBoundary } from "./ErrorBoundary";
import { Header } from "./Header";
import { Link, usePath } from "./router";

/** Decodes a part of a path. Returns it unchanged if it is not valid. */
function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** Returns the page of a path, and its title. */
function route(path: string) {
  const [page, name] = path.split("/").filter(Boolean).map(decode);
  switch (page) {
    case undefined:
      return { title: "Pull the plug. Nothing is lost.", element: <HomePage /> };
    case "chat":
      return { title: `#${name ?? "general"}`, element: <ChatPage room={name ?? "general"} /> };
    case "game":
      return { title: `Game: ${name ?? "arena"}`, element: <GamePage room={name ?? "arena"} /> };
    case "news":
      return { title: "News", element: <NewsPage /> };
    default:
      return { title: "Not found", element: <NotFound /> };
  }
}

export function App() {
  const path = usePath();
  const { title, element } = route(path);
  const main = useRef<HTMLElement>(null);
  const shown = useRef(path);

  useEffect(() => {
    document.title = `${title} · Troupe`;
  }, [title]);

  // After navigation, focus the new page's heading, so that a screen reader reads it, unless the page
  // has moved the focus itself.
  useEffect(() => {
    if (shown.current === path) return;
    shown.current = path;
    if (!main.current?.contains(document.activeElement)) main.current?.querySelector("h1")?.focus();
  }, [path]);

  return (
    <>
      <a className="skip" href="#main">
        Skip to content
      </a>
      <Header path={path} />
      <main id="main" ref={main} tabIndex={-1}>
        <ErrorBoundary key={path}>{element}</ErrorBoundary>
      </main>
    </>
  );
}

function NotFound() {
  return (
    <div className="card not-found">
      <h1 tabIndex={-1}>Page not found</h1>
      <p>
        Were you looking for <Link href="/chat/general">the chat</Link>, <Link href="/game/arena">the game</Link> or{" "}
        <Link href="/news">the news</Link>?
      </p>
    </div>
  );
}
