// The news room: one page, two readers of the same actor. What they get differs,
// because the server knows what each of them may read: you, by the session in your
// cookie, and a guest, who reads as somebody without one.
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
          Two readers, each with a connection of its own. The server decides what goes to whom: a premium article never
          reaches the browser of a reader who does not pay, so there is nothing here to hide.
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
  return <Reader news={useNews({ subscription: "free" })} title="A guest" />;
}

function You() {
  const pass = useRef<string>(undefined); // of the last change, for the connections that were there before
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState("");
  const news = useNews(() => ({ pass: pass.current }));
  const premium = news.subscription === "premium";

  const change = async () => {
    setBusy(true);
    setError("");
    try {
      pass.current = await setSubscription(premium ? "free" : "premium");
      await news.connection?.refresh();
    } catch (thrown) {
      // Without a link the next one has the new session anyway.
      if (!(thrown instanceof DOMException)) setError(failure("changed", thrown));
    }
    setBusy(false);
  };

  return (
    <Reader news={news} title="You">
      <p className="plan">
        {premium ? "You read everything." : "You read what is free."}
        <button type="button" disabled={busy || !news.subscription} onClick={change}>
          {premium ? "Back to free" : "Subscribe to premium"}
        </button>
      </p>
      {error && <p role="alert">{error}</p>}
    </Reader>
  );
}
