// The real binary as a process. It can be stopped and started again with the same port
// and data.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const binary = process.env.TROUPE_BINARY ?? fileURLToPath(new URL("../bin/troupe", import.meta.url));

export class Server {
  #process: ChildProcess | undefined;
  #log = "";
  /** Its data directory. */
  readonly directory = mkdtempSync(join(tmpdir(), "troupe-e2e-"));
  /** 0 until the first start; a restart uses the same port. */
  port = 0;

  constructor(
    /** Undefined for a node of a cluster, which keeps its actors elsewhere. */
    readonly store: "sqlite" | "memory" | undefined,
    /** Flags beside the address, the data and the log. */
    readonly flags: readonly string[] = [],
  ) {}

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** The server's log. */
  get log(): string {
    return this.#log;
  }

  /** Starts the server and returns once it listens. */
  async start(): Promise<void> {
    const store = this.store ? ["-store", this.store] : [];
    const child = spawn(
      binary,
      ["-addr", `127.0.0.1:${this.port}`, "-data", this.directory, ...store, "-log", "warn", ...this.flags],
      {
        stdio: ["ignore", "pipe", "pipe"],
      },
    );
    this.#process = child;
    child.stderr.on("data", (data) => (this.#log += data));
    for await (const line of createInterface({ input: child.stdout })) {
      const port = /http:\/\/[^ ]*:(\d+)/.exec(line)?.[1];
      if (port) {
        this.port = Number(port);
        return;
      }
    }
    throw new Error(`${binary} ended before it listened:\n${this.#log}`);
  }

  /** Stops the server and returns its exit status, null after SIGKILL. */
  async stop(signal: "SIGTERM" | "SIGKILL" = "SIGTERM"): Promise<number | null> {
    const child = this.#process;
    if (!child) return 0;
    this.#process = undefined;
    if (child.exitCode === null && child.signalCode === null) {
      child.kill(signal);
      await once(child, "exit");
    }
    return child.exitCode;
  }

  /** Deletes its data. */
  remove(): void {
    rmSync(this.directory, { recursive: true });
  }
}
