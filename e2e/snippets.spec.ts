// Runs the client snippets of the documentation, unchanged, against the three rooms.
// Mocks stand for the functions of an app, and record their arguments.

import { readFileSync } from "node:fs";
import { expect, plainPage, test } from "./fixtures";

const snippets = `<!doctype html><title>snippets</title><script type="module">
import { createClient } from "/lib/client.js";
const seen = (window.seen = []);
const note = (name) => (...args) => void seen.push([name, ...args]);
const displayMessage = (message) => note("displayMessage")(message.text);
const removeMessageFromUI = note("removeMessageFromUI");
const showGameInterface = note("showGameInterface");
const updatePlayerPosition = note("updatePlayerPosition");
const showPrivateMessage = note("showPrivateMessage");
const showUpgradePrompt = note("showUpgradePrompt");
const displayArticle = (article) => note("displayArticle")(article.content);
const showErrorMessage = note("showErrorMessage");
const enableUI = note("enableUI");
const getCurrentPlayerId = () => "player-789";
const getUserSkillLevel = () => 7;
const getAuthToken = () => "token";
const hasSubscription = () => false;

// The news room believes the session of a visitor only, not what a client says of itself.
await fetch("/api/session", { method: "POST", body: '{"subscription":"premium"}' });

const client = createClient(location.origin);

// A connection, events, an action.
{
  const chatRoom = client.chatRoom.getOrCreate(["general"]);
  const connection = chatRoom.connect();
  connection.on('connected', () => enableUI());
  connection.on('error', (error) => showErrorMessage(error.message));
  connection.on('messageReceived', (message) => {
    displayMessage(message);
  });
  connection.on('messageDeleted', ({ messageId }) => {
    removeMessageFromUI(messageId);
  });
  const message = await connection.sendMessage("user-123", "Hello everyone!");
  await connection.deleteMessage(message.id);
  seen.push(["deleted", message.id]);

  // Removing listeners.
  const messageHandler = note("messageHandler");
  connection.on('messageReceived', messageHandler);
  connection.off('messageReceived', messageHandler);
  await connection.sendMessage("user-123", "still displayed");
  connection.off('messageReceived');
  await connection.sendMessage("user-123", "not displayed");
  connection.off();
}

// Listening once, and to what is for one connection only.
{
  const gameRoom = client.gameRoom.getOrCreate(["room-456"]);
  const connection = gameRoom.connect({
    playerId: "player-789",
    role: "player"
  });
  connection.once('gameStarted', () => {
    showGameInterface();
  });
  connection.on('playerMoved', ({ playerId, position }) => {
    if (playerId !== getCurrentPlayerId()) {
      updatePlayerPosition(playerId, position);
    }
  });
  connection.on('privateMessage', ({ from, message }) => {
    showPrivateMessage(from, message);
  });
  const other = gameRoom.connect({
    playerId: "player-1",
    skillLevel: getUserSkillLevel(),
    authToken: getAuthToken()
  });
  await connection.startGame();
  await other.startGame();
  await other.updatePlayerPosition({ x: 10, y: 20 });
  await connection.updatePlayerPosition({ x: 30, y: 40 });
  await other.sendPrivateMessage("player-789", "psst");
  try {
    await other.sendPrivateMessage("nobody", "psst");
  } catch (error) {
    note("refused")(error.message);
  }
  await connection.getGame();
}

// Filtered by the state of the connection.
{
  const connection = client.newsRoom.getOrCreate("daily").connect({ subscription: "premium" });
  connection.on('newArticle', (article) => {
    if (article.level === 'premium' && !hasSubscription()) {
      showUpgradePrompt();
    } else {
      displayArticle(article);
    }
  });
  await connection.publishArticle({ category: "a", content: "for all", level: "public" });
  await connection.publishArticle({ category: "a", content: "for some", level: "premium" });
}
window.done = true;
</script>`;

test("the snippets of the documentation run unchanged", async ({ server, page }) => {
  await plainPage(page, server.url, snippets);
  await page.waitForFunction("window.done");
  const seen = (await page.evaluate("window.seen")) as unknown[][];
  const id = seen.find(([name]) => name === "deleted")?.[1];
  expect(seen).toEqual([
    ["enableUI"],
    ["displayMessage", "Hello everyone!"],
    ["removeMessageFromUI", id],
    ["deleted", id],
    ["displayMessage", "still displayed"],
    ["showGameInterface"],
    ["updatePlayerPosition", "player-1", { x: 10, y: 20 }],
    ["showPrivateMessage", "player-1", "psst"],
    ["refused", "Player not found or not connected"],
    ["displayArticle", "for all"],
    ["showUpgradePrompt"],
  ]);
});

test("the plain page of docs/library.md works", async ({ server, page }) => {
  const document = readFileSync(new URL("../docs/library.md", import.meta.url), "utf8");
  await plainPage(page, server.url, /```html\n([^]*?)```/.exec(document)![1]!);
  await expect(page.getByRole("listitem")).toHaveText("ada: hello");
});
