// The game: every player is a circle on a stage. Each tab is a player, so two
// windows are enough to try it.
//
// Accessible names
//   stage      heading "The stage" · status "Connection" · status "Notice" ·
//              application "Stage: move with …" (the canvas) · button "Start game" ·
//              status "Game" says whether it has started, and who has won · timer
//   players    region "Players" with a listitem per player
//   whispers   combobox "Whisper to" · textbox "Whisper" · button "Send whisper" ·
//              log "Whispers" with a listitem per whisper · button "Retry"
//   news       log "Game log"

import { useRef, useState } from "react";
import "./game.css";
import { ConnectionBanner } from "../ui/ConnectionBanner";
import { ConnectionStatus } from "../ui/ConnectionStatus";
import { formatTime } from "../ui/text";
import { tabPlayerId } from "./player";
import { Clock } from "./Clock";
import { Roster } from "./Roster";
import { Stage } from "./Stage";
import { Ticker } from "./Ticker";
import { useGame } from "./useGame";
import { Whispers } from "./Whispers";

export function GamePage({ room }: { room: string }) {
  const [playerId] = useState(tabPlayerId);
  return <Arena key={room} room={room} playerId={playerId} />;
}

function Arena({ room, playerId }: { room: string; playerId: string }) {
  const game = useGame(room, playerId);
  const [target, setTarget] = useState("");
  const whisper = useRef<HTMLInputElement>(null);
  const pick = (id: string) => {
    setTarget(id);
    whisper.current?.focus();
  };
  return (
    <div className="game">
      <section className="arena">
        <header className="page-header">
          <h1 tabIndex={-1}>The stage</h1>
          <ConnectionStatus status={game.status} />
          <span role="status" aria-label="Game" className="game-state">
            {game.started && (
              // A new element for every start, so that it is animated and announced again.
              <span key={game.startedAt}>
                {game.startedAt ? `The game started at ${formatTime(game.startedAt)}` : "The game has started!"}
              </span>
            )}
            {!game.started && game.result && <span>{game.result}</span>}
          </span>
          {game.endsAt !== undefined && <Clock endsAt={game.endsAt} />}
          <button type="button" className="primary" disabled={game.starting} onClick={() => void game.start()}>
            {game.starting ? "Starting…" : game.started ? "Start again" : "Start game"}
          </button>
        </header>
        <ConnectionBanner actor={game} />
        <div className="proscenium">
          <Stage world={game.world} onMove={game.move} />
        </div>
        <p className="hint">
          You are <strong>{playerId}</strong>. A game takes a minute. The player who is in the spotlight most often
          wins. Move with the arrow keys or W, A, S, D, or touch the stage. Open a second window to get another player.
        </p>
      </section>
      <aside className="wings">
        <Roster players={game.players} scores={game.scores} me={playerId} onPick={pick} />
        <Whispers
          connected={game.isConnected}
          whispers={game.whispers}
          me={playerId}
          others={game.players.filter((id) => id !== playerId)}
          target={target}
          onTarget={setTarget}
          onWhisper={game.whisper}
          input={whisper}
        />
        <Ticker news={game.news} />
      </aside>
    </div>
  );
}
