import { useState } from "react";
import type { Article, Subscription } from "../registry.gen";
import { useActor } from "../troupe";

/** The news room and its one paper. */
export const PAPER = ["daily"];

/** What a reader with this subscription gets. Nothing is filtered here: the server sends no more than that. */
export function useNews(subscription: Subscription) {
  const room = useActor({ name: "newsRoom", key: PAPER, params: { subscription } });
  const [articles, setArticles] = useState<readonly Article[]>(); // undefined until the server has told

  room.useEvent("articles", (all) => setArticles(all.articles));
  room.useEvent("newArticle", (article) =>
    setArticles((all = []) => (all.some(({ id }) => id === article.id) ? all : [...all, article])),
  );
  room.useEvent("reconnected", ({ recovered }) => {
    if (!recovered) room.connection?.getArticles().then(setArticles, () => {}); // lost again: the next reconnection asks again
  });

  return { ...room, articles };
}
