import { useEvent } from "@troupe/react";
import { useEffect, useRef, useState } from "react";
import { count } from "../ui/text";
import { randomId, read, write } from "../ui/storage";
import { EventLog } from "./EventLog";
import { ada, bob } from "./people";
import { PersonCard } from "./PersonCard";
import { playScene } from "./scene";
import { tally, useLog } from "./useLog";

const session = () => sessionStorage;

/** The room of this tab: nobody else is in it. A reload keeps it. */
function storedRoom(): string {
  const room = read("troupe.stage", "", session) || randomId();
  write("troupe.stage", room, session);
  return room;
}

/** Under make dev the page has a script that can kill the server. */
const isDev = document.querySelector('script[src^="/__dev/"]') !== null;

/** Ada, Bob, and what Bob's client heard. */
export function Drama() {
  const [room] = useState(storedRoom);
  const adas = ada.useStage(room, ada.name);
  const bobs = bob.useStage(room, bob.name);
  const log = useLog(bobs.stage);
  useEvent(adas.stage, "error", () => {}); // her status shows it
  const { said, heard, twice } = tally(log, adas.lines);

  const stop = useRef<() => void>(undefined);
  const [playing, setPlaying] = useState(false);
  useEffect(
    () => () => {
      stop.current?.();
      bob.insert();
      ada.insert();
    },
    [],
  );
  const play = () => {
    setPlaying(true);
    ada.insert();
    bob.insert();
    const cast = { ada: adas.say, bob: bobs.say };
    stop.current = playScene(
      {
        say: (who, text) => cast[who](text).catch(() => {}), // a time-out of ten minutes
        pull: () => bob.plug.pull(),
        insert: bob.insert,
      },
      () => setPlaying(false),
    );
  };

  return (
    <section className="drama" aria-label="Two people and two plugs">
      <div className="drama-bar">
        <button type="button" className="primary" onClick={play} disabled={playing}>
          {playing ? "The scene is on…" : "Play the scene"}
        </button>
        {isDev && <a href="/__dev/inspect">Look into the server</a>}
        {isDev && (
          <button type="button" onClick={() => void fetch("/__dev/kill", { method: "POST" })}>
            Kill the server
          </button>
        )}
        <p role="status" aria-label="Score" className="score" data-behind={heard < said}>
          {said > 0 && <span key={`${said} ${heard}`}>{score(said, heard, twice)}</span>}
        </p>
      </div>
      <div className="drama-stage">
        <PersonCard person={ada} status={adas.stage.status} lines={adas.lines} say={adas.say} />
        <PersonCard person={bob} status={bobs.stage.status} lines={bobs.lines} say={bobs.say} />
        <EventLog log={log} />
      </div>
    </section>
  );
}

function score(said: number, heard: number, twice: number): string {
  if (heard < said) return `Bob has ${heard} of ${count(said, "line")}.`;
  return `Bob has ${said === 1 ? "the line" : `all ${said} lines`}, ${twice ? `${twice} of them twice` : "each once, in order"}.`;
}
