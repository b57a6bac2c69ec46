// The game: everybody is a circle on a stage. Each tab is a player of its own, so
// that two windows are enough to see it work.
//
// Accessible names
//   stage      heading "The stage" · status "Connection" · status "Notice" ·
//              application "Stage: move with …" (the canvas) · button "Start game" ·
//              status "Game" says whether it has started
//   players    region "Players" with a listitem per player
//   whispers   combobox "Whisper to" · textbox "Whisper" · button "Send whisper" ·
//              log "Whispers" with a listitem per whisper
//   news       log "Game log"

import { useState } from "react";
import "./game.css";
import { ConnectionBanner } from "../ui/ConnectionBanner";
import { ConnectionStatus } from "../ui/ConnectionStatus";
import { read, write } from "../ui/storage";
import { Roster } from "./Roster";
import { Stage } from "./Stage";
import { useGame } from "./useGame";
import { Whispers } from "./Whispers";

const ROLES = ["Harlequin", "Columbina", "Pierrot", "Pantalone", "Scaramouche", "Pulcinella", "Brighella", "Isabella"];

/** A name for this tab: sessionStorage is not shared with other tabs. */
function tabPlayerId(): string {
  const stored = read("troupe.player", "", () => sessionStorage);
  if (stored) return stored;
  const role = ROLES[Math.floor(Math.random() * ROLES.length)]!;
  const playerId = `${role} ${10 + Math.floor(Math.random() * 90)}`;
  write("troupe.player", playerId, () => sessionStorage);
  return playerId;
}

export function GamePage({ room }: { room: string }) {
  const [playerId] = useState(tabPlayerId);
  return <Arena key={room} room={room} playerId={playerId} />;
}

function Arena({ room, playerId }: { room: string; playerId: string }) {
  const game = useGame(room, playerId);
  const [target, setTarget] = useState("");
  return (
    <div className="game">
      <section className="arena">
        <header className="page-header">
          <h1 tabIndex={-1}>The stage</h1>
          <ConnectionStatus status={game.status} />
          <span role="status" aria-label="Game" className="game-state">
            {game.started && "The game has started!"}
          </span>
          <button type="button" className="primary" onClick={() => void game.start()}>
            {game.started ? "Start again" : "Start game"}
          </button>
        </header>
        <ConnectionBanner actor={game} />
        <div className="proscenium">
          <Stage world={game.world} onMove={game.move} />
        </div>
        <p className="hint">
          You are <strong>{playerId}</strong>. Move with the arrow keys or W, A, S, D, or touch the stage. Open a second
          window to meet somebody.
        </p>
      </section>
      <aside className="wings">
        <Roster players={game.players} me={playerId} onPick={setTarget} />
        <Whispers
          whispers={game.whispers}
          me={playerId}
          others={game.players.filter((id) => id !== playerId)}
          target={target}
          onTarget={setTarget}
          onWhisper={game.whisper}
        />
        <section className="card news-ticker">
          <h2>What happens</h2>
          <div role="log" aria-label="Game log" tabIndex={0}>
            {game.news.map((text, i) => (
              <p key={i}>{text}</p>
            ))}
          </div>
        </section>
      </aside>
    </div>
  );
}
