// A seat: one installation of the ecosystem's CLI, with a home of its own and a relay to our gateway.
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { relay } from "./relay.mjs";

/** How long a command may take. Its own start alone takes 3 to 10 s, the first one on a busy machine a minute more. */
const COMMAND_TIMEOUT_MS = 240_000;

export class Seat {
  /** `remote`: it comes from another machine, through a proxy. */
  static async make(dir, { port, token, client, entry, remote }) {
    const seat = new Seat();
    seat.dir = dir;
    seat.client = client;
    seat.entry = entry;
    seat.relay = await relay(port, remote ? { "X-Forwarded-For": "203.0.113.9" } : {});
    mkdirSync(path.join(dir, "state"), { recursive: true });
    const url = `ws://127.0.0.1:${seat.relay.port}`;
    const gateway = remote
      ? { mode: "remote", remote: { url, token } }
      : { mode: "local", port: seat.relay.port, auth: { mode: "token", token } };
    writeFileSync(seat.#config(), JSON.stringify({ gateway }));
    return seat;
  }

  /** Runs a command to its end; what went through the relay comes with it. */
  async run(args) {
    this.relay.take();
    const started = Date.now();
    const prefix = this.client.toUpperCase();
    const child = spawn(process.execPath, [this.entry, ...args], {
      cwd: this.dir,
      env: {
        PATH: process.env.PATH,
        HOME: this.dir,
        [`${prefix}_STATE_DIR`]: path.join(this.dir, "state"),
        [`${prefix}_CONFIG_PATH`]: this.#config(),
        [`${prefix}_DISABLE_BONJOUR`]: "1",
        // Each start compiles some megabytes of code, and without this option starts Node twice.
        NODE_COMPILE_CACHE: path.join(path.dirname(this.dir), "cache"),
        NODE_OPTIONS: "--disable-warning=ExperimentalWarning",
        NO_COLOR: "1",
      },
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
    });
    let out = "";
    let err = "";
    child.stdout.on("data", (bytes) => (out += bytes));
    child.stderr.on("data", (bytes) => (err += bytes));
    const timer = setTimeout(() => process.kill(-child.pid, "SIGKILL"), COMMAND_TIMEOUT_MS);
    const code = await new Promise((resolve) => child.on("close", (status, signal) => resolve(status ?? signal)));
    clearTimeout(timer);
    return { code, out, err, seconds: (Date.now() - started) / 1000, seen: this.relay.take() };
  }

  /** The id of its device, once it has tried to connect. */
  deviceId() {
    const file = path.join(this.dir, `.${this.client}`, "identity", "device.json");
    return existsSync(file) ? JSON.parse(readFileSync(file, "utf8")).deviceId : undefined;
  }

  close() {
    this.relay.close();
  }

  #config() {
    return path.join(this.dir, `${this.client}.json`);
  }
}
