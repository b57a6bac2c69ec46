import type { ParamsSource } from "@troupe/client";
import { useState } from "react";
import type { Articles, NewsParams } from "../registry.gen";
import { useActor, useEvent } from "../troupe";

/** The key of the only news room. */
export const NEWS_KEY = ["daily"];

/**
 * Connects a reader to the news room. Returns its articles and its subscription. Nothing is filtered here: the server
 * knows the reader by its session, and sends only what that reader may read.
 */
export function useNews(params: ParamsSource<NewsParams | undefined>) {
  const room = useActor({ name: "newsRoom", key: NEWS_KEY, params });
  const [news, setNews] = useState<Partial<Articles>>({}); // empty until the server has sent it
  const add = (more: Articles["articles"]) =>
    setNews(({ articles = [], ...rest }) => ({
      ...rest,
      articles: [...articles, ...more.filter(({ id }) => !articles.some((known) => known.id === id))],
    }));

  useEvent(room, "articles", setNews);
  useEvent(room, "newArticle", (article) => add([article]));
  useEvent(room, "reconnected", ({ recovered }) => {
    if (!recovered) room.connection?.getArticles().then(add, () => {}); // the link is lost again: the next reconnection loads them
  });

  return { ...room, ...news };
}
