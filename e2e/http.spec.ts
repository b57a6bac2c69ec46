// Responses to plain requests, and a page without a build.

import { everywhere, expect, plainPage, test } from "./fixtures";

test("the health check responds", async ({ server, request }) => {
  const response = await request.get(`${server.url}/healthz`);
  expect(response.status()).toBe(200);
  expect(await response.json()).toMatchObject({ status: "ok" });
});

for (const path of ["/", "/chat", "/chat/general", "/game", "/news", "/chat/a%20room"]) {
  test(`the deep link ${path} returns the page`, async ({ server, request }) => {
    const response = await request.get(server.url + path, { headers: { accept: "text/html" } });
    expect(response.status()).toBe(200);
    expect(response.headers()["content-type"]).toContain("text/html");
    expect(response.headers()["cache-control"]).toContain("no-cache");
  });
}

for (const path of ["/assets/missing.js", "/lib/missing.js", "/missing.png", "/api/missing"]) {
  test(`${path} is not found`, async ({ server, request }) => {
    const response = await request.get(server.url + path);
    expect(response.status()).toBe(404);
    expect(await response.text()).not.toContain("<html");
  });
}

test("hashed assets are cached forever", async ({ server, request }) => {
  const html = await (await request.get(server.url)).text();
  const assets = [...html.matchAll(/(?:src|href)="(\/assets\/[^"]+)"/g)].map((match) => match[1]!);
  expect(assets.length).toBeGreaterThan(0);
  for (const asset of assets) {
    const response = await request.get(server.url + asset);
    expect(response.status(), asset).toBe(200);
    expect(response.headers()["cache-control"], asset).toContain("immutable");
  }
});

test("an action is one request", async ({ server, request }) => {
  const response = await request.post(`${server.url}/api/actors/chatRoom/actions/sendMessage?key=general`, {
    data: { args: ["ada", "hello"] },
  });
  expect(response.status()).toBe(200);
  expect(JSON.stringify(await response.json())).toContain("hello");
});

const plain = `<!doctype html><title>plain</title><ul></ul><script type="module">
  import { createClient } from "/lib/client.js";
  const connection = createClient().chatRoom.getOrCreate(["plain"]).connect();
  connection.on("messageReceived", (message) => {
    document.querySelector("ul").append(Object.assign(document.createElement("li"), { textContent: message.text }));
  });
  await connection.sendMessage("ada", "over a connection");
  await createClient().chatRoom.getOrCreate(["plain"]).sendMessage("ada", "over HTTP");
</script>`;

test("a plain page uses the client with one import", everywhere, async ({ server, page }) => {
  await plainPage(page, server.url, plain);
  await expect(page.getByRole("listitem")).toHaveText(["over a connection", "over HTTP"]);
});

test("a page of another origin cannot connect", everywhere, async ({ server, link, page }) => {
  await page.goto(`${link.url}/healthz`); // another port is another origin
  const outcome = await page.evaluate(
    (url) =>
      new Promise((resolve) => {
        const socket = new WebSocket(url);
        socket.addEventListener("message", ({ data }) => resolve(data));
        socket.addEventListener("close", ({ code, reason }) => resolve(`${code} ${reason}`));
      }),
    `${server.url.replace("http", "ws")}/api/socket?v=1`,
  );
  // It opens, so that the page gets a reason, and is closed at once.
  expect(outcome).toMatch(/^1008 bad_origin: /);
});
