// @vitest-environment jsdom
// Runs the README's React component. backend/readme checks that the README shows the
// files in readme/.
import { fireEvent } from "@testing-library/react";
import { expect, it, vi } from "vitest";
import { socketClass, type FakeServer, type Turn } from "../../clientjs/test/fakeServer.js";
import { Counter } from "./readme/Counter.js";
import { plainAndStrict, settle } from "./support.js";

// The component has one client for all tests, as a page has.
let server: FakeServer;
vi.stubGlobal("WebSocket", function open(url: string) {
  return new (socketClass(server))(url);
});

plainAndStrict((world) => {
  it("runs the README's Counter", async () => {
    let value = 0;
    world.server.actions["add"] = (turn: Turn, n: number) => {
      turn.broadcast("changed", { value: (value += n) });
      return value;
    };
    world.server.actions["get"] = () => value;
    server = world.server;
    const { getByRole, unmount } = world.show(<Counter of="apples" />);
    await settle();
    fireEvent.click(getByRole("button"));
    await settle();
    expect(getByRole("button").textContent).toBe("apples: 1");
    unmount();
    await settle(2000); // the component's client closes its socket
  });
});
