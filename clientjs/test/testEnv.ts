import { afterEach, beforeEach, expect, vi } from "vitest";
import type { ActorError, Client, ClientOptions, Connection, ConnectOptions } from "../src/index.js";
import { FakeServer } from "./fakeServer.js";

/** The server and client of the test that runs, in virtual time. */
export let server: FakeServer;
export let client: Client;

beforeEach(() => {
  vi.useFakeTimers();
  server = new FakeServer();
  client = server.createClient();
});
afterEach(() => {
  client.dispose();
  vi.clearAllTimers();
  vi.useRealTimers();
});

/** Gives the test a client with other options. */
export const useClient = (options: ClientOptions) => {
  client = server.createClient(options);
};

export const connect = (params?: unknown, options?: ConnectOptions): Connection =>
  client["chatRoom"]!.getOrCreate("general").connect(params, options);
export const room = () => server.actor("chatRoom", "general");

/** The code of the error that a promise rejects with. */
export const failure = (promise: Promise<unknown>) =>
  promise.then(
    (value) => expect.fail(`resolved with ${JSON.stringify(value)}`),
    (error: ActorError) => error,
  );
