// Minified, gzip (9) and brotli (11) size of each peer's browser client, bundled
// by esbuild as an ESM import of what it takes to connect, call and listen.
import { build } from "esbuild";
import { gzipSync, brotliCompressSync, constants } from "node:zlib";
import { readFileSync, mkdirSync, writeFileSync } from "node:fs";

const ours = process.cwd() + "/../../..";
const entries = [
	["@troupe/client", ours + "/clientjs", `import { createClient } from "@troupe/client"; globalThis.x = createClient;`],
	["@troupe/client and /react (react external)", ours + "/hooks", `import { createClient } from "@troupe/client"; import { createHooks } from "@troupe/react"; globalThis.x = [createClient, createHooks];`],
	["rivetkit/client", "rivetkit", `import { createClient } from "rivetkit/client"; globalThis.x = createClient;`],
	["@rivetkit/react (react external)", "@rivetkit/react", `import { createRivetKit } from "@rivetkit/react"; globalThis.x = createRivetKit;`],
	["socket.io-client", "socket.io-client", `import { io } from "socket.io-client"; globalThis.x = io;`],
	["centrifuge", "centrifuge", `import { Centrifuge } from "centrifuge"; globalThis.x = Centrifuge;`],
	["colyseus.js", "colyseus.js", `import { Client } from "colyseus.js"; globalThis.x = Client;`],
	["@colyseus/sdk", "@colyseus/sdk", `import { Client } from "@colyseus/sdk"; globalThis.x = Client;`],
	["partysocket", "partysocket", `import { PartySocket } from "partysocket"; globalThis.x = PartySocket;`],
	["@microsoft/signalr", "@microsoft/signalr", `import { HubConnectionBuilder } from "@microsoft/signalr"; globalThis.x = HubConnectionBuilder;`],
	["pocketbase", "pocketbase", `import PocketBase from "pocketbase"; globalThis.x = PocketBase;`],
	["convex/browser", "convex", `import { ConvexClient } from "convex/browser"; globalThis.x = ConvexClient;`],
	["agents/client", "agents", `import { AgentClient } from "agents/client"; globalThis.x = AgentClient;`],
];

const rows = [];
mkdirSync("../out", { recursive: true });
for (const [name, pkg, code] of entries) {
	const row = { client: name };
	try {
		row.version = JSON.parse(readFileSync(`${pkg.startsWith("/") ? pkg : `node_modules/${pkg}`}/package.json`)).version;
		const r = await build({
			stdin: { contents: code, resolveDir: process.cwd(), loader: "js" },
			bundle: true, minify: true, format: "esm", platform: "browser", target: "es2022",
			write: false, logLevel: "silent", metafile: true,
			define: { "process.env.NODE_ENV": '"production"' },
			alias: { "@troupe/client": ours + "/clientjs/src/index.ts", "@troupe/react": ours + "/hooks/src/index.ts" },
			external: ["react", "react-dom", "react/jsx-runtime"],
		});
		const b = r.outputFiles[0].contents;
		row.min = b.length;
		row.gzip = gzipSync(b, { level: 9 }).length;
		row.brotli = brotliCompressSync(b, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } }).length;
		const by = {};
		for (const [f, i] of Object.entries(Object.values(r.metafile.outputs)[0].inputs)) {
			const m = f.match(/.*node_modules\/((?:@[^/]+\/)?[^/]+)/);
			const k = m ? m[1] : "entry";
			by[k] = (by[k] ?? 0) + i.bytesInOutput;
		}
		row.top = Object.entries(by).sort((a, b) => b[1] - a[1]).slice(0, 6).map(([k, v]) => `${k} ${Math.round(v / 1024)}K`).join(", ");
	} catch (e) {
		row.error = (e.errors?.[0]?.text ?? e.message).slice(0, 200);
	}
	rows.push(row);
}
writeFileSync("../out/bundle.json", JSON.stringify(rows, null, 1) + "\n");
let md = "| client | version | min | gzip | brotli | largest parts (minified) |\n|---|---|---:|---:|---:|---|\n";
for (const r of rows) md += `| ${r.client} | ${r.version ?? "-"} | ${r.min ?? "-"} | ${r.gzip ?? "-"} | ${r.brotli ?? "-"} | ${r.error ?? r.top} |\n`;
writeFileSync("../out/bundle.md", md);
process.stdout.write(md);
