import { useEffect, useReducer, useRef, useState } from "react";
import type { Game, Position } from "../registry";
import { useActor } from "../troupe";
import { World } from "./world";

const SEND_EVERY_MS = 50;

export interface Whisper {
  from: string;
  to: string;
  text: string;
  timestamp: number;
}

/** A log of the last things. */
const append = <T>(all: readonly T[], item: T): readonly T[] => [...all.slice(-49), item];

/** A game room, connected: the world, who is in it, and what they say. */
export function useGame(key: string, playerId: string) {
  const room = useActor({ name: "gameRoom", key: [key], params: { playerId } });
  const [world] = useState(() => new World(playerId));
  const [players, setPlayers] = useState<string[]>([]);
  const [started, setStarted] = useState(false);
  const [news, tell] = useReducer(append<string>, []);
  const [whispers, hear] = useReducer(append<Whisper>, []);

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
  room.useEvent("privateMessage", ({ from, message, timestamp }) => hear({ from, to: playerId, text: message, timestamp }));

  // Only the first start is an occasion: once.
  const { connection } = room;
  useEffect(
    () =>
      connection?.once("gameStarted", () => {
        setStarted(true);
        tell("The game has started!");
      }),
    [connection],
  );

  room.useEvent("reconnected", ({ recovered }) => {
    if (!recovered) connection?.getGame().then(show, () => {}); // lost again: the next reconnection asks again
  });

  return {
    ...room,
    world,
    players,
    started,
    news,
    whispers,
    start: () => connection?.startGame().catch((error: Error) => tell(`The game did not start: ${error.message}.`)),
    move: useSender((position: Position) => connection?.updatePlayerPosition(position)),
    whisper: async (to: string, text: string) => {
      await connection?.sendPrivateMessage(to, text);
      hear({ from: playerId, to, text, timestamp: Date.now() });
    },
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
