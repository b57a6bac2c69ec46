import { useStickToEnd } from "../ui/useStickToEnd";

/** Who came and left, and what else happened. */
export function Ticker({ news }: { news: readonly string[] }) {
  const { scroller, onScroll } = useStickToEnd(news);
  return (
    <section className="card">
      <h2>What happens</h2>
      <div role="log" aria-label="Game log" tabIndex={0} ref={scroller} onScroll={onScroll}>
        {news.map((text, i) => (
          <p key={i}>{text}</p>
        ))}
      </div>
    </section>
  );
}
