// Checks the size budget: the client bundled and minified, and what the hooks
// add to it (React is external). Exits with 1 when over.
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const BUDGETS = [
  { name: "@troupe/client", entry: "clientjs/src/index.ts", external: [], limit: 6144 },
  { name: "@troupe/react", entry: "hooks/src/index.ts", external: ["react", "@troupe/client"], limit: 1536 },
];

for (const { name, entry, external, limit } of BUDGETS) {
  const { outputFiles } = await build({
    entryPoints: [entry],
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
