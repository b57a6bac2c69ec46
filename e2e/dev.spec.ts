// The development loop: make dev on a copy of the project. Saved files are on the page
// a moment later.

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { Chat } from "./chat";
import { expect, test } from "./fixtures";

const root = fileURLToPath(new URL("..", import.meta.url));

/** Time for one compilation on a busy machine. An idle one compiles everything in half a minute. */
const PATIENCE_MS = 120_000;

/** A copy of the project with make dev running in it. */
class Dev {
  readonly directory = mkdtempSync(join(tmpdir(), "troupe-dev-"));
  url = "";
  log = "";
  #make: ChildProcess | undefined;

  async start(): Promise<void> {
    const files = execFileSync("git", ["ls-files", "-co", "--exclude-standard", "-z"], { cwd: root, encoding: "utf8" });
    // Of the benchmark, which is a module of its own, only the pictures in the documentation.
    const wanted = (name: string) => name && (!name.startsWith("e2e/bench/") || name.endsWith(".svg"));
    for (const file of files.split("\0").filter(wanted)) {
      cpSync(join(root, file), join(this.directory, file));
    }
    symlinkSync(join(root, "node_modules"), join(this.directory, "node_modules"));
    // -o: use the original's npm packages instead of installing them again.
    const make = spawn("make", ["dev", "ADDR=127.0.0.1:0", "-o", "node_modules/.package-lock.json"], {
      cwd: this.directory,
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#make = make;
    make.stderr.on("data", (data) => (this.log += data));
    const lines = createInterface({ input: make.stdout });
    await new Promise<void>((resolve, reject) => {
      lines.on("line", (line) => {
        this.log += `${line}\n`;
        const at = /the app is at (\S+)/.exec(line)?.[1];
        if (at) {
          this.url = at;
          resolve();
        }
      });
      make.on("exit", () => reject(new Error(`make dev has ended:\n${this.log}`)));
    });
  }

  async stop(): Promise<void> {
    const make = this.#make;
    if (make && make.exitCode === null && make.signalCode === null) {
      make.kill("SIGTERM");
      await once(make, "close"); // when its output is closed, no process is left
    }
    rmSync(this.directory, { recursive: true });
  }

  read(file: string): string {
    return readFileSync(join(this.directory, file), "utf8");
  }

  /** Replaces a text in a file and saves it as many editors do: to another file, which is then renamed. */
  save(file: string, from: string, to: string): void {
    const before = this.read(file);
    expect(before).toContain(from);
    const beside = join(this.directory, dirname(file), ".swap");
    writeFileSync(beside, before.replace(from, to));
    renameSync(beside, join(this.directory, file));
  }
}

const dev = new Dev();
test.afterAll(() => dev.stop());

test("saved changes appear on the page, and errors are shown", async ({ visit }) => {
  test.setTimeout(10 * PATIENCE_MS); // most of it for the first compilation, if Go's cache is empty
  await dev.start();
  const ada = await new Chat(await visit(`${dev.url}/chat/general`)).join("Ada");
  const { page } = ada;
  const problems = page.getByRole("alert").filter({ has: page.getByRole("button", { name: "Close" }) });
  await ada.said("before");

  // The home page and the terminal lead into the inspector.
  const look = await visit(dev.url);
  await look.getByRole("link", { name: "Look into the server" }).click();
  await expect(
    look.getByRole("region", { name: "Stored actors" }).getByRole("link", { name: "chatRoom" }),
  ).toBeVisible();
  const link = () => /its inspector is at (\S+)/.exec(dev.log)?.[1] ?? "";
  await expect.poll(link).not.toBe("");
  const opened = await visit(link());
  await expect(opened.getByRole("heading", { level: 1 })).toHaveText("Overview");

  const timed = async (what: string, limitMs: number, change: () => void, seen: () => Promise<void>) => {
    const begin = performance.now();
    change();
    await seen();
    const ms = Math.round(performance.now() - begin);
    process.stdout.write(`    ${what}: ${ms} ms\n`);
    expect(ms, what).toBeLessThan(limitMs);
  };
  /** A mark that a reload of the page removes. */
  const mark = () => page.evaluate(() => (document.documentElement.dataset.kept = "yes"));
  const kept = () => page.evaluate(() => document.documentElement.dataset.kept);

  await mark();
  await timed(
    "a .css file",
    PATIENCE_MS,
    () => dev.save("web/src/app/app.css", ".header {", ".header { outline: 7px solid rgb(1, 2, 3);"),
    async () => {
      await page.waitForFunction(
        () => getComputedStyle(document.querySelector(".header")!).outlineWidth === "7px",
        undefined,
        { polling: 10 },
      );
    },
  );
  expect(await kept(), "the page after its style has changed").toBe("yes");

  await timed(
    "a .tsx file",
    PATIENCE_MS,
    () => dev.save("web/src/app/Header.tsx", 'label: "Chat"', 'label: "Talk"'),
    async () => {
      await page.waitForFunction(() => document.querySelector("nav")?.textContent?.includes("Talk"), undefined, {
        polling: 10,
      });
    },
  );
  await ada.connected();

  // The page stays while the server is replaced, and its connection loses no event.
  await mark();
  const answer = "a message needs a text";
  let said = 0;
  let open = true;
  const talk = (async () => {
    while (open) await ada.said(`message ${++said}.`);
  })();
  const send = () =>
    page.evaluate(async () => {
      const body = JSON.stringify({ args: ["bob", ""] });
      const got = await fetch("/api/actors/chatRoom/actions/sendMessage?key=other", { method: "POST", body });
      return got.text();
    });
  expect(await send()).toContain(answer);
  await timed(
    "a .go file",
    PATIENCE_MS,
    () => dev.save("backend/rooms/chat.go", answer, "say something"),
    () => expect.poll(send, { intervals: [20], timeout: PATIENCE_MS }).toContain("say something"),
  );
  open = false;
  await talk;
  await ada.connected();
  await expect(ada.texts).toHaveText(["before", ...Array.from({ length: said }, (_, i) => `message ${i + 1}.`)]);
  expect(await kept(), "the page after the server was replaced").toBe("yes");

  for (const [file, from, to, complaint] of [
    ["web/src/app/Header.tsx", "const section =", "const section = = ", "Header.tsx"],
    ["backend/rooms/chat.go", "say something", 'say " something', "chat.go"],
    ["web/page.templ", 'id="root"', "id={ nobody }", "nobody"],
  ] as const) {
    dev.save(file, from, to);
    await expect(problems).toContainText(complaint, { timeout: PATIENCE_MS });
    expect(await send(), "the server that ran before").toContain("say something");
    dev.save(file, to, from);
    await expect(problems).toHaveCount(0, { timeout: PATIENCE_MS });
  }
  dev.save("web/src/app/App.tsx", "const shown = useRef(path)", "const shown: number = useRef(path)");
  await expect(problems).toContainText("TS2322", { timeout: PATIENCE_MS });
  dev.save("web/src/app/App.tsx", "const shown: number =", "const shown =");
  await expect(problems).toHaveCount(0, { timeout: PATIENCE_MS });
});
