// The server with a base path (its flag -base-path), as behind a proxy that also serves
// other things.

import { Chat } from "./chat";
import { everywhere, expect, test } from "./fixtures";
import { Server } from "./server";

for (const base of ["/app", "/any/base/path"]) {
  test(`everything works with the base path ${base}`, everywhere, async ({ visit }) => {
    const server = new Server("memory", ["-base-path", base]);
    await server.start();
    try {
      const root = server.url + base;
      const ada = new Chat(await visit(root));
      expect(new URL(ada.page.url()).pathname, "with a slash").toBe(`${base}/`);
      await ada.page.getByRole("link", { name: "Chat", exact: true }).click();
      const page = await visit(`${root}/chat/general`);
      const bob = new Chat(page);
      await ada.join("Ada");
      await bob.join("Bob");
      await ada.said("hello from below");
      await expect(bob.texts).toHaveText(["hello from below"]);

      // Links contain the base path, and the page works after a reload.
      await page.getByRole("link", { name: "News", exact: true }).click();
      await expect(page).toHaveTitle(/News/);
      expect(new URL(page.url()).pathname).toBe(`${base}/news`);
      await page.goBack();
      await expect(bob.texts).toHaveText(["hello from below"]);
      expect(new URL(page.url()).pathname).toBe(`${base}/chat/general`);
      await page.reload();
      await expect(bob.texts).toHaveText(["hello from below"]);
      await expect(page.getByRole("link", { name: "Chat", exact: true })).toHaveAttribute(
        "href",
        `${base}/chat/general`,
      );
    } finally {
      await server.stop();
      server.remove();
    }
  });
}

test("files with a base path are the same as at the root", async ({ request }) => {
  const server = new Server("memory", ["-base-path", "/app"]);
  await server.start();
  try {
    const root = `${server.url}/app`;
    const page = await request.get(`${root}/chat/general`, { headers: { accept: "text/html" } });
    expect(page.headers()["cache-control"]).toContain("no-cache");
    const again = await request.get(`${root}/`, { headers: { "if-none-match": page.headers()["etag"]! } });
    expect(again.status()).toBe(304);
    const files = [...(await page.text()).matchAll(/(?:src|href)="([^"]+)"/g)].map((match) => match[1]!);
    for (const file of files) expect(file).toMatch(/^\/app\//);
    const assets = files.filter((file) => file.startsWith("/app/assets/"));
    expect(assets.length).toBeGreaterThan(3);
    for (const asset of assets) {
      const response = await request.get(server.url + asset);
      expect(response.status(), asset).toBe(200);
      expect(response.headers()["cache-control"], asset).toContain("immutable");
    }
    for (const [path, status] of Object.entries({
      "/lib/client.js": 200,
      "/lib/http.js": 200,
      "/licenses.txt": 200,
      "/healthz": 200,
      "/assets/missing.js": 404,
      "/missing.png": 404,
      "/api/missing": 404,
    })) {
      expect((await request.get(root + path)).status(), path).toBe(status);
    }
  } finally {
    await server.stop();
    server.remove();
  }
});
