// Random faults between clients and a server, from a seed, and the invariants that must
// hold: no event is lost, duplicated or out of order, unless a gap is reported before the
// next one; every call settles and takes effect at most once, and exactly once if it
// resolved; statuses follow the documented state machine.

import { setTimeout as pause } from "node:timers/promises";
import { MACHINE } from "../clientjs/test/stateMachine";
import type { Client, ClientOptions, Status } from "../clientjs/src/index";
import type { Proxy } from "./proxy";
import type { Server } from "./server";

/** What a person observed, in order. */
export interface Diary {
  /** Texts of messages, and the gaps reported between them. */
  heard: (string | { missed: number; exact: boolean })[];
  /** Lifecycle events, and the status after each. */
  life: [event: string, status: Status][];
  /** The result of each call: resolved, or a code. */
  said: Record<string, string>;
}

/** A client in a room: in Node, or in a page. */
export interface Person {
  /** Sends messages until stop. */
  talk(): void;
  /** Stops sending, and returns once every call has settled. */
  stop(): Promise<void>;
  diary(): Diary;
  leave(): void;
}

/** Joins the room and listens. The function is self-contained, because it also runs in pages. */
export function join(
  createClient: (url: string, options: ClientOptions) => unknown,
  url: string,
  name: string,
  options: ClientOptions,
): Person {
  const client = createClient(url, { timeoutMs: 15_000, ...options }) as Client;
  const connection = client["chatRoom"]!.getOrCreate("chaos").connect({ userId: name });
  const diary: Diary = { heard: [], life: [], said: {} };
  connection.on("messageReceived", ({ text }: { text: string }) => diary.heard.push(text));
  connection.on("reconnected", ({ recovered, missed, exact }) => {
    if (!recovered) diary.heard.push({ missed, exact });
  });
  for (const event of ["connected", "disconnected", "reconnected", "error", "closed"] as const) {
    connection.on(event, () => diary.life.push([event, connection.status]));
  }
  let over = false;
  const talking: Promise<void>[] = [];
  const talk = async (voice: number) => {
    for (let n = 0; !over; n++) {
      const text = `${name} ${voice}.${n}`;
      diary.said[text] = "pending";
      try {
        await connection["sendMessage"]!(name, text);
        diary.said[text] = "resolved";
      } catch (error) {
        diary.said[text] = (error as { code?: string }).code ?? String(error);
      }
      await new Promise((resolve) => setTimeout(resolve, 40));
    }
  };
  return {
    talk: () => talking.push(talk(0), talk(1)),
    stop: async () => {
      over = true;
      await Promise.all(talking);
    },
    diary: () => diary,
    leave: () => client.dispose(),
  };
}

/** One fault, and how long it lasts. */
interface Fault {
  name: string;
  run: () => Promise<void>;
}

/** Causes faults for some time, some of them concurrently; returns a list of them. */
export async function wreak(
  random: () => number,
  seconds: number,
  server: Server,
  links: readonly Proxy[],
  kill: boolean,
): Promise<string[]> {
  const up = (max: number) => Math.floor(random() * max);
  const script: string[] = [];
  const end = Date.now() + seconds * 1000;
  const last = async (ms: number) => {
    await pause(Math.max(0, Math.min(ms, end - Date.now())));
  };
  const faults: ((link: Proxy) => Fault)[] = [
    (link) => ({ name: "cut", run: async () => link.cut() }),
    (link) => ({ name: "cut", run: async () => link.cut() }),
    (link) => {
      const ms = up(2000);
      return { name: `refuse ${ms} ms`, run: async () => (link.refuse(), await last(ms), link.pass()) };
    },
    (link) => {
      const ms = up(4000);
      return { name: `black hole ${ms} ms`, run: async () => (link.blackHole(), await last(ms), link.pass()) };
    },
    (link) => {
      const shape = {
        latencyMs: up(300),
        jitterMs: up(200),
        ...(up(2) && { sliceBytes: 1 + up(100) }),
        ...(up(2) && { bytesPerSecond: 2_000 + up(50_000) }),
      };
      const ms = up(3000);
      return {
        name: `${JSON.stringify(shape)} ${ms} ms`,
        run: async () => ((link.shape = shape), await last(ms), void (link.shape = {})),
      };
    },
  ];
  const restart = (signal: "SIGKILL" | "SIGTERM"): Fault => ({
    name: signal,
    run: async () => {
      await server.stop(signal);
      await server.start();
    },
  });

  /** The faults of one link, or of the server, one after the other. */
  async function trouble(name: string, next: () => Fault, everyMs: number): Promise<void> {
    await last(up(everyMs));
    while (Date.now() < end) {
      const fault = next();
      script.push(`${((Date.now() - end) / 1000 + seconds).toFixed(1)} ${name}: ${fault.name}`);
      await fault.run();
      await last(up(everyMs));
    }
  }
  await Promise.all([
    ...links.map((link, i) => trouble(`link ${i}`, () => faults[up(faults.length)]!(link), 1500)),
    kill && trouble("server", () => restart(up(3) ? "SIGKILL" : "SIGTERM"), Math.min(seconds * 500, 8000)),
  ]);
  for (const link of links) {
    link.shape = {};
    link.pass();
  }
  return script;
}

/** Returns the violations in what people observed, given all messages in their order. */
export function faultsOf(diaries: Readonly<Record<string, Diary>>, truth: readonly string[]): string[] {
  const wrong: string[] = [];
  const times = new Map<string, number>();
  for (const text of truth) times.set(text, (times.get(text) ?? 0) + 1);

  for (const [name, { heard, life, said }] of Object.entries(diaries)) {
    // In the order of the log from some position on, with gaps only where they were reported.
    const first = heard.find((entry) => typeof entry === "string");
    let at = first === undefined ? truth.length : truth.indexOf(first);
    for (const entry of heard) {
      if (typeof entry !== "string") {
        const next = heard.slice(heard.indexOf(entry)).find((later) => typeof later === "string");
        const to = next === undefined ? truth.length : truth.indexOf(next);
        if (entry.exact ? to - at !== entry.missed : to - at < entry.missed) {
          wrong.push(`${name} got a gap of ${entry.missed}, and missed ${to - at}`);
        }
        at = to;
      } else if (entry === truth[at]) at++;
      else {
        wrong.push(`${name} heard "${entry}" where "${truth[at]}" was next`);
        break;
      }
    }
    if (at < truth.length) wrong.push(`${name} did not hear the last ${truth.length - at}, from "${truth[at]}" on`);

    for (const [text, outcome] of Object.entries(said)) {
      const n = times.get(text) ?? 0;
      if (outcome === "pending") wrong.push(`"${text}" is pending`);
      else if (n > 1) wrong.push(`"${text}" took effect ${n} times`);
      else if (outcome === "resolved" && n !== 1) wrong.push(`"${text}" resolved without an effect`);
      else if (outcome !== "resolved" && outcome !== "maybe_ran" && n !== 0)
        wrong.push(`"${text}" failed with ${outcome} and took effect`);
    }

    let status: Status = "connecting";
    for (const [event, after] of life) {
      const next: Status | undefined = MACHINE[status][event as keyof (typeof MACHINE)[Status]];
      if (next !== after) wrong.push(`${name} got ${event} while ${status}, and was ${after} then`);
      status = after;
    }
    if (status !== "connected") wrong.push(`${name} is ${status} in the end`);
  }
  return wrong;
}
