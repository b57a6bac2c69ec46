// A name that a client, a handle or a connection has itself cannot be that of an action or a definition: the server
// refuses it, because nobody could reach it.
import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { createClient } from "../src/index.js";

const source = readFileSync(new URL("../../backend/internal/definition/definition.go", import.meta.url), "utf8");
const namesOf = (list: string) => {
  const [, body] = new RegExp(`var ${list} = [^{]*\\{([^}]*)\\}`).exec(source)!;
  return [...body!.matchAll(/"([^"]+)"/g)].map((match) => match[1]!);
};
const actions = [...namesOf("reservedActions"), ...namesOf("objectNames")];
const definitions = [...namesOf("reservedNames"), ...actions];

it("the server refuses the names of every JavaScript object", () => {
  expect(Object.getOwnPropertyNames(Object.prototype).filter((name) => !actions.includes(name))).toEqual([]);
});

it("the server refuses the names of the client's own members", () => {
  class NoSocket {
    onmessage = null;
    onclose = null;
    onerror = null;
    send() {}
    close() {}
  }
  const client = createClient("http://localhost", { WebSocket: NoSocket, idleMs: 0 });
  const handle = client["room"]!.getOrCreate("a");
  const connection = handle.connect();
  expect(Reflect.ownKeys(client).filter((name) => !definitions.includes(String(name)))).toEqual([]);
  for (const proxy of [handle, connection]) {
    const own = Reflect.ownKeys(proxy);
    expect(own.length).toBeGreaterThan(3);
    expect(own.filter((name) => !actions.includes(String(name)))).toEqual([]);
  }
  client.dispose();
});
