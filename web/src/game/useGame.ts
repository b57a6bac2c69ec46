import { useEffect, useReducer, useRef, useState } from "react";
import type { Game, Position } from "../registry.gen";
import { useActor } from "../troupe";
import { failure } from "../ui/failure";
import { randomId } from "../ui/storage";
import { World } from "./world";

const SEND_EVERY_MS = 50;

export interface Whisper {
  id: string;
  from: string;
  to: string;
  text: string;
  timestamp: number;
  /** On its way. */
  sending?: boolean;
  /** Why it was not sent. */
  error?: string;
}

/** A log of the last things. */
const append = <T>(all: readonly T[], item: T): readonly T[] => [...all.slice(-49), item];

/** A whisper of ours is heard again when it is known what became of it. */
const hearWhisper = (all: readonly Whisper[], whisper: Whisper) =>
  all.some(({ id }) => id === whisper.id) ? all.map((known) => (known.id === whisper.id ? whisper : known)) : append(all, whisper);

/** A game room, connected: the world, who is in it, and what they say. */
export function useGame(key: string, playerId: string) {
  const room = useActor({ name: "gameRoom", key: [key], params: { playerId } });
  const [world] = useState(() => new World(playerId));
  const [players, setPlayers] = useState<string[]>([]);
  const [started, setStarted] = useState(false);
  const [startedAt, setStartedAt] = useState<number>();
  const [starting, setStarting] = useState(false);
  const [news, tell] = useReducer(append<string>, []);
  const [whispers, hear] = useReducer(hearWhisper, []);

  const show = (game: Game) => {
    world.bodies.clear();
    for (const [id, { position }] of Object.entries(game.players)) world.place(id, position);
    setPlayers(Object.keys(game.players));
    setStarted(game.started);
  };

  room.useEvent("game", show);
  room.useEvent("playerJoined", (joined) => {
    world.place(joined.playerId, joined.player.position);
    setPlayers((ids) => [...ids.filter((id) => id !== joined.playerId), joined.playerId]);
    tell(`${joined.playerId} came on stage.`);
  });
  room.useEvent("playerLeft", (left) => {
    world.remove(left.playerId);
    setPlayers((ids) => ids.filter((id) => id !== left.playerId));
    tell(`${left.playerId} left.`);
  });
  room.useEvent("playerMoved", (moved) => world.move(moved.playerId, moved.position));
  room.useEvent("privateMessage", ({ from, message, timestamp }) =>
    hear({ id: randomId(), from, to: playerId, text: message, timestamp }),
  );

  // Every start is an occasion.
  room.useEvent("gameStarted", ({ startedAt }) => {
    setStartedAt(startedAt);
    tell(started ? "The game has started again!" : "The game has started!");
  });
  // Only the first one changes what can be done: once.
  const { connection } = room;
  useEffect(() => connection?.once("gameStarted", () => setStarted(true)), [connection]);

  room.useEvent("reconnected", ({ recovered }) => {
    if (!recovered) connection?.getGame().then(show, () => {}); // lost again: the next reconnection asks again
  });

  const start = async () => {
    setStarting(true);
    if (!room.isConnected) tell("The game starts as soon as there is a connection.");
    try {
      await connection?.startGame();
    } catch (error) {
      tell(failure("started", error));
    }
    setStarting(false);
  };

  /** Shows the whisper at once, and what became of it when that is known. */
  const whisper = async (to: string, text: string, id = randomId()) => {
    const mine: Whisper = { id, from: playerId, to, text, timestamp: Date.now() };
    hear({ ...mine, sending: true });
    try {
      await connection?.sendPrivateMessage(to, text);
      hear(mine);
    } catch (error) {
      hear({ ...mine, error: failure("sent", error) });
    }
  };

  return {
    ...room,
    world,
    players,
    started,
    startedAt,
    starting,
    news,
    whispers,
    start,
    move: useSender((position: Position) => connection?.updatePlayerPosition(position)),
    whisper,
  };
}

/**
 * Sends the latest value only, one call at a time and at most 20 a second: enough
 * for the eye, and far below what a server allows.
 */
function useSender<T>(send: (value: T) => Promise<unknown> | undefined) {
  const latest = useRef<T>(undefined);
  const busy = useRef(false);
  return async (value: T) => {
    latest.current = value;
    if (busy.current) return;
    busy.current = true;
    while (latest.current !== undefined) {
      const next = latest.current;
      latest.current = undefined;
      // A move that fails does not matter: the next one says it all.
      await Promise.allSettled([send(next), new Promise((done) => setTimeout(done, SEND_EVERY_MS))]);
    }
    busy.current = false;
  };
}
