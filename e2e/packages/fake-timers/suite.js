// Tests as an app has them, for Jest and for Vitest: `timers` is `jest` or `vi`.
import { createClient } from "@troupe/client";
import { createHooks, useActorState } from "@troupe/react";
import { act, createElement } from "react";
import { createRoot } from "react-dom/client";

// Fake timers replace the global one.
const { setTimeout: realTimeout } = globalThis;
globalThis.IS_REACT_ACT_ENVIRONMENT = true;

/** A WebSocket that never opens. */
class Silent {
  static created = 0;
  constructor() {
    Silent.created++;
  }
  send() {}
  close() {}
}

/** Defines the tests, of rooms that are named roomName, on the server at url. */
export function define({ timers, test, expect, beforeEach, afterEach }, url, roomName) {
  let client;
  beforeEach(() => {
    timers.useFakeTimers();
  });
  afterEach(() => {
    client.dispose();
    timers.useRealTimers();
  });

  /** Lets a moment pass on both clocks until condition holds. */
  async function until(condition) {
    for (let i = 0; i < 500 && !condition(); i++) {
      await act(async () => {
        await timers.advanceTimersByTimeAsync(1);
        await new Promise((resolve) => realTimeout(resolve, 5));
      });
    }
  }

  test("a connection works while timers are fake", async () => {
    client = createClient(url, { transport: "websocket" });
    const room = client.chatRoom.getOrCreate([roomName]).connect();
    const texts = [];
    room.on("messageReceived", ({ text }) => texts.push(text));
    void room.sendMessage("ada", "hello");
    await until(() => texts.length);
    expect(texts).toEqual(["hello"]);
  });

  test("a component shows an actor's state while timers are fake", async () => {
    client = createClient(url, { transport: "websocket" });
    const { useActor } = createHooks(client);
    function Room() {
      const room = useActor({ name: "chatRoom", key: [roomName, "component"] });
      const { state = [] } = useActorState(room, {
        load: (connection) => connection.getMessages(),
        on: { messageReceived: (messages, message) => [...messages, message] },
      });
      return createElement(
        "button",
        { onClick: () => room.connection.sendMessage("ada", "hello") },
        `${room.status}: ${state.map(({ text }) => text).join()}`,
      );
    }
    const element = document.body.appendChild(document.createElement("div"));
    const root = createRoot(element);
    await act(async () => root.render(createElement(Room)));
    await until(() => element.textContent === "connected: ");
    await act(async () => element.firstChild.click());
    await until(() => element.textContent === "connected: hello");
    expect(element.textContent).toBe("connected: hello");
    await act(async () => root.unmount());
  });

  test("advancing the time gives calls up, and dials again", async () => {
    Silent.created = 0;
    client = createClient("http://nowhere.test", { WebSocket: Silent, transport: "websocket" });
    const errors = [];
    const room = client.chatRoom.getOrCreate(["silent"]).connect();
    room.on("error", (error) => errors.push(error.code));
    const call = room.withOptions({ timeoutMs: 30_000 }).sendMessage("ada", "hello");
    const failure = call.catch((error) => error);
    await timers.advanceTimersByTimeAsync(30_000);
    expect(await failure).toMatchObject({ code: "not_sent", metadata: { reason: "timeout" } });
    expect(errors).toEqual(["link", "link"]);
    expect(Silent.created).toBe(3);
  });
}
