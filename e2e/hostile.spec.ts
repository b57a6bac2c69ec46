// Hostile names, messages, keys and arguments: no script runs, no prototype changes, and
// nobody else is affected.

import { WebSocket } from "ws";
import { createClient } from "../clientjs/src/index";
import { Chat } from "./chat";
import { everywhere, expect, test } from "./fixtures";

const scripts = [
  `<img src=x onerror="window.owned = 1">`,
  `<script>window.owned = 1</script>`,
  `"><svg onload=window.owned=1>`,
  `</title><iframe srcdoc="<script>parent.owned=1</script>">`,
  `javascript:window.owned=1`,
  "{{constructor.constructor('window.owned=1')()}}",
  "\u202eevil\u2066 \u0007\u001b[31m",
];

test("names and messages are shown as text, whatever they contain", everywhere, async ({ server, visit }) => {
  const client = createClient(server.url, { WebSocket });
  const room = client.chatRoom!.getOrCreate("general");
  for (const [i, script] of scripts.entries()) {
    const connection = room.connect({ userId: `u${i}`, name: script.slice(0, 64) });
    await connection["sendMessage"]!(`u${i}`, script);
  }
  const page = await visit(`${server.url}/chat/general`);
  const chat = await new Chat(page).join(scripts[0]!);
  await expect(chat.texts).toHaveText(scripts.map((script) => script.replace(/\s+/g, " ")));
  await chat.say(scripts[1]!);
  await expect(chat.texts).toHaveCount(scripts.length + 1);
  await page.goto(`${server.url}/chat/${encodeURIComponent(scripts[0]!)}`);
  await expect(page.getByRole("heading", { level: 1 })).toContainText("<img");
  expect(await page.evaluate(() => "owned" in window)).toBe(false);
  expect(await page.locator("main img, main iframe, main script").count()).toBe(0);
  client.dispose();
});

test("names of Object.prototype's members are ordinary names", async ({ server }) => {
  const client = createClient(server.url, { WebSocket });
  const names = ["__proto__", "constructor", "prototype", "toString", "hasOwnProperty"];
  const evil = JSON.parse(`{"__proto__": {"owned": 1}, "constructor": {"prototype": {"owned": 1}}, "userId": "ada"}`);
  for (const name of names) {
    const connection = client.chatRoom!.getOrCreate([name, name]).connect(evil);
    const heard: { text: string }[] = [];
    connection.on("messageReceived", (message) => heard.push(message));
    connection.on("error", ({ code }) => expect(code).toBe("unknown_event"));
    connection.on(name, () => heard.push({ text: "never" }));
    expect(await connection["sendMessage"]!("ada", name)).toMatchObject({ text: name });
    expect(heard).toMatchObject([{ text: name }]);
    await expect(connection["sendMessage"]!(evil, evil)).rejects.toMatchObject({ code: "invalid_args" });
    await expect(connection.call(name, evil)).rejects.toMatchObject({ code: "unknown_action" });
    await expect(client.chatRoom!.getOrCreate(name).call(name)).rejects.toMatchObject({ code: "unknown_action" });
    await expect(
      client[name as "chatRoom"]?.getOrCreate?.("x").call("x") ?? Promise.reject({ code: "unknown_actor" }),
    ).rejects.toMatchObject({ code: "unknown_actor" });
  }
  expect(({} as { owned?: number }).owned).toBeUndefined();
  client.dispose();
});
