#!/usr/bin/env node
// npx @troupe/client types URL: prints the TypeScript types of a server's actors.

declare const process: {
  argv: string[];
  exitCode: number | undefined;
  stdout: { write(text: string): void };
};

/** How the command is called. */
export const USAGE = "usage: npx @troupe/client types URL > src/registry.ts";

/** Returns what the command prints. Throws an Error for a person if it cannot. */
async function run([command, address]: string[]): Promise<string> {
  if (command !== "types" || !address || !/^https?:/.test(address)) throw new Error(USAGE);
  const url = `${address.replace(/\/+$/, "")}/lib/registry.ts`;
  const response = await fetch(url).catch((error: Error) => {
    throw new Error(`${url}: ${(error.cause as Error | undefined)?.message ?? error.message}`);
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${url}: ${response.status} ${text.trim()}`);
  if (!text.includes("export interface Registry")) throw new Error(`${url} is not a Troupe server's`);
  return text;
}

try {
  process.stdout.write(await run(process.argv.slice(2)));
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 1;
}
