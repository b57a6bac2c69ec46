import { type EventActor, useEvent } from "@troupe/react";
import { useReducer, useRef } from "react";
import type { Registry, Spoken } from "../registry.gen";

/** A line of the log: an event, as the client heard it. */
export type Entry =
  | { id: number; event: "spoken"; line: Spoken; replayed: boolean }
  | { id: number; event: "connected" | "disconnected" | "reconnected"; detail: string };

type NewEntry = Entry extends infer E ? (E extends Entry ? Omit<E, "id"> : never) : never;

const KEEP = 60;

const append = (log: readonly Entry[], entry: NewEntry): readonly Entry[] => [
  ...log.slice(1 - KEEP),
  { ...entry, id: (log.at(-1)?.id ?? 0) + 1 } as Entry,
];

/** Returns everything that a connection to the stage has told since the component was mounted. */
export function useLog(stage: EventActor<Registry["stage"]>): readonly Entry[] {
  const [log, add] = useReducer(append, []);
  /** Whether what arrives now was sent while the link was down. */
  const replaying = useRef(false);

  useEvent(stage, "connected", () => add({ event: "connected", detail: "" }));
  useEvent(stage, "disconnected", () => {
    replaying.current = true;
    add({ event: "disconnected", detail: "" });
  });
  useEvent(stage, "error", () => {}); // a failed attempt; another one follows
  useEvent(stage, "spoken", (line) => add({ event: "spoken", line, replayed: replaying.current }));
  useEvent(stage, "reconnected", ({ recovered, replayed }) => {
    replaying.current = false;
    add({ event: "reconnected", detail: `recovered=${recovered} replayed=${replayed}` });
  });
  return log;
}

/** How many of the lines said since the first one that was heard have been heard, and how often one was heard twice. */
export function tally(log: readonly Entry[], lines: readonly Spoken[]) {
  const heard = log.flatMap((entry) => (entry.event === "spoken" ? [entry.line.number] : []));
  const first = heard[0];
  const last = Math.max(0, ...lines.map(({ number }) => number));
  const distinct = new Set(heard).size;
  return { said: first === undefined ? 0 : last - first + 1, heard: distinct, twice: heard.length - distinct };
}
