import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const source = (path: string) => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  resolve: {
    alias: {
      "@troupe/client": source("./clientjs/src/index.ts"),
      "@troupe/react": source("./hooks/src/index.ts"),
    },
  },
  test: {
    include: ["{clientjs,hooks}/test/**/*.test.{ts,tsx}", "web/**/*.test.{ts,tsx}"],
    setupFiles: ["clientjs/test/setup.ts"],
    restoreMocks: true,
    maxWorkers: "100%", // by default one CPU is left idle: of two, half of the machine
    // Time is virtual in most tests: only a busy machine makes them long.
    testTimeout: 60_000,
  },
});
