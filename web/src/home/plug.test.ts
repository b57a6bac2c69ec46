import type { WebSocketLike } from "@troupe/client";
import { expect, it, vi } from "vitest";
import { Plug } from "./plug";

class FakeSocket implements WebSocketLike {
  onmessage: WebSocketLike["onmessage"] = null;
  onclose: WebSocketLike["onclose"] = null;
  onerror: WebSocketLike["onerror"] = null;
  readyState = 1;
  send() {}
  close = vi.fn<() => void>(() => {
    this.readyState = 3;
  });
}

it("closes open sockets and refuses new ones, until it is inserted", async () => {
  vi.useFakeTimers();
  const plug = new Plug(FakeSocket);
  const changed = vi.fn<() => void>();
  plug.subscribe(changed);
  const first = new plug.WebSocket("ws://here") as FakeSocket;
  plug.pull();
  expect(first.close).toHaveBeenCalledTimes(1);
  expect(plug.pulled()).toBe(true);

  const refused = new plug.WebSocket("ws://here");
  const closed = vi.fn<(event: { code: number }) => void>();
  refused.onclose = closed;
  vi.runAllTimers();
  expect(closed.mock.calls[0]![0]).toMatchObject({ code: 1006 });

  plug.insert();
  expect(new plug.WebSocket("ws://here")).toBeInstanceOf(FakeSocket);
  expect(changed).toHaveBeenCalledTimes(2);
  vi.useRealTimers();
});
