/** What the scene does with the people of the stage. */
export interface Cast {
  /** Resolves when everybody who has a link could have heard it. */
  say(who: "ada" | "bob", text: string): Promise<unknown>;
  pull(): void;
  insert(): void;
}

type Step = (cast: Cast) => Promise<unknown> | void;

const says =
  (who: "ada" | "bob", text: string): Step =>
  ({ say }) =>
    say(who, text);

/** Pauses in milliseconds, and what follows each. What Bob says without a link is waited for once he has one. */
const SCENE: readonly (readonly [pause: number, step: Step])[] = [
  [100, says("ada", "Bob, are you there?")],
  [900, says("bob", "In my box, waiting for Act II.")],
  [1300, ({ pull }) => pull()],
  [1300, says("ada", "Act II: the lights go out.")],
  [900, says("ada", "It was the butler.")],
  [900, says("ada", "No. It was the cat.")],
  [
    1200,
    async ({ say, insert }) => {
      const heard = say("bob", "Hello? It is dark in here.");
      await pause(1800);
      insert();
      await heard;
    },
  ],
  [1800, says("ada", "Did you miss anything?")],
  [1200, says("bob", "Not a word.")],
];

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** Plays a short scene in which Bob's plug is pulled. done is called at its end; the function returned stops it. */
export function playScene(cast: Cast, done: () => void): () => void {
  let stopped = false;
  const play = async () => {
    for (const [ms, step] of SCENE) {
      await pause(ms);
      if (stopped) return;
      await step(cast);
    }
    if (!stopped) done();
  };
  void play();
  return () => {
    stopped = true;
  };
}
