// Random faults between the real server and clients in Node and in browsers, over
// every transport. make chaos SECONDS=600 SEED=… runs it for longer. The output has the
// seed, but processes and networks add randomness of their own.

import { WebSocket } from "ws";
import { createRandom } from "../clientjs/test/createRandom";
import { createClient, type ClientOptions } from "../clientjs/src/index";
import { type Diary, faultsOf, join, type Person, wreak } from "./chaos";
import { everywhere, expect, plainPage, test } from "./fixtures";
import { Proxy } from "./proxy";

const seconds = Number(process.env.SECONDS_OF_CHAOS ?? 6);
const seed = Number(process.env.SEED || (process.env.SECONDS_OF_CHAOS ? Date.now() % 1_000_000 : 1));
const transports = ["websocket", "sse", "auto"] as const;

declare global {
  interface Window {
    person: Person;
    createClient: (url: string, options: ClientOptions) => unknown;
  }
}

test.beforeEach(() => {
  test.setTimeout(seconds * 1000 + 180_000);
  if (process.env.SECONDS_OF_CHAOS) process.stdout.write(`chaos: SEED=${seed}, ${seconds} s\n`);
});

/** Runs faults while people talk, and checks what each of them observed. */
async function survive({
  people,
  links,
  server,
}: {
  people: Record<string, PersonAnywhere>;
  links: Proxy[];
  server: Parameters<typeof wreak>[2];
}): Promise<void> {
  const witness = join(createClient, server.url, "witness", { WebSocket, transport: "websocket" });
  const all: Record<string, PersonAnywhere> = { ...people, witness };
  const diaries: Record<string, Diary> = {};
  const lookAt = async () => {
    for (const [name, person] of Object.entries(all)) diaries[name] = await person.diary();
    return Object.values(diaries);
  };
  // Wait until everybody has joined, because messages before that are not delivered to them.
  await expect
    .poll(async () => (await lookAt()).every(({ life }) => life.some(([event]) => event === "connected")))
    .toBe(true);
  for (const person of Object.values(people)) await person.talk();
  const script = await wreak(createRandom(seed), seconds, server, links, true);
  for (const person of Object.values(people)) await person.stop();
  await createClient(server.url).chatRoom!.getOrCreate("chaos")["sendMessage"]!("herald", "the end");
  await expect
    .poll(async () => (await lookAt()).every(({ heard }) => heard.includes("the end")), { timeout: 60_000 })
    .toBe(true)
    .catch(() => {}); // the check below reports what is missing
  await lookAt();

  const truth = diaries["witness"]!.heard.filter((entry) => typeof entry === "string");
  const outcomes = Object.values(diaries).flatMap(({ said }) => Object.values(said));
  const lived = Object.values(diaries).flatMap(({ life }) => life.map(([event]) => event));
  const count = (list: string[], what: string) => list.filter((item) => item === what).length;
  const sum = `${truth.length} messages, ${count(outcomes, "resolved")} of ${outcomes.length} calls resolved, ${count(lived, "reconnected")} reconnections, ${script.length} faults`;
  if (process.env.SECONDS_OF_CHAOS) process.stdout.write(`${sum}\n`);
  const wrong = faultsOf(diaries, truth);
  for (const person of Object.values(all)) await person.leave();
  expect(wrong, `SEED=${seed}, ${sum}:\n${script.join("\n")}`).toEqual([]);
  expect(count(outcomes, "resolved"), sum).toBeGreaterThan(0);
  expect(count(lived, "reconnected"), sum).toBeGreaterThan(0);
}

/** A Person, or one in a page, whose methods are asynchronous. */
type PersonAnywhere = {
  [K in keyof Person]: (
    ...args: Parameters<Person[K]>
  ) => ReturnType<Person[K]> | Promise<Awaited<ReturnType<Person[K]>>>;
};

async function openLinks(server: { port: number }, n: number): Promise<Proxy[]> {
  const links = Array.from({ length: n }, () => new Proxy(() => server.port));
  for (const link of links) await link.start();
  return links;
}

test("G3, G5: clients in Node lose and repeat nothing under random faults", async ({ server }) => {
  const links = await openLinks(server, 4);
  const people: Record<string, Person> = {};
  for (const [i, link] of links.entries()) {
    people[`p${i}`] = join(createClient, link.url, `p${i}`, {
      WebSocket,
      transport: transports[i % transports.length]!,
    });
  }
  await survive({ people, links, server });
  for (const link of links) await link.close();
});

test("G3, G5: pages lose and repeat nothing under random faults", everywhere, async ({ server, visit }) => {
  const links = await openLinks(server, 3);
  const people: Record<string, PersonAnywhere> = {};
  for (const [i, link] of links.entries()) {
    const page = await visit(`${link.url}/healthz`);
    await plainPage(
      page,
      link.url,
      `<script type="module">import { createClient } from "/lib/client.js"; window.createClient = createClient;</script>`,
    );
    await page.waitForFunction(() => window.createClient);
    await page.evaluate(
      `window.person = (${join})(window.createClient, ${JSON.stringify(link.url)}, "page ${i}", { transport: "${transports[i]}" }); undefined`,
    );
    people[`page ${i}`] = {
      talk: () => page.evaluate(() => window.person.talk()),
      stop: () => page.evaluate(() => window.person.stop()),
      diary: () => page.evaluate(() => window.person.diary()),
      leave: () => page.evaluate(() => window.person.leave()),
    };
  }
  await survive({ people, links, server });
  for (const link of links) await link.close();
});

test("the checks of these tests find every kind of violation", () => {
  const truth = ["a 0", "b 0", "a 1", "b 1"];
  const up: Diary["life"] = [["connected", "connected"]];
  const diary = (change: Partial<Diary>): Diary => ({ heard: truth, life: up, said: {}, ...change });
  const found = (change: Partial<Diary>) =>
    faultsOf({ ada: diary(change) }, [...truth, ...(change.said?.["twice"] ? ["twice", "twice"] : [])]);
  expect(found({})).toEqual([]);
  expect(found({ heard: truth.slice(1) }), "who came later").toEqual([]);
  expect(found({ heard: ["a 0", { missed: 2, exact: true }, "b 1"] }), "an honest gap").toEqual([]);
  expect(found({ heard: ["a 0", { missed: 1, exact: true }, "b 1"] })).toEqual(["ada got a gap of 1, and missed 2"]);
  expect(found({ heard: ["a 0", "a 1", "b 1"] })[0]).toBe('ada heard "a 1" where "b 0" was next');
  expect(found({ heard: ["a 0", "a 0", "b 0"] })[0]).toBe('ada heard "a 0" where "b 0" was next');
  expect(found({ heard: truth.slice(0, 3) })).toEqual(['ada did not hear the last 1, from "b 1" on']);
  expect(found({ said: { "a 0": "resolved", "a 1": "maybe_ran", gone: "not_sent", lost: "maybe_ran" } })).toEqual([]);
  expect(found({ said: { "a 0": "pending" } })).toEqual(['"a 0" is pending']);
  expect(found({ said: { gone: "resolved" } })).toEqual(['"gone" resolved without an effect']);
  expect(found({ said: { "a 0": "not_sent" } })).toEqual(['"a 0" failed with not_sent and took effect']);
  expect(found({ said: { twice: "maybe_ran" } })).toContain('"twice" took effect 2 times');
  expect(found({ life: [...up, ["reconnected", "connected"]] })).toEqual([
    "ada got reconnected while connected, and was connected then",
  ]);
  expect(found({ life: [...up, ["disconnected", "disconnected"]] })).toEqual(["ada is disconnected in the end"]);
});
