// Several nodes: people on different ones, and one that is killed.

import { Chat, onItsWay } from "./chat";
import { expect as expectSoon, test } from "./fixtures";
import { Proxy } from "./proxy";
import { Server } from "./server";

// Nodes listen for each other on addresses of their own, which only Linux has without being told.
test.skip(process.platform !== "linux", "needs the addresses 127.0.0.0/8");

/** Servers of NATS elect for seconds, and longer on a busy machine. */
const expect = expectSoon.configure({ timeout: 60_000 });

const connection = (person: Chat) => person.page.getByRole("status", { name: "Connection" });

/** Starts three nodes, and returns once they are ready. */
async function startNodes(): Promise<Server[]> {
  const byte = () => 1 + Math.floor(Math.random() * 254);
  const network = `127.${byte()}.${byte()}`;
  const peers = [1, 2, 3].map((i) => `${network}.${i}:6222`);
  const nodes = peers.map(
    (peer, i) =>
      new Server(undefined, [
        ...["-cluster", "embedded", "-node", `n${i + 1}`, "-cluster-secret", "a secret of this test"],
        ...["-cluster-listen", peer, "-cluster-peers", peers.join(",")],
      ]),
  );
  await Promise.all(nodes.map((node) => node.start()));
  for (const node of nodes) {
    await expect.poll(async () => (await fetch(`${node.url}/readyz`)).status, node.log).toBe(200);
  }
  return nodes;
}

test("two people on two nodes, one of which is killed", async ({ visit }) => {
  test.setTimeout(180_000);
  const nodes = await startNodes();
  const [first, second, third] = nodes as [Server, Server, Server];
  // Ada's way to the app, as a load balancer gives it: to another node when hers is gone.
  let adas = first;
  const balancer = new Proxy(() => adas.port);
  await balancer.start();
  try {
    const ada = await new Chat(await visit(`${balancer.url}/chat/general`)).join("Ada");
    const bob = await new Chat(await visit(`${second.url}/chat/general`)).join("Bob");
    for (const person of [ada, bob]) await expect(person.people).toHaveText([/Ada/, /Bob/]);
    await ada.said("I am on the first node");
    await bob.said("I am on the second");
    const texts = ["I am on the first node", "I am on the second"];
    for (const person of [ada, bob]) await expect(person.texts).toHaveText(texts);

    balancer.refuse(); // until it has noticed
    await first.stop("SIGKILL");
    await expect(connection(ada)).toHaveText(/^(Reconnecting|Connecting)…$/);
    await ada.say("my node has died");
    await expect(ada.messages.last()).toContainText(onItsWay);
    // If the first node had the room, this waits until another one has it.
    await bob.say("where are you?");
    await expect(bob.messages.filter({ hasText: "where are you?" })).not.toContainText(onItsWay);
    await expect(ada.texts.filter({ hasText: "where are you?" }), "while Ada is away").toHaveCount(0);

    adas = third;
    balancer.pass();
    await ada.page.evaluate(() => window.dispatchEvent(new Event("online"))); // without waiting for its next attempt
    await expect(connection(ada)).toHaveText("Connected");
    const all = [...texts, "where are you?", "my node has died"];
    for (const person of [ada, bob]) {
      await expect(person.texts).toHaveText(all);
      await expect(person.people).toHaveText([/Ada/, /Bob/]);
      await expect(person.notice, "that something was missed").toHaveText("");
    }
    await first.start();
    await bob.say("all of us are here");
    await expect(ada.texts).toHaveText([...all, "all of us are here"]);
  } finally {
    await balancer.close();
    await Promise.all(nodes.map((node) => node.stop("SIGKILL")));
    for (const node of nodes) node.remove();
  }
});
