// The news room: one page, two readers. Both listen to the same actor; what they
// get differs, because the server looks at the state of each connection.
//
// Accessible names
//   publish    textbox "Category" · textbox "Article" · radio "Public" ·
//              radio "Premium" · button "Publish"
//   readers    region "Free reader" and region "Premium reader", each with
//              log "Articles" (an article per article), status "Notice",
//              status "Connection of the free reader" / "… premium reader"

import "./news.css";
import { PublishForm } from "./PublishForm";
import { Reader } from "./Reader";

export function NewsPage() {
  return (
    <div className="news">
      <header className="page-header">
        <h1 tabIndex={-1}>The Daily Troupe</h1>
        <p>
          Two readers, each with a connection of its own. The server decides what goes to whom: a premium article never
          reaches the free reader&apos;s browser, so there is nothing here to hide.
        </p>
      </header>
      <PublishForm />
      <div className="readers">
        <Reader subscription="free" title="Free reader" />
        <Reader subscription="premium" title="Premium reader" />
      </div>
    </div>
  );
}
