// People join, talk, lose their link, reconnect, leave or vanish, over all transports.
// The server's resources must not grow with the number of people. In make test it runs
// for some seconds and compares nothing; make soak MINUTES=30 does.

import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { WebSocket } from "ws";
import { createClient } from "../clientjs/src/index";
import { expect, test } from "./fixtures";
import { Proxy } from "./proxy";
import { Server } from "./server";

const minutes = Number(process.env.MINUTES ?? 0.1);
const WORKERS = 6;
const ROOMS = 20;
const PAUSE_MS = 50;
const transports = ["websocket", "sse", "auto"] as const;

/** Metrics that must not grow: the unit, how much they may grow as noise, and where they are read. */
const gauges = {
  "RSS, MB": { unit: 1e6, noise: 8, metric: "process_resident_memory_bytes" },
  "heap, MB": { unit: 1e6, noise: 8, metric: "go_memstats_heap_inuse_bytes" },
  goroutines: { unit: 1, noise: 30, metric: "go_goroutines" },
  threads: { unit: 1, noise: 4, metric: "go_threads" },
  "open files": { unit: 1, noise: 20, metric: "process_open_fds" },
  "data, MB": { unit: 1e6, noise: 8, metric: "" },
};
type Gauge = keyof typeof gauges;
type Sample = { seconds: number; lives: number } & Record<Gauge, number>;

const size = (directory: string) =>
  readdirSync(directory).reduce((sum, name) => sum + statSync(join(directory, name)).size, 0);

const median = (values: number[]) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)]!;

test("nothing grows with the number of people who have come and gone", async () => {
  test.setTimeout(minutes * 60_000 + 120_000);
  const server = new Server("sqlite", ["-metrics"]);
  await server.start();
  const begin = Date.now();
  const over = () => Date.now() - begin > minutes * 60_000;
  const samples: Sample[] = [];
  let lives = 0;
  let calls = 0;

  /** Runs one person after the other. */
  async function worker(w: number): Promise<void> {
    const link = new Proxy(() => server.port);
    await link.start();
    for (let n = 0; !over(); n++) {
      const client = createClient(link.url, { WebSocket, transport: transports[n % transports.length]! });
      const me = `${w}-${n}`;
      const handle = client.chatRoom!.getOrCreate(`room ${(w + n) % ROOMS}`);
      const connection = handle.connect({ userId: me, name: me });
      const heard: string[] = [];
      connection.on("messageReceived", ({ userId, text }: { userId: string; text: string }) => {
        if (userId === me) heard.push(text);
      });
      const said: string[] = [];
      for (let i = 0; i < 1 + (n % 5); i++) {
        if (n % 3 === 0 && i === 2) link.cut();
        said.push(`word ${i}`);
        await connection["sendMessage"]!(me, `word ${i}`);
        calls++;
      }
      expect(heard, `${me} hears what it said`).toEqual(said);
      await handle["getMessages"]!();
      if (n % 4 === 1) link.refuse(); // it vanishes without a close
      client.dispose();
      link.pass();
      lives++;
      await pause(PAUSE_MS);
    }
    await link.close();
  }

  async function sampler(): Promise<void> {
    while (!over()) {
      const metrics = await (await fetch(`${server.url}/metrics`)).text();
      const read = (gauge: Gauge) => {
        const { metric, unit } = gauges[gauge];
        const value = metric
          ? Number(new RegExp(`^${metric} (\\S+)$`, "m").exec(metrics)?.[1])
          : size(server.directory);
        return Math.round((value / unit) * 10) / 10;
      };
      const names = Object.keys(gauges) as Gauge[];
      samples.push({
        seconds: Math.round((Date.now() - begin) / 1000),
        lives,
        ...(Object.fromEntries(names.map((gauge) => [gauge, read(gauge)])) as Record<Gauge, number>),
      });
      await pause(Math.max(1000, minutes * 1000));
    }
  }

  await Promise.all([sampler(), ...Array.from({ length: WORKERS }, (_, w) => worker(w))]);
  if (minutes >= 1) {
    const rows = samples.filter((_, i) => i % Math.ceil(samples.length / 20) === 0 || i === samples.length - 1);
    const table = [Object.keys(rows[0]!), ...rows.map((row) => Object.values(row))].map((row) => row.join("\t"));
    process.stdout.write(`${table.join("\n")}\n${lives} lives, ${calls} calls\n`);
    // In the first half the log and the resumable connections fill up.
    const later = samples.slice(samples.length / 2);
    for (const gauge of Object.keys(gauges) as Gauge[]) {
      const of = (part: Sample[]) => median(part.map((sample) => sample[gauge]));
      const before = of(later.slice(0, later.length / 2));
      expect
        .soft(of(later.slice(later.length / 2)), `${gauge}, after ${before}`)
        .toBeLessThan(before * 1.05 + gauges[gauge].noise);
    }
  }
  expect(await server.stop(), `exit status of the server, which logged:\n${server.log}`).toBe(0);
  server.remove();
  expect(lives).toBeGreaterThan(0);
  for (const gauge of Object.keys(gauges) as Gauge[]) expect(samples[0]![gauge], gauge).toBeGreaterThanOrEqual(0);
});
