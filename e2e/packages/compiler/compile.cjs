// Compiles files with the React Compiler, and prints what it refuses or skips, and how many functions it has compiled.
const { transformSync } = require("@babel/core");
const { readFileSync } = require("node:fs");
let compiled = 0;
for (const file of process.argv.slice(2)) {
  transformSync(readFileSync(file, "utf8"), {
    filename: file,
    babelrc: false,
    configFile: false,
    parserOpts: { plugins: ["typescript", "jsx"] },
    plugins: [
      [
        require("babel-plugin-react-compiler"),
        {
          logger: {
            logEvent(_, event) {
              if (event.kind === "CompileSuccess") compiled++;
              else
                process.stdout.write(
                  `${file}:${event.fnLoc?.start.line}: ${event.kind}: ${event.detail?.reason ?? event.reason}\n`,
                );
            },
          },
        },
      ],
    ],
  });
}
process.stdout.write(`${compiled} compiled\n`);
