// The store works without React: it does not import it, directly or indirectly.
import { expect, it, vi } from "vitest";
import { FakeServer, settle } from "../../clientjs/test/fakeServer.js";
import { actorId, actorStore } from "../src/actorStore.js";

vi.mock("react", () => {
  throw new Error("the store must not import React");
});

it("shares a connection, counts its users, and disposes it after the last one", async () => {
  vi.useFakeTimers();
  const server = new FakeServer();
  const client = server.createClient();
  const store = actorStore(client);
  expect(actorStore(client)).toBe(store);
  const id = actorId("chatRoom", "general", undefined);
  const user = { id, params: () => undefined };
  const changes = vi.fn();
  const stop = vi.fn();
  const releaseOne = store.subscribe(user, changes);
  const releaseTwo = store.use(user, () => stop);
  await settle();
  expect(store.snapshot(id)).toMatchObject({ status: "connected" });
  expect(store.snapshot(id)).toBe(store.snapshot(id));
  expect(changes).toHaveBeenCalled();
  releaseOne();
  await settle(1000);
  expect(store.snapshot(id).status).toBe("connected");
  expect(stop).not.toHaveBeenCalled();
  releaseTwo();
  expect(stop).toHaveBeenCalledOnce();
  const releaseThree = store.use(user, () => stop); // within one tick: reuses the connection
  await settle();
  expect(server.got("close")).toHaveLength(0);
  releaseThree();
  await settle();
  expect(server.got("close")).toHaveLength(1);
  expect(store.snapshot(id).connection).toBeUndefined();
  client.dispose();
  vi.useRealTimers();
});
