// The client snippets of the specification, unchanged but for the import path. Each
// is in a function, and the app's functions that it calls are mocks.
import { afterEach, beforeEach, describe, expect, it, vi, type MockInstance } from "vitest";
import type { Connection, Handle } from "../src/index.js";
import { createClient as createTroupeClient } from "../src/index.js";
import { FakeServer, settle, type Turn } from "./fakeServer.js";
import type { Article, Message, registry } from "./registry.js";

let server: FakeServer;
let client: ReturnType<typeof createTroupeClient<typeof registry>>;
/** The createClient of the snippets, with the fake server. */
const createClient = <R extends object>(_url: string) => server.createClient<R>();

const displayMessage = vi.fn();
const removeMessageFromUI = vi.fn();
const showGameInterface = vi.fn();
const updatePlayerPosition = vi.fn();
const showPrivateMessage = vi.fn();
const enableUI = vi.fn();
const showReconnectingIndicator = vi.fn();
const hideReconnectingIndicator = vi.fn();
const showErrorMessage = vi.fn();
const handleImportantUpdate = vi.fn();
const showUpgradePrompt = vi.fn();
const displayArticle = vi.fn();
const showConnectionError = vi.fn();
const validateMessage = vi.fn();
const getCurrentPlayerId = () => "player-789";
const getUserSkillLevel = () => 7;
const getAuthToken = () => "token";
let hasSubscription = false;

let actor: Handle<(typeof registry)["chatRoom"]>;
const message: Message = { id: "m1", userId: "user-123", text: "Hello everyone!", timestamp: 1 };
const general = () => server.actor("chatRoom", "general");
let consoleLog: MockInstance<typeof console.log>;

beforeEach(() => {
  vi.useFakeTimers();
  vi.clearAllMocks();
  consoleLog = vi.spyOn(console, "log").mockImplementation(() => {});
  server = new FakeServer();
  server.actions["sendMessage"] = (turn: Turn, userId: string, text: string) => {
    const sent = { ...message, userId, text };
    turn.broadcast("messageReceived", sent);
    return sent;
  };
  client = server.createClient<typeof registry>();
  actor = client.chatRoom.getOrCreate(["general"]);
});
afterEach(() => {
  client.dispose();
  vi.clearAllTimers();
  vi.useRealTimers();
});

describe("the specification's snippets", () => {
  it("basic event subscription", async () => {
    async function snippet() {
      const client = createClient<typeof registry>("http://localhost:8080");

      // Get actor handle and establish connection
      const chatRoom = client.chatRoom.getOrCreate(["general"]);
      const connection = chatRoom.connect();

      // Listen for events
      connection.on('messageReceived', (message) => {
        console.log(`${message.userId}: ${message.text}`);
        displayMessage(message);
      });

      connection.on('messageDeleted', ({ messageId }) => {
        console.log(`Message ${messageId} was deleted`);
        removeMessageFromUI(messageId);
      });

      // Call actions through the connection
      await connection.sendMessage("user-123", "Hello everyone!");
    }
    const done = snippet();
    await settle();
    await done;
    expect(displayMessage.mock.calls).toEqual([[message]]);
    general().broadcast("messageDeleted", { messageId: "m1" });
    await settle();
    expect(removeMessageFromUI.mock.calls).toEqual([["m1"]]);
    expect(consoleLog.mock.calls).toEqual([["user-123: Hello everyone!"], ["Message m1 was deleted"]]);
  });

  it("one-time event listeners", async () => {
    const gameRoom = client.gameRoom.getOrCreate(["room-456"]);
    const connection = gameRoom.connect({
      playerId: "player-789",
      role: "player"
    });

    // Listen for game start (only once)
    connection.once('gameStarted', () => {
      console.log('Game has started!');
      showGameInterface();
    });

    // Listen for game events continuously
    connection.on('playerMoved', ({ playerId, position }) => {
      updatePlayerPosition(playerId, position);
    });

    connection.on('privateMessage', ({ from, message }) => {
      showPrivateMessage(from, message);
    });

    await settle();
    const room = server.actor("gameRoom", "room-456");
    room.broadcast("gameStarted", { startedAt: 1 });
    room.broadcast("gameStarted", { startedAt: 2 });
    for (const x of [1, 2]) room.broadcast("playerMoved", { playerId: "p2", position: { x, y: 0 } });
    room.send(connection.id!, "privateMessage", { from: "p2", message: "psst", timestamp: 1 });
    await settle();
    expect(server.got("open")[0]!.params).toEqual({ playerId: "player-789", role: "player" });
    expect(showGameInterface).toHaveBeenCalledTimes(1);
    expect(updatePlayerPosition.mock.calls).toEqual([["p2", { x: 1, y: 0 }], ["p2", { x: 2, y: 0 }]]);
    expect(showPrivateMessage.mock.calls).toEqual([["p2", "psst"]]);
  });

  it("removing event listeners", async () => {
    const connection = actor.connect();
    const messageHandler = (message: Message) => {
      console.log("Received:", message);
    };
    const receive = async () => {
      consoleLog.mockClear();
      general().broadcast("messageReceived", message);
      general().broadcast("messageDeleted", { messageId: "m1" });
      await settle();
      return consoleLog.mock.calls.length;
    };

    // Add listener
    connection.on('messageReceived', messageHandler);
    await settle();
    expect(await receive()).toBe(1);

    // Remove specific listener
    connection.off('messageReceived', messageHandler);
    expect(await receive()).toBe(0);

    connection.on("messageReceived", messageHandler);
    connection.on("messageReceived", () => console.log("another"));
    connection.on("messageDeleted", () => console.log("deleted"));
    await settle();
    expect(await receive()).toBe(3);
    // Remove all listeners for an event
    connection.off('messageReceived');
    expect(await receive()).toBe(1);

    // Remove all listeners
    connection.off();
    expect(await receive()).toBe(0);
  });

  it("connection lifecycle events", async () => {
    const connection = actor.connect();

    connection.on('connected', () => {
      console.log('Connected to actor');
      enableUI();
    });

    connection.on('disconnected', () => {
      console.log('Lost connection to actor');
      showReconnectingIndicator();
    });

    connection.on('reconnected', () => {
      console.log('Reconnected to actor');
      hideReconnectingIndicator();
    });

    connection.on('error', (error) => {
      console.error('Connection error:', error);
      showErrorMessage(error.message);
    });

    const consoleError = vi.spyOn(console, "error").mockImplementation(() => {});
    await settle();
    expect([enableUI, showReconnectingIndicator].map((f) => f.mock.calls.length)).toEqual([1, 0]);
    server.cut();
    expect([showReconnectingIndicator, hideReconnectingIndicator].map((f) => f.mock.calls.length)).toEqual([1, 0]);
    await settle(1000);
    expect([enableUI, hideReconnectingIndicator].map((f) => f.mock.calls.length)).toEqual([1, 1]);
    server.down = true;
    server.cut();
    await settle(1000);
    expect(showErrorMessage.mock.calls[0]![0]).toMatch(/trying http:\/\/troupe.test again/);
    expect(consoleError).toHaveBeenCalled();
  });

  it("event buffering", async () => {
    const connection = actor.connect();

    // Events sent while disconnected are queued
    connection.on('importantUpdate', (data) => {
      // This will still be called for events sent during disconnection
      // once the connection is reestablished
      handleImportantUpdate(data);
    });

    await settle();
    server.down = true;
    server.cut();
    for (const text of ["a", "b"]) general().broadcast("importantUpdate", { text });
    connection.on("error", () => {});
    await settle(30_000);
    expect(handleImportantUpdate).not.toHaveBeenCalled();
    server.down = false;
    await settle(60_000);
    expect(handleImportantUpdate.mock.calls).toEqual([[{ text: "a" }], [{ text: "b" }]]);
  });

  it("connection parameters", async () => {
    const gameRoom = client.gameRoom.getOrCreate(["competitive-room"]);
    const connection = gameRoom.connect({
      playerId: getCurrentPlayerId(),
      skillLevel: getUserSkillLevel(),
      authToken: getAuthToken()
    });

    await settle();
    expect(connection.status).toBe("connected");
    expect(server.got("open")[0]!.params).toEqual({ playerId: "player-789", skillLevel: 7, authToken: "token" });
    expect(server.sockets[0]!.url).not.toContain("token");
  });

  it("conditional event handling", async () => {
    const game = client.gameRoom.get("g").connect({ playerId: "player-789" });
    const news = client.newsRoom.get("n").connect();
    {
      const connection = game;
      connection.on('playerMoved', ({ playerId, position }) => {
        // Only update if it's not our own player
        if (playerId !== getCurrentPlayerId()) {
          updatePlayerPosition(playerId, position);
        }
      });
    }
    {
      const connection = news;
      connection.on('newArticle', (article) => {
        // Handle based on article level and user subscription
        if (article.level === 'premium' && !hasSubscription) {
          showUpgradePrompt();
        } else {
          displayArticle(article);
        }
      });
    }
    await settle();
    for (const playerId of ["player-789", "p2"]) {
      server.actor("gameRoom", "g").broadcast("playerMoved", { playerId, position: { x: 0, y: 0 } });
    }
    const article: Article = { id: "a", category: "go", content: "…", level: "premium", timestamp: 1 };
    server.actor("newsRoom", "n").broadcast("newArticle", article);
    await settle();
    expect(updatePlayerPosition).toHaveBeenCalledTimes(1);
    expect([showUpgradePrompt.mock.calls.length, displayArticle.mock.calls.length]).toEqual([1, 0]);
    hasSubscription = true;
    server.actor("newsRoom", "n").broadcast("newArticle", article);
    await settle();
    expect(displayArticle.mock.calls).toEqual([[article]]);
  });

  it("error handling", async () => {
    const snippet = (actor: { connect(): Connection<(typeof registry)["chatRoom"]> }) => {
      try {
        const connection = actor.connect();

        connection.on('messageReceived', (message) => {
          try {
            validateMessage(message);
            displayMessage(message);
          } catch (error) {
            console.error('Invalid message format:', error);
            // Handle malformed event data
          }
        });
      } catch (error) {
        console.error('Failed to establish connection:', error);
        showConnectionError();
      }
    };
    const consoleError = vi.spyOn(console, "error").mockImplementation(() => {});
    snippet(actor);
    await settle();
    validateMessage.mockImplementationOnce(() => {
      throw new Error("no text");
    });
    general().broadcast("messageReceived", {});
    general().broadcast("messageReceived", message);
    await settle();
    expect(displayMessage.mock.calls).toEqual([[message]]);
    expect(consoleError).toHaveBeenCalledTimes(1);

    // An invalid URL is reported at once.
    snippet(createTroupeClient<typeof registry>("localhost:8080").chatRoom.getOrCreate(["general"]));
    expect(showConnectionError).toHaveBeenCalledTimes(1);
  });
});
