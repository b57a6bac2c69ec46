// A server with an inspector, and the way into it.

import { expect, type Page } from "@playwright/test";
import { Server } from "./server";

/** The flags of a server with an inspector. */
const flags = (mode: string) => ["-debug-addr", "127.0.0.1:0", "-inspect", mode, "-log", "info"];

/** A running server with an inspector. Stop and remove it after use. */
export async function inspected(mode: "read" | "write" = "write"): Promise<Server> {
  const server = new Server("memory", flags(mode));
  await server.start();
  await expect.poll(() => server.log, "the log, which may come later than what says that it listens").toMatch(LINK);
  return server;
}

const LINK = /msg=inspector link="?(http[^"\s]+)/;

/** The link that the server has logged. */
export function linkOf(server: Server): string {
  const link = LINK.exec(server.log)?.[1];
  if (!link) throw new Error(`the log has no link of an inspector:\n${server.log}`);
  return link;
}

/** Opens a page of the inspector that the link has let in. */
export async function openPage(page: Page, path: string): Promise<void> {
  await page.goto(new URL(`/inspect${path}`, page.url()).href);
}

/** Calls an action without a connection, as other programs do. */
export async function callAction(
  server: Server,
  name: string,
  key: string,
  action: string,
  ...args: unknown[]
): Promise<unknown> {
  const response = await fetch(`${server.url}/api/actors/${name}/actions/${action}?key=${encodeURIComponent(key)}`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ args }),
  });
  if (!response.ok) throw new Error(`${action}: ${await response.text()}`);
  return response.json();
}
