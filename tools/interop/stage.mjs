// What the scripts of node hosts stand on: processes that end with the program, patience, and steps that are
// counted. What a process says is kept in the run's folder as well.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createWriteStream, mkdirSync } from "node:fs";
import path from "node:path";

/** The ecosystem's command line takes 5 to 10 s to start, on a busy machine a minute. */
const PATIENCE_MS = 240_000;

/** `dir`: the folder of the run. */
export class Stage {
  #children = new Set();
  #passed = 0;
  #started = 0;
  constructor(dir) {
    this.dir = dir;
    mkdirSync(path.join(dir, "said"), { recursive: true });
  }

  /** A process that is ended at the latest with this program. */
  start(program, args, env) {
    const child = spawn(program, args, { cwd: this.dir, env: { PATH: process.env.PATH, NO_COLOR: "1", ...env } });
    this.#children.add(child);
    this.#started += 1;
    const name = `${String(this.#started).padStart(2, "0")}-${path.basename(program)}.out`;
    const log = createWriteStream(path.join(this.dir, "said", name));
    log.write(`${args.join(" ")}\n`);
    const seen = { text: "", out: "", child, ended: new Promise((resolve) => child.on("close", resolve)) };
    child.stdout.on("data", (bytes) => (seen.out += bytes));
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (bytes) => { seen.text += bytes; log.write(bytes); });
    }
    seen.ended.then((code) => { this.#children.delete(child); log.end(`\nended: ${code}\n`); });
    return seen;
  }

  /** Runs a program to its end, which has to be a good one, or with `ok` false a bad one. */
  async run(program, args, env, ok = true) {
    const ran = this.start(program, args, env);
    const late = setTimeout(() => ran.child.kill("SIGKILL"), PATIENCE_MS);
    const code = await ran.ended;
    clearTimeout(late);
    assert.equal(code === 0, ok, `${args.join(" ")} ended with ${code}: ${ran.text}`);
    return ran;
  }

  /** Looks until there is something. */
  async until(what, look) {
    const deadline = Date.now() + PATIENCE_MS;
    for (;;) {
      const found = await look();
      if (found) return found;
      assert.ok(Date.now() < deadline, `in vain: ${what()}`);
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
  }

  /** A step, which says that it passed. */
  async show(what, act) {
    const began = Date.now();
    await act();
    this.#passed += 1;
    console.log(`ok ${this.#passed} ${what} (${((Date.now() - began) / 1000).toFixed(1)} s)`);
  }

  /** Runs all of it; the first step that fails ends the program with 1. */
  async play(main) {
    try {
      await main();
      console.log(`${this.#passed} passed, 0 failed`);
    } catch (error) {
      console.log(`FAILED ${this.#passed + 1} ${error.stack}`);
      console.log(`${this.#passed} passed, 1 failed`);
      process.exitCode = 1;
    }
    for (const child of this.#children) child.kill("SIGKILL");
  }
}

/** JSON behind whatever else was printed. */
export function json({ out }) {
  return JSON.parse(out.slice(out.search(/^[[{]/m)));
}

/** Our node host's own words: one JSON object a line. */
export function said(node) {
  return node.out.split("\n").filter((line) => line.startsWith("{")).map((line) => JSON.parse(line));
}
