import { useEffect, useReducer, useRef, useState } from "react";
import type { Game, Position } from "../registry.gen";
import { useActor, useEvent } from "../troupe";
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
  /** It is being sent. */
  sending?: boolean;
  /** Why it was not sent. */
  error?: string;
}

/** Appends to a log of the last 50 items. */
const append = <T>(all: readonly T[], item: T): readonly T[] => [...all.slice(-49), item];

/** Adds a whisper, or replaces the one with its id when its result is known. */
const whisperReducer = (all: readonly Whisper[], whisper: Whisper) =>
  all.some(({ id }) => id === whisper.id)
    ? all.map((known) => (known.id === whisper.id ? whisper : known))
    : append(all, whisper);

/** Connects to a game room. Returns its world, players, log and whispers, and functions that act in it. */
export function useGame(key: string, playerId: string) {
  const room = useActor({ name: "gameRoom", key: [key], params: { playerId } });
  const [world] = useState(() => new World(playerId));
  const [players, setPlayers] = useState<string[]>([]);
  const [started, setStarted] = useState(false);
  const [startedAt, setStartedAt] = useState<number>();
  const [starting, setStarting] = useState(false);
  const [news, addNews] = useReducer(append<string>, []);
  const [whispers, addWhisper] = useReducer(whisperReducer, []);

  const show = (game: Game) => {
    world.bodies.clear();
    for (const [id, { position }] of Object.entries(game.players)) world.place(id, position);
    setPlayers(Object.keys(game.players));
    setStarted(game.started);
  };

  useEvent(room, "game", show);
  useEvent(room, "playerJoined", (joined) => {
    world.place(joined.playerId, joined.player.position);
    setPlayers((ids) => [...ids.filter((id) => id !== joined.playerId), joined.playerId]);
    addNews(`${joined.playerId} joined.`);
  });
  useEvent(room, "playerLeft", (left) => {
    world.remove(left.playerId);
    setPlayers((ids) => ids.filter((id) => id !== left.playerId));
    addNews(`${left.playerId} left.`);
  });
  useEvent(room, "playerMoved", (moved) => world.move(moved.playerId, moved.position));
  useEvent(room, "privateMessage", ({ from, message, timestamp }) =>
    addWhisper({ id: randomId(), from, to: playerId, text: message, timestamp }),
  );

  // Every start is shown.
  useEvent(room, "gameStarted", ({ startedAt }) => {
    setStartedAt(startedAt);
    addNews(started ? "The game has started again!" : "The game has started!");
  });
  // The first one changes the button, so `once` is enough.
  const { connection } = room;
  useEffect(() => connection?.once("gameStarted", () => setStarted(true)), [connection]);

  useEvent(room, "reconnected", ({ recovered }) => {
    if (!recovered) connection?.getGame().then(show, () => {}); // the link is lost again: the next reconnection loads it
  });

  const start = async () => {
    setStarting(true);
    if (!room.isConnected) addNews("The game starts as soon as there is a connection.");
    try {
      await connection?.startGame();
    } catch (error) {
      addNews(failure("started", error));
    }
    setStarting(false);
  };

  /** Shows the whisper at once, and its result when that is known. */
  const whisper = async (to: string, text: string, id = randomId()) => {
    const mine: Whisper = { id, from: playerId, to, text, timestamp: Date.now() };
    addWhisper({ ...mine, sending: true });
    try {
      await connection?.sendPrivateMessage(to, text);
      addWhisper(mine);
    } catch (error) {
      addWhisper({ ...mine, error: failure("sent", error) });
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

/** Sends only the latest value: one call at a time, and at most 20 a second, which is far below the server's limit. */
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
      // A failed move does not matter, because the next one has the whole position.
      await Promise.allSettled([send(next), new Promise((done) => setTimeout(done, SEND_EVERY_MS))]);
    }
    busy.current = false;
  };
}
