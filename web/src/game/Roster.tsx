import { Avatar } from "../ui/Avatar";

interface Props {
  players: readonly string[];
  me: string;
  onPick: (playerId: string) => void;
}

/** The players as a list, for those who cannot see the canvas. */
export function Roster({ players, me, onPick }: Props) {
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
              {id}
              {id === me && <small> (you)</small>}
            </span>
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
}
