// The news room: one page with two readers of the same actor. They get different
// articles, because the server knows what each may read: you, by the session in your
// cookie, and a guest without a session.
//
// Accessible names
//   publish    textbox "Category" · textbox "Article" · radio "Public" ·
//              radio "Premium" · button "Publish"
//   readers    region "You" and region "A guest", each with log "Articles" (an
//              article per article), status "Notice", status "Connection: You" /
//              "Connection: A guest"
//   You        button "Subscribe to premium" or button "Back to free"

import "./news.css";
import { useRef, useState } from "react";
import type { Subscription } from "../registry.gen";
import { failure } from "../ui/failure";
import { PublishForm } from "./PublishForm";
import { Reader } from "./Reader";
import { setSubscription } from "./session";
import { useNews } from "./useNews";

export function NewsPage() {
  return (
    <div className="news">
      <header className="page-header">
        <h1 tabIndex={-1}>The Daily Troupe</h1>
        <p>
          Two readers, each with their own connection. The server decides who gets which article: premium articles are
          never sent to a reader without a subscription.
        </p>
      </header>
      <PublishForm />
      <div className="readers">
        <You />
        <Guest />
      </div>
    </div>
  );
}

function Guest() {
  return <Reader news={useNews({ subscription: "free" })} title="A guest" linkIsToldOf />;
}

function You() {
  const pass = useRef<string>(undefined); // of the last change, for connections that were opened before it
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState("");
  const news = useNews(() => ({ pass: pass.current }));
  const premium = news.subscription === "premium";

  /** Returns why it failed, or "". */
  const subscribe = async (to: Subscription) => {
    const { connection } = news;
    try {
      pass.current = await setSubscription(to);
      await connection!.refresh();
      return "";
    } catch (thrown) {
      // The link was lost: the next one has the new session anyway.
      return thrown instanceof DOMException ? "" : failure("changed", thrown);
    }
  };
  const change = async () => {
    setBusy(true);
    setError(await subscribe(premium ? "free" : "premium"));
    setBusy(false);
  };

  return (
    <Reader news={news} title="You">
      <p className="plan">
        <span>{premium ? "You can read every article." : "You can read the public articles."}</span>
        <button
          type="button"
          className={premium ? "" : "primary"}
          disabled={busy || !news.subscription}
          onClick={change}
        >
          {premium ? "Back to free" : "Subscribe to premium"}
        </button>
      </p>
      {error && <p role="alert">{error}</p>}
    </Reader>
  );
}
