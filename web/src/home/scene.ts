/** What the scene does with the people of the stage. */
export interface Cast {
  say(who: "ada" | "bob", text: string): void;
  pull(): void;
  insert(): void;
}

type Step = (cast: Cast) => void;

const says =
  (who: "ada" | "bob", text: string): Step =>
  ({ say }) =>
    say(who, text);

/** Pauses in milliseconds, and what follows each. */
const SCENE: readonly (readonly [pause: number, step: Step])[] = [
  [100, says("ada", "Bob, are you there?")],
  [900, says("bob", "In my box, waiting for Act II.")],
  [1300, ({ pull }) => pull()],
  [1300, says("ada", "Act II: the lights go out.")],
  [900, says("ada", "It was the butler.")],
  [900, says("ada", "No. It was the cat.")],
  [1200, says("bob", "Hello? It is dark in here.")],
  [1800, ({ insert }) => insert()],
  [1800, says("ada", "Did you miss anything?")],
  [1200, says("bob", "Not a word.")],
];

/** Plays a short scene in which Bob's plug is pulled. done is called at its end; the function returned stops it. */
export function playScene(cast: Cast, done: () => void): () => void {
  let timer: ReturnType<typeof setTimeout>;
  const play = (i: number) => {
    const next = SCENE[i];
    if (!next) return done();
    timer = setTimeout(() => {
      next[1](cast);
      play(i + 1);
    }, next[0]);
  };
  play(0);
  return () => clearTimeout(timer);
}
