import { useReducer, useRef, useState } from "react";
import type { Game, Position, Round } from "../registry.gen";
import { useActor, useEvent } from "../troupe";
import { failure } from "../ui/failure";
import { randomId } from "../ui/storage";
import { count } from "../ui/text";
import { isolated } from "../ui/UserText";
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
  const [round, setRound] = useState<Round>();
  const [result, setResult] = useState("");
  const [news, addNews] = useReducer(append<string>, []);
  const [whispers, addWhisper] = useReducer(whisperReducer, []);

  const show = (game: Game) => {
    world.bodies.clear();
    Object.entries(game.players).forEach(([id, { position }]) => world.place(id, position));
    setPlayers(Object.keys(game.players));
    setStarted(game.started);
    setRound(game.round);
    world.light(game.started ? game.round.spotlight : undefined);
  };

  useEvent(room, "game", show);
  useEvent(room, "playerJoined", (joined) => {
    world.place(joined.playerId, joined.player.position);
    setPlayers((ids) => [...ids.filter((id) => id !== joined.playerId), joined.playerId]);
    addNews(`${isolated(joined.playerId)} joined.`);
  });
  useEvent(room, "playerLeft", (left) => {
    world.remove(left.playerId);
    setPlayers((ids) => ids.filter((id) => id !== left.playerId));
    addNews(`${isolated(left.playerId)} left.`);
  });
  useEvent(room, "playerMoved", (moved) => world.move(moved.playerId, moved.position));
  useEvent(room, "privateMessage", ({ from, message, timestamp }) =>
    addWhisper({ id: randomId(), from, to: playerId, text: message, timestamp }),
  );

  // Every start is shown.
  useEvent(room, "gameStarted", ({ startedAt, round }) => {
    setStartedAt(startedAt);
    setRound(round);
    setResult("");
    setStarted(true);
    world.light(round.spotlight);
    addNews(started ? "The game has started again!" : "The game has started!");
  });
  useEvent(room, "spotlightCaught", ({ playerId, score, spotlight }) => {
    setRound((round) => round && { ...round, spotlight, scores: { ...round.scores, [playerId]: score } });
    world.light(spotlight);
  });
  useEvent(room, "gameEnded", ({ scores, winners }) => {
    setStarted(false);
    setResult(resultText(winners, scores[winners[0]!] ?? 0));
    addNews(resultText(winners, scores[winners[0]!] ?? 0));
    world.light(undefined);
  });
  const { connection } = room;

  useEvent(room, "reconnected", ({ recovered }) => {
    if (!recovered) connection?.getGame().then(show, () => {}); // the link is lost again: the next reconnection loads it
  });

  const start = async () => {
    setStarting(true);
    if (!room.isConnected) addNews("The game starts as soon as there is a connection.");
    const started = connection?.startGame();
    try {
      await started;
    } catch (error) {
      addNews(failure("started", error));
    }
    setStarting(false);
  };

  /** Shows the whisper at once, and its result when that is known. */
  const whisper = async (to: string, text: string, id = randomId()) => {
    const mine: Whisper = { id, from: playerId, to, text, timestamp: Date.now() };
    addWhisper({ ...mine, sending: true });
    const sent = connection?.sendPrivateMessage(to, text);
    try {
      await sent;
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
    endsAt: started ? round?.endsAt : undefined,
    scores: round?.scores ?? NO_SCORES,
    result,
    news,
    whispers,
    start,
    move: useSender((position: Position) => connection?.updatePlayerPosition(position)),
    whisper,
  };
}

const NO_SCORES: Readonly<Record<string, number>> = {};

/** Says who has won. */
function resultText(winners: readonly string[], points: number): string {
  if (!winners.length) return "The game is over. Nobody caught the spotlight.";
  const names = winners.map(isolated).join(" and ");
  return `The game is over. ${names} ${winners.length > 1 ? "win" : "wins"} with ${count(points, "point")}.`;
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
