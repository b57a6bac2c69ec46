// Builds the npm packages: clientjs/dist and hooks/dist, and from them the files
// that `npm publish` takes and the tests install, bin/troupe-client.tgz and
// bin/troupe-react.tgz. With --check, what publint and attw say of them must be
// nothing.
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL(".", import.meta.url));
const bin = join(root, "bin");

/** Runs a command in the project's directory; what it prints is shown if it fails. */
function run(command, ...args) {
  try {
    return execFileSync(command, args, { cwd: root, encoding: "utf8", stdio: "pipe" });
  } catch (error) {
    console.error(`${command} ${args.join(" ")}\n${error.stdout}${error.stderr}`);
    process.exit(1);
  }
}

// The hooks are checked against the client's declarations, so it comes first.
for (const directory of ["clientjs", "hooks"]) {
  rmSync(join(root, directory, "dist"), { recursive: true, force: true });
  run("npx", "--no-install", "tsc", "-p", join(directory, "tsconfig.build.json"));
  copyFileSync(join(root, "LICENSE"), join(root, directory, "LICENSE"));

  mkdirSync(bin, { recursive: true });
  const [{ name, version, filename, size }] = JSON.parse(
    run("npm", "pack", "--json", "--pack-destination", bin, "--workspace", directory),
  );
  const file = `${name.slice(1).replace("/", "-")}.tgz`;
  renameSync(join(bin, filename), join(bin, file));
  console.log(`bin/${file}: ${name} ${version}, ${size} bytes`);

  if (!process.argv.includes("--check")) continue;
  run("npx", "--no-install", "publint", "--strict", join("bin", file));
  run("npx", "--no-install", "attw", "--profile", "esm-only", join("bin", file));
}
