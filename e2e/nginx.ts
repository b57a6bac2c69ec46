// nginx in front of the server, as Debian configures it, with the test's site.

import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { accessSync, chmodSync, constants, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "./port";

const binary = ["/usr/sbin/nginx", "/usr/bin/nginx", "/usr/local/bin/nginx"].find((path) => {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
});

/** Why nginx is not available; undefined if it is. */
export const noNginx = binary ? undefined : "nginx is not installed";

/** What etc/nginx.conf, which the documentation shows, has nginx do beside `proxy_pass`. */
export const UPGRADE = /location \/ {\s*proxy_pass [^;]*;([^}]*)}/.exec(
  readFileSync(new URL("../etc/nginx.conf", import.meta.url), "utf8"),
)![1]!;

interface Site {
  /** The locations of the site; `PORT` is replaced by the server's port. */
  locations: string;
  /** HTTP/2 over TLS, with a self-signed certificate. */
  tls?: boolean;
}

export class Nginx {
  readonly #directory = mkdtempSync(join(tmpdir(), "troupe-nginx-"));
  #process: ChildProcess | undefined;
  port = 0;

  constructor(
    readonly server: number,
    readonly site: Site,
  ) {}

  get url(): string {
    return `http${this.site.tls ? "s" : ""}://127.0.0.1:${this.port}`;
  }

  /** Starts it and returns once it listens. */
  async start(): Promise<void> {
    chmodSync(this.#directory, 0o755); // its workers run as another user if root starts it
    this.port = await freePort();
    const file = join(this.#directory, "nginx.conf");
    writeFileSync(file, this.#configuration());
    const child = spawn(binary!, ["-c", file, "-g", "daemon off;"], { stdio: ["ignore", "ignore", "pipe"] });
    this.#process = child;
    let said = "";
    child.stderr.on("data", (data) => (said += data));
    while (!(await listens(this.port))) {
      if (child.exitCode !== null) throw new Error(`nginx ended before it listened:\n${said}`);
    }
  }

  /** Stops it, and deletes its files. */
  async stop(): Promise<void> {
    const child = this.#process;
    if (child && child.exitCode === null) {
      child.kill("SIGTERM");
      await once(child, "exit");
    }
    rmSync(this.#directory, { recursive: true });
  }

  /** Debian's configuration with the test's site, and with all files in the test's directory. */
  #configuration(): string {
    const inside = (name: string) => join(this.#directory, name);
    const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
      (name) => `${name}_temp_path ${inside(name)};`,
    );
    const site = `
      ${temporary.join(" ")}
      server {
        listen 127.0.0.1:${this.port} ${this.site.tls ? "ssl http2" : ""};
        ${this.site.tls ? this.#certificate() : ""}
        ${this.site.locations.replaceAll("PORT", String(this.server))}
      }`;
    return readFileSync("/etc/nginx/nginx.conf", "utf8")
      .replace(/^user .*$/m, "")
      .replace(/^pid .*$/m, `pid ${inside("pid")};`)
      .replace(/error_log .*;/, `error_log ${inside("error.log")};`)
      .replace(/access_log .*;/, "access_log off;")
      .replace(/include \/etc\/nginx\/conf\.d.*;/, "")
      .replace(/include \/etc\/nginx\/sites-enabled.*;/, () => site);
  }

  #certificate(): string {
    const [key, certificate] = [join(this.#directory, "key.pem"), join(this.#directory, "certificate.pem")];
    execFileSync(
      "openssl",
      [
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=127.0.0.1",
        "-keyout",
        key,
        "-out",
        certificate,
      ],
      { stdio: "ignore" },
    );
    return `ssl_certificate ${certificate}; ssl_certificate_key ${key};`;
  }
}

async function listens(port: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1");
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
