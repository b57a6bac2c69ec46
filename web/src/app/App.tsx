// The shell: header, pages, and where the focus goes when the page changes.
//
// Accessible names: navigation "Main" with links Chat, Game, News · link "Skip to
// content" · button "Theme: system" (or light, dark).

import { useEffect, useRef } from "react";
import "../ui/base.css";
import "./app.css";
import { ChatPage } from "../chat/ChatPage";
import { GamePage } from "../game/GamePage";
import { NewsPage } from "../news/NewsPage";
import { Header } from "./Header";
import { Link, usePath } from "./router";

/** A part of a path as it was meant; one that makes no sense stays as it is. */
function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** The page of a path, and its title. */
function route(path: string) {
  const [page = "chat", name] = path.split("/").filter(Boolean).map(decode);
  switch (page) {
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

  // After a change of page the focus is on its heading, so that a screen reader
  // says where we are, unless the page has put it to a better place.
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
        {element}
      </main>
    </>
  );
}

function NotFound() {
  return (
    <div className="card not-found">
      <h1 tabIndex={-1}>This page is not on the programme</h1>
      <p>
        Perhaps you were looking for <Link href="/chat/general">the chat</Link>, <Link href="/game/arena">the game</Link>{" "}
        or <Link href="/news">the news</Link>.
      </p>
    </div>
  );
}
