// Checks the size budget: the client bundled and minified, what it loads when it first
// needs HTTP, and what the hooks add to it (React is external). Exits with 1 when over.
import { gzipSync } from "node:zlib";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const hooks = ["react", "@troupe/client"];
const BUDGETS = [
  {
    name: "@troupe/client: first chunk",
    code: 'export * from "./clientjs/src/index.ts"',
    external: ["./http.js"],
    limit: 7609,
  },
  { name: "@troupe/client: HTTP", code: 'export * from "./clientjs/src/http.ts"', external: [], limit: 2366 },
  {
    name: "@troupe/react: useActor, useEvent",
    code: 'export { createHooks } from "./hooks/src/index.ts"',
    external: hooks,
    limit: 1466,
  },
  {
    name: "@troupe/react: with useActorState, useOptimisticAction",
    code: 'export { createHooks, useEvent, useActorState, useOptimisticAction } from "./hooks/src/index.ts"',
    external: hooks,
    limit: 2045,
  },
  {
    name: "@troupe/react: with useActorPages",
    code: 'export { createHooks, useEvent, useActorPages } from "./hooks/src/index.ts"',
    external: hooks,
    limit: 2471,
  },
];

for (const { name, code, external, limit } of BUDGETS) {
  const { outputFiles } = await build({
    stdin: { contents: code, resolveDir: fileURLToPath(new URL(".", import.meta.url)) },
    external,
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    write: false,
  });
  const size = gzipSync(outputFiles[0].contents, { level: 9 }).length;
  const over = size > limit;
  console.log(`${name}: ${size} of ${limit} bytes, minified and gzipped${over ? ": TOO LARGE" : ""}`);
  if (over) process.exitCode = 1;
}
