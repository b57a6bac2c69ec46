import { type ReactNode } from "react";
import type { Article } from "../registry.gen";
import { ConnectionBanner } from "../ui/ConnectionBanner";
import { ConnectionStatus } from "../ui/ConnectionStatus";
import { count, formatWhen } from "../ui/text";
import { UserText } from "../ui/UserText";
import type { useNews } from "./useNews";

interface Props {
  news: ReturnType<typeof useNews>;
  title: string;
  /** Whether another reader of the page tells of a lost link. */
  linkIsToldOf?: boolean;
  children?: ReactNode;
}

export function Reader({ news, title, linkIsToldOf, children }: Props) {
  const { articles = [], subscription } = news;
  return (
    <section className="card reader" aria-label={title} data-subscription={subscription}>
      <header>
        <h2>{title}</h2>
        <span className="count">{count(articles.length, "article")}</span>
        <ConnectionStatus status={news.status} label={`Connection: ${title}`} />
      </header>
      {children}
      <ConnectionBanner
        actor={news}
        linkIsToldOf={linkIsToldOf}
        caughtUp={({ replayed }) =>
          replayed
            ? `Back online. ${count(replayed, "article")} came while you were away.`
            : "Back online. You missed nothing."
        }
      />
      <div role="log" aria-label="Articles" tabIndex={0}>
        {news.articles?.length === 0 && <p className="muted">Nothing has been published yet.</p>}
        {newestFirst(articles).map((article) => (
          <ArticleCard key={article.id} article={article} />
        ))}
      </div>
    </section>
  );
}

const newestFirst = (articles: readonly Article[]) => [...articles].sort((a, b) => b.timestamp - a.timestamp);

function ArticleCard({ article }: { article: Article }) {
  return (
    <article data-level={article.level}>
      <header>
        <strong dir="auto">{article.category || "News"}</strong>
        {article.level === "premium" && <span className="premium-badge">Premium</span>}
        <time dateTime={new Date(article.timestamp).toISOString()}>{formatWhen(article.timestamp)}</time>
      </header>
      <UserText text={article.content} />
    </article>
  );
}
