// Behind nginx as Debian configures it. Without directives for WebSockets it blocks them,
// and clients use HTTP.

import { Chat } from "./chat";
import { expect, plainPage, received, test as base } from "./fixtures";
import { Nginx, noNginx, UPGRADE } from "./nginx";
import { Server } from "./server";

type Before = (site: ConstructorParameters<typeof Nginx>[1], flags?: string[]) => Promise<Nginx>;

const test = base.extend<{ before: Before }>({
  // Starts nginx in front of the test's server.
  before: async ({ store }, provide) => {
    const started: (() => Promise<unknown>)[] = [];
    await provide(async (site, flags) => {
      const server = new Server(store, flags);
      await server.start();
      started.push(async () => {
        await server.stop();
        server.remove();
      });
      const nginx = new Nginx(server.port, site);
      await nginx.start();
      started.push(() => nginx.stop());
      return nginx;
    });
    for (let stop; (stop = started.pop());) await stop();
  },
});

test.skip(!!noNginx, noNginx ?? "");

const plain = "location / { proxy_pass http://127.0.0.1:PORT; }";
const upgrade = `location / { proxy_pass http://127.0.0.1:PORT; ${UPGRADE} }`;
const stripping = `location /app/ { proxy_pass http://127.0.0.1:PORT/; ${UPGRADE} }`;
/** A proxy that buffers streams until they end, whatever the server asks. */
const buffering = "location / { proxy_pass http://127.0.0.1:PORT; proxy_ignore_headers X-Accel-Buffering; }";

for (const { name, sockets = false, base = "", ...site } of [
  { name: "as it is", locations: plain },
  { name: "with upgrade", locations: upgrade, sockets: true },
  { name: "as it is, HTTP/2", locations: plain, tls: true },
  { name: "with upgrade, HTTP/2", locations: upgrade, tls: true, sockets: true },
  { name: "as it is, below a path", locations: plain, base: "/app" },
  { name: "with upgrade, below a path that it takes away", locations: stripping, base: "/app", sockets: true },
  { name: "which holds streams back", locations: buffering },
]) {
  test(`two people talk through nginx ${name}`, async ({ before, visit }) => {
    const nginx = await before(site, base ? ["-base-path", base] : []);
    const options = { ignoreHTTPSErrors: true };
    const ada = await new Chat(await visit(`${nginx.url}${base}/chat/general`, options)).join("Ada");
    const bob = await new Chat(await visit(`${nginx.url}${base}/chat/general`, options)).join("Bob");
    await ada.said("hello through nginx");
    await expect(bob.texts).toHaveText(["hello through nginx"]);
    await bob.said("hello back");
    for (const chat of [ada, bob]) {
      await expect(chat.texts).toHaveText(["hello through nginx", "hello back"]);
      expect(received(chat.page).length > 0, "frames came over a WebSocket").toBe(sockets);
    }
  });
}

/** A page without a build. Its title is the time it took to connect, its list the received events. */
const page = `<!doctype html><title>…</title><ul></ul><script type="module">
  import { createClient } from "/lib/client.js";
  const begin = performance.now();
  const room = createClient().chatRoom.getOrCreate(["general"]).connect();
  room.on("connected", () => (document.title = String(Math.round(performance.now() - begin))));
  room.on("messageReceived", ({ text }) => {
    document.querySelector("ul").append(Object.assign(document.createElement("li"), { textContent: text }));
  });
</script>`;

for (const { name, locations } of [
  { name: "blocks WebSockets", locations: plain },
  { name: "blocks WebSockets and holds streams back", locations: buffering },
]) {
  test(`connects within 5 s where nginx ${name}`, async ({ before, page: tab }) => {
    const nginx = await before({ locations });
    await plainPage(tab, nginx.url, page);
    await expect(tab).toHaveTitle(/^[0-9]+$/);
    expect(Number(await tab.title())).toBeLessThan(5000);
  });
}

test("12 tabs over HTTP/1.1 without WebSockets all receive events", async ({ before, browser, request }) => {
  const nginx = await before({ locations: plain });
  const context = await browser.newContext();
  const tabs = await Promise.all(Array.from({ length: 12 }, () => context.newPage()));
  for (const tab of tabs) {
    await plainPage(tab, nginx.url, page);
    await expect(tab).toHaveTitle(/^[0-9]+$/);
  }
  for (const text of ["one", "two"]) {
    const response = await request.post(`${nginx.url}/api/actors/chatRoom/actions/sendMessage?key=general`, {
      data: { args: ["ada", text] },
    });
    expect(response.status()).toBe(200);
  }
  for (const tab of tabs) await expect(tab.getByRole("listitem")).toHaveText(["one", "two"]);
  await context.close();
});

test("a stream begins within 100 ms, and is never silent for 16 s", async ({ before }) => {
  test.slow();
  const nginx = await before({ locations: plain.replace("}", "proxy_read_timeout 16s; }") });
  let firstMs = Infinity;
  for (let i = 0; i < 10; i++) {
    const begin = performance.now();
    const over = new AbortController();
    const response = await fetch(`${nginx.url}/api/stream?v=1`, { signal: over.signal });
    const { value } = await response.body!.getReader().read();
    firstMs = Math.min(firstMs, performance.now() - begin); // the machine may be busy
    expect(new TextDecoder().decode(value)).toMatch(/^data:\{"t":"hello",/);
    over.abort();
  }
  expect(firstMs).toBeLessThan(100);

  // nginx cuts it off if it is.
  const response = await fetch(`${nginx.url}/api/stream?v=1`);
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  let socket: string | undefined;
  for (let beats = 0, n = 0; beats < 2;) {
    const { value, done } = await reader.read();
    expect(done, "nginx has ended the stream").toBe(false);
    socket ??= /"socket":"([^"]+)"/.exec(value!)?.[1];
    if (!value!.includes('"beat"')) continue;
    beats++;
    const body = JSON.stringify({ socket, n: ++n, frame: { t: "beat" } });
    const answer = await fetch(`${nginx.url}/api/stream`, { method: "POST", body });
    expect(answer.status).toBe(204);
  }
  await reader.cancel();
});
