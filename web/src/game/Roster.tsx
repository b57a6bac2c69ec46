import { Avatar } from "../ui/Avatar";
import { still } from "../ui/still";
import { count } from "../ui/text";

interface Props {
  players: readonly string[];
  scores: Readonly<Record<string, number>>;
  me: string;
  onPick: (playerId: string) => void;
}

/** The players as a list, for those who cannot see the canvas. */
export const Roster = still(function Roster({ players, scores, me, onPick }: Props) {
  return (
    <section className="card roster" aria-label="Players">
      <h2>
        Players <span className="count">{players.length}</span>
      </h2>
      {/* Scrollable elements must be reachable by keyboard. */}
      <ul tabIndex={0} aria-label="Players">
        {players.map((id) => (
          <li key={id}>
            <Avatar id={id} name={id} />
            <span>
              <bdi>{id}</bdi>
              {id === me && <small> (you)</small>}
            </span>
            <span className="points">{count(scores[id] ?? 0, "point")}</span>
            {id !== me && (
              <button type="button" onClick={() => onPick(id)} aria-label={`Whisper to ${id}`}>
                Whisper
              </button>
            )}
          </li>
        ))}
      </ul>
    </section>
  );
});
