// Helpers for the tests of the hooks: a client of the fake server, and rendering with
// and without StrictMode.
import { act, cleanup, render } from "@testing-library/react";
import { StrictMode, type ReactNode } from "react";
import { afterEach, beforeEach, describe, vi } from "vitest";
import type { Client, UntypedRegistry } from "@troupe/client";
import { FakeServer, settle as pass } from "../../clientjs/test/fakeServer.js";
import { createHooks, type Hooks } from "../src/index.js";

export interface World {
  server: FakeServer;
  client: Client;
  useActor: Hooks<UntypedRegistry>["useActor"];
  useEvent: Hooks<UntypedRegistry>["useEvent"];
  /** Renders, in StrictMode if the test runs with it. */
  show(children: ReactNode): ReturnType<typeof render>;
  strict: boolean;
}

/** Advances time, so that everything in transit arrives, and lets React render it. */
export async function settle(ms = 10): Promise<void> {
  await act(() => pass(ms));
}

/** Runs the tests twice: with and without StrictMode. */
export function plainAndStrict(tests: (world: World) => void): void {
  describe.each([
    ["plain", false],
    ["StrictMode", true],
  ])("%s", (_, strict) => {
    const world = { strict } as World;
    beforeEach(() => {
      vi.useFakeTimers();
      world.server = new FakeServer();
      world.client = world.server.createClient();
      Object.assign(world, createHooks(world.client));
      const wrapper = strict ? StrictMode : undefined;
      world.show = (children) => render(children, wrapper && { wrapper });
    });
    afterEach(async () => {
      cleanup();
      world.client.dispose();
      vi.clearAllTimers();
      vi.useRealTimers();
    });
    tests(world);
  });
}
