// The home page: what this is, shown by two people whose links can be cut.
//
// Accessible names
//   scene      button "Play the scene" · status "Score"
//   a person   region "Ada" · status "Connection of Ada" · button "Pull Ada’s plug" (or
//              "Plug Ada back in") · log "What Ada sees" with a listitem per line · textbox "Line of Ada" ·
//              button "Say it as Ada"
//   the log    region "What Bob's client heard", log "Events" with a listitem per event
//   in dev     button "Kill the server" · link "Look into the server"

import { useState } from "react";
import "./home.css";
import { base, Link } from "../app/router";
import { Code } from "./Code";
import { Drama } from "./Drama";
import { Picture } from "./Picture";

const SOURCE = "https://github.com/troupe-dev/troupe";

const SAMPLES = [
  { href: "/chat/general", picture: "chat", title: "Chat", text: "Rooms, who is here, who is typing, unread counts." },
  { href: "/game/arena", picture: "game", title: "Game", text: "A minute on stage: who catches the spotlight most?" },
  { href: "/news", picture: "news", title: "News", text: "Articles that only subscribers get, decided on the server." },
] as const;

const REASONS = [
  {
    title: "An action is one commit",
    text: "It changes the actor's state and emits events, all on disk before anybody sees it. A killed server loses nothing that you have seen.",
  },
  {
    title: "Every event has a number",
    text: "A connection is a position in the actor's log. When the link is back, the client names its position and gets the rest, in order, once.",
  },
  {
    title: "So has every call",
    text: "What was sent without an answer is sent again, and runs once: the server knows the numbers it has seen.",
  },
];

export function HomePage() {
  const [file, setFile] = useState<"go" | "react">("go");
  return (
    <div className="home">
      <header className="hero">
        <h1 tabIndex={-1}>
          Pull the plug. <em>Nothing is lost.</em>
        </h1>
        <p>
          Troupe is a realtime backend: actors in Go, hooks in React, one binary. Cut Bob off below, talk on as Ada, and
          plug him back in.
        </p>
      </header>
      <Drama />
      <section className="section" aria-labelledby="why">
        <h2 id="why">Why nothing is lost</h2>
        <ol className="reasons">
          {REASONS.map(({ title, text }) => (
            <li key={title}>
              <h3>{title}</h3>
              <p>{text}</p>
            </li>
          ))}
        </ol>
      </section>
      <section className="section" aria-labelledby="code">
        <h2 id="code">All of it</h2>
        <p className="muted">These two files run above. There is no code for lost links in them.</p>
        <div className="code-pair" data-file={file}>
          <div className="code-choice">
            {(["go", "react"] as const).map((name) => (
              <button key={name} type="button" aria-pressed={file === name} onClick={() => setFile(name)}>
                {name === "go" ? "Go" : "React"}
              </button>
            ))}
          </div>
          <Code of="go" />
          <Code of="react" />
        </div>
      </section>
      <section className="section" aria-labelledby="samples">
        <h2 id="samples">Come on stage</h2>
        <ul className="samples">
          {SAMPLES.map(({ href, picture, title, text }) => (
            <li key={href}>
              <Link href={href} className="card">
                <Picture name={picture} />
                <strong>{title}</strong>
                <span>{text}</span>
              </Link>
            </li>
          ))}
        </ul>
      </section>
      <section className="section start" aria-labelledby="start">
        <h2 id="start">Try to break it</h2>
        <p>
          You need Go and Node. <code>make dev</code> serves this page, rebuilds what you save, and gives you a button
          that kills the server.
        </p>
        <p className="actions">
          <a className="button primary" href={`${base}/docs/tutorial`}>
            Write your first actor
          </a>
          <a className="button" href={`${base}/docs/guarantees`}>
            Read the guarantees
          </a>
        </p>
      </section>
      <footer className="footer">
        <nav aria-label="More">
          <a href={`${base}/docs/`}>Documentation</a>
          <a href={`${base}/docs/comparison`}>Comparison</a>
          <a href={`${base}/docs/benchmarks`}>Benchmarks</a>
          <a href={SOURCE}>Source code</a>
          <a href={`${base}/licenses.txt`}>Licences</a>
        </nav>
        <p>Troupe is free software under the MIT licence.</p>
      </footer>
    </div>
  );
}
