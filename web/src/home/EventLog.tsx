import { useStickToEnd } from "../ui/useStickToEnd";
import type { Entry } from "./useLog";

/** The events of Bob's connection, as they arrived. */
export function EventLog({ log }: { log: readonly Entry[] }) {
  const { scroller, onScroll } = useStickToEnd(log);
  return (
    <section className="event-log" aria-label="What Bob's client heard">
      <h2>What Bob’s client heard</h2>
      <div role="log" aria-label="Events" tabIndex={0} ref={scroller} onScroll={onScroll}>
        <ol>
          {log.map((entry) => (
            <li key={entry.id} data-event={entry.event}>
              <EntryText entry={entry} />
            </li>
          ))}
        </ol>
      </div>
    </section>
  );
}

function EntryText({ entry }: { entry: Entry }) {
  if (entry.event !== "spoken") {
    return (
      <>
        <b>{entry.event}</b> <span>{entry.detail}</span>
      </>
    );
  }
  const { number, from, text } = entry.line;
  return (
    <>
      <i>#{number}</i> <b>spoken</b>{" "}
      <span>
        {from}: <bdi>{text}</bdi>
      </span>
      {entry.replayed && (
        <>
          {" "}
          <mark>replayed</mark>
        </>
      )}
    </>
  );
}
