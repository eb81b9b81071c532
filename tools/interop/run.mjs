// Runs the ecosystem's unmodified CLI against our gateway and prints a table: command, exit, seconds,
// evidence. Ends with 1 when a row failed, or when a method has no parameters in calls.mjs.
//
//   node run.mjs PORT TOKEN CLIENT ENTRY DIR [WORD]     only the rows whose command holds WORD
import assert from "node:assert/strict";
import path from "node:path";
import { operator } from "./ask.mjs";
import { CALLS, OF_NODES } from "./calls.mjs";
import { COMMANDS } from "./commands.mjs";
import { LATER } from "./later.mjs";
import { node } from "./small-node.mjs";
import { Seat } from "./seat.mjs";

const AT_ONCE = 2;
const [port, token, client, entry, dir, word = ""] = process.argv.slice(2);

class World {
  #seats = new Map();
  #strangers = 0;
  #approved;
  #node;

  static async make() {
    const world = new World();
    const { ask, hello, close } = await operator(port, token);
    return Object.assign(world, { ask, methods: hello.features.methods, hangUp: close });
  }
  async seat(name) {
    if (!this.#seats.has(name)) {
      const remote = !name.startsWith("here");
      this.#seats.set(name, await Seat.make(path.join(dir, name), { port, token, client, entry, remote }));
    }
    return this.#seats.get(name);
  }
  /** A device that waits for a decision. */
  async stranger() {
    const name = `stranger-${(this.#strangers += 1)}`;
    await (await this.seat(name)).run(["gateway", "health"]);
    return { requestId: await this.pendingOf(name), deviceId: (this.#approved = await this.deviceOf(name)) };
  }
  /** The device that was let in last. */
  approved() {
    return this.#approved;
  }
  /** The id of a connected node. */
  async node() {
    this.#node ??= node(port, token);
    return (await this.#node).id;
  }
  /** The id of a node's request in the older store of pairings. */
  async pair(nodeId) {
    const { request } = await this.ask("node.pair.request", { nodeId });
    return request.requestId;
  }
  async deviceOf(name) {
    return (await this.seat(name)).deviceId();
  }
  /** The id of a scheduled job. */
  async job(name) {
    const { jobs } = await this.ask("cron.list", { includeDisabled: true });
    return jobs.find((job) => job.name === name).id;
  }
  async pendingOf(name) {
    const device = await this.deviceOf(name);
    const { pending } = await this.ask("device.pair.list");
    const request = pending.find((row) => row.deviceId === device);
    assert.ok(request, `no request of ${name} is pending`);
    return request.requestId;
  }
  close() {
    this.hangUp();
    this.#node?.then(({ close }) => close(), () => {});
    for (const seat of this.#seats.values()) seat.close();
  }
}

/** A method's row of calls.mjs as a command; `refused` is what the gateway says where it has to refuse. */
function callCommand({ method, params, check, refused }) {
  const common = {
    served: method,
    label: `gateway call ${method}`,
    args: async (world) => {
      const given = typeof params === "function" ? await params(world) : params;
      return ["gateway", "call", method, "--json", "--params", JSON.stringify(given)];
    },
  };
  if (refused) return { ...common, exit: 1, refused: [method], check: ({ out }) => assert.match(out, refused) };
  return {
    ...common,
    reached: [method],
    check: ({ out, seen }) => {
      const { payload } = seen.of(method)[0].answers[0];
      assert.deepEqual(JSON.parse(out.slice(out.search(/^[[{"ntf\d]/m))), payload, "the client prints the answer");
      if (check) assert.ok(check({ payload }), `unexpected ${JSON.stringify(payload).slice(0, 300)}`);
    },
  };
}

/** What a row is called before its arguments are made. */
function labelOf(row) {
  return row.label ?? row.args.join(" ");
}

/** One row: what it proves, or why it failed. */
async function run(world, here, row) {
  const args = typeof row.args === "function" ? await row.args(world) : row.args;
  const seat = await world.seat(row.seat ?? here);
  const { code, out, err, seconds, seen } = await seat.run(args);
  const done = { label: row.label ?? args.join(" ").replace(/[0-9a-f-]{32,}/g, "ID"), code, seconds };
  try {
    assert.equal(code, row.exit ?? 0, "exit code");
    const refused = row.refused ?? [];
    const failed = seen.failed().filter((request) => !refused.includes(request.method));
    assert.deepEqual(failed.map((request) => [request.method, request.answers.at(-1)?.error]), [], "requests that failed");
    for (const method of row.reached ?? []) assert.ok(seen.answered().includes(method), `${method} did not reach the gateway`);
    for (const method of refused) assert.ok(seen.of(method).some((request) => request.answers.at(-1)?.ok === false), `${method} was not refused`);
    await row.check?.({ out: out + err, seen, world });
    const told = [...refused.map((method) => `${method} refused`), ...seen.answered()];
    done.evidence = `${seen.connections.length} conn: ${told.join(", ")}`;
  } catch (fault) {
    done.failed = fault.message;
    done.text = `${out}\n${err}`;
  }
  return done;
}

function print({ label, code, seconds, evidence, failed, text, skipped }) {
  const cells = skipped ? ["-", "-", `skipped: ${skipped}`] : [code, seconds.toFixed(1), failed ? `FAILED: ${failed}` : evidence];
  console.log(`${label.padEnd(58)} ${String(cells[0]).padStart(4)} ${String(cells[1]).padStart(6)}  ${cells[2]}`);
  if (text) console.log(text.split("\n").slice(0, 40).map((line) => `    | ${line.slice(0, 200)}`).join("\n"));
}

const world = await World.make();
const has = (method) => method === "connect" || world.methods.includes(method);
// Methods are the older client's matter: a later one asks for its own scopes and has its own parameters.
const commands = client === "clawdbot" ? [...COMMANDS, ...CALLS.map((group) => group.map(callCommand))] : LATER;
const given = CALLS.flat().map((row) => row.method);
const without = world.methods.filter((method) => !given.includes(method) && !OF_NODES.includes(method));
let failures = without.length;
for (const method of without) console.log(`${method}: served, and without parameters in calls.mjs`);

const groups = commands.filter((group) => group.some((row) => labelOf(row).includes(word)));
const started = Date.now();
const lane = async (name) => {
  for (let group = groups.shift(); group; group = groups.shift()) {
    for (const row of group) {
      const missing = [row.served, ...(row.reached ?? [])].find((method) => method && !has(method));
      const label = labelOf(row);
      const done = missing ? { label, skipped: `${missing} is not served` } : await run(world, name, row).catch((fault) => ({ label, code: "-", seconds: 0, failed: fault.message }));
      failures += done.failed ? 1 : 0;
      print(done);
    }
  }
};
await Promise.all(Array.from({ length: AT_ONCE }, (_, at) => lane(`here-${at + 1}`)));
world.close();
console.log(`${failures} failed, ${Math.round((Date.now() - started) / 1000)} s`);
process.exitCode = failures ? 1 : 0;
