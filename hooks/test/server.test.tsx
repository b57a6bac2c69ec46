// @vitest-environment jsdom
// Rendering on a server, and hydrating in the browser.
import { act } from "@testing-library/react";
import { StrictMode, useState } from "react";
import { hydrateRoot } from "react-dom/client";
import { renderToString } from "react-dom/server";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { createClient, type UntypedRegistry } from "@troupe/client";
import { FakeServer } from "../../clientjs/test/fakeServer.js";
import { actorId, actorStore } from "../src/actorStore.js";
import { createHooks, type Hooks } from "../src/index.js";
import { settle } from "./support.js";

Object.assign(globalThis, { IS_REACT_ACT_ENVIRONMENT: true });

let hooks: Hooks<UntypedRegistry>;

function Room() {
  const actor = hooks.useActor({ name: "chatRoom", key: ["general"] });
  const [list, setList] = useState<number[]>([]);
  actor.useEvent("a", (n: number) => setList((l) => [...l, n]));
  return <p>{`${actor.status} ${list.join()}`}</p>;
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

it("renders to a string without a URL, a WebSocket or a connection", () => {
  hooks = createHooks(createClient());
  expect(renderToString(<Room />)).toBe("<p>connecting </p>");
  expect(vi.getTimerCount()).toBe(0);
});

it("hydrates with the content that the server rendered, even if the connection already exists", async () => {
  const log = vi.spyOn(console, "error").mockImplementation(() => {});
  const client = new FakeServer().createClient<UntypedRegistry>();
  hooks = createHooks(client);
  const user = { id: actorId("chatRoom", ["general"], undefined), params: () => undefined };
  const release = actorStore(client).use(user, () => () => {});
  await settle();
  const root = document.createElement("div");
  const seen: string[] = [];
  function Status({ enabled }: { enabled: boolean }) {
    const { status } = hooks.useActor({ name: "chatRoom", key: ["general"], enabled });
    seen.push(status);
    return <p>{status}</p>;
  }
  const page = [true, false].map((enabled) => <Status key={`${enabled}`} enabled={enabled} />);
  root.innerHTML = renderToString(page);
  expect(root.textContent).toBe("connectingidle");
  seen.length = 0;
  const mounted = await act(async () => hydrateRoot(root, page));
  expect(seen.slice(0, 2)).toEqual(["connecting", "idle"]);
  expect(root.textContent).toBe("connectedidle");
  expect(log).not.toHaveBeenCalled();
  await act(async () => mounted.unmount());
  release();
  client.dispose();
});

it("hydrates without a warning, and delivers the first event once", async () => {
  const log = vi.spyOn(console, "error").mockImplementation(() => {});
  const server = new FakeServer();
  server.onConnect = (turn) => turn.broadcast("a", 1);
  const client = server.createClient<UntypedRegistry>();
  hooks = createHooks(client);
  const root = document.createElement("div");
  const page = (
    <StrictMode>
      <Room />
    </StrictMode>
  );
  root.innerHTML = renderToString(page);
  const mounted = await act(async () => hydrateRoot(root, page));
  expect(root.textContent).toBe("connecting ");
  await settle();
  expect(root.textContent).toBe("connected 1");
  expect(log).not.toHaveBeenCalled();
  await act(async () => mounted.unmount());
  client.dispose();
});
