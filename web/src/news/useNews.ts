import type { ParamsSource } from "@troupe/client";
import { useState } from "react";
import type { Articles, NewsParams } from "../registry.gen";
import { useActor } from "../troupe";

/** The news room and its one paper. */
export const PAPER = ["daily"];

/**
 * What a reader gets, and what it pays for. Nothing is decided or filtered here: the server knows the reader by its
 * session, and sends no more than that is for.
 */
export function useNews(params: ParamsSource<NewsParams | undefined>) {
  const room = useActor({ name: "newsRoom", key: PAPER, params });
  const [news, setNews] = useState<Partial<Articles>>({}); // empty until the server has told
  const add = (more: Articles["articles"]) =>
    setNews(({ articles = [], ...rest }) => ({
      ...rest,
      articles: [...articles, ...more.filter(({ id }) => !articles.some((known) => known.id === id))],
    }));

  room.useEvent("articles", setNews);
  room.useEvent("newArticle", (article) => add([article]));
  room.useEvent("reconnected", ({ recovered }) => {
    if (!recovered) room.connection?.getArticles().then(add, () => {}); // lost again: the next reconnection asks again
  });

  return { ...room, ...news };
}
