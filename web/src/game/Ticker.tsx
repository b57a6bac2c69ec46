import { useStickToEnd } from "../ui/useStickToEnd";

/** The log of the game: players that join and leave, starts, errors. */
export function Ticker({ news }: { news: readonly string[] }) {
  const { scroller, onScroll } = useStickToEnd(news);
  return (
    <section className="card">
      <h2>Game log</h2>
      <div role="log" aria-label="Game log" tabIndex={0} ref={scroller} onScroll={onScroll}>
        {news.length === 0 && <p className="muted">Players who join or leave appear here.</p>}
        {news.map((text, i) => (
          <p key={i}>{text}</p>
        ))}
      </div>
    </section>
  );
}
