import type { Article, Subscription } from "../registry.gen";
import { ConnectionBanner } from "../ui/ConnectionBanner";
import { ConnectionStatus } from "../ui/ConnectionStatus";
import { count, formatWhen } from "../ui/text";
import { useNews } from "./useNews";

export function Reader({ subscription, title }: { subscription: Subscription; title: string }) {
  const news = useNews(subscription);
  const articles = news.articles ?? [];
  return (
    <section className="card reader" aria-label={title} data-subscription={subscription}>
      <header>
        <h2>{title}</h2>
        <span className="count">{count(articles.length, "article")}</span>
        <ConnectionStatus status={news.status} label={`Connection of the ${subscription} reader`} />
      </header>
      <ConnectionBanner
        actor={news}
        caughtUp={({ replayed }) =>
          replayed ? `Back online. ${count(replayed, "article")} came while you were away.` : "Back online. You missed nothing."
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
        <strong>{article.category || "News"}</strong>
        {article.level === "premium" && <span className="premium-badge">Premium</span>}
        <time dateTime={new Date(article.timestamp).toISOString()}>{formatWhen(article.timestamp)}</time>
      </header>
      <p>{article.content}</p>
    </article>
  );
}
