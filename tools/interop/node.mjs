// Our node host against the ecosystem's own gateway and command line. Prints a line for each step; ends
// with 1 at the first that fails.
//
//   node node.mjs CLAWDIA ENTRY DIR
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import net from "node:net";
import path from "node:path";
import { relay } from "./relay.mjs";

const [clawdia, entry, dir] = process.argv.slice(2);
/** Its command line takes 5 to 10 s to start, on a busy machine a minute. */
const PATIENCE_MS = 240_000;
const TOKEN = "interop-node";
const GATEWAY = path.join(dir, "gateway");
const NODE = path.join(dir, "node");
const children = new Set();

/** A process that is ended at the latest with this program. */
function start(program, args, env) {
  const child = spawn(program, args, { cwd: dir, env: { PATH: process.env.PATH, ...env } });
  children.add(child);
  const seen = { text: "", child, ended: new Promise((resolve) => child.on("close", resolve)) };
  child.stdout.on("data", (bytes) => (seen.text += bytes));
  child.stderr.on("data", (bytes) => (seen.text += bytes));
  seen.ended.then(() => children.delete(child));
  return seen;
}

async function until(what, look) {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const found = await look();
    if (found) return found;
    assert.ok(Date.now() < deadline, `in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

async function freePort() {
  const server = net.createServer();
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

const theirs = { HOME: GATEWAY, CLAWDBOT_STATE_DIR: GATEWAY, CLAWDBOT_CONFIG_PATH: path.join(GATEWAY, "clawdbot.json"), CLAWDBOT_DISABLE_BONJOUR: "1" };

async function startGateway(port) {
  const gateway = start(process.execPath, [entry, "gateway", "run", "--port", String(port)], theirs);
  await until("the gateway listens", () => /listening on ws:/.test(gateway.text) || gateway.child.exitCode);
  assert.equal(gateway.child.exitCode, null, gateway.text);
  return gateway;
}

/** Their command line; gives what it printed. */
async function cli(args, ok = true) {
  const ran = start(process.execPath, [entry, ...args], theirs);
  const code = await ran.ended;
  assert.equal(code === 0, ok, `clawdbot ${args.join(" ")}: ${ran.text}`);
  return ran.text;
}

/** The JSON that it printed, behind whatever else it had to say. */
async function json(args) {
  const text = await cli([...args, "--json"]);
  return JSON.parse(text.slice(text.search(/^[[{]/m)));
}

/** Our node host, which says what happens as one JSON object a line. */
function startNode(args) {
  return start(clawdia, ["--json", "node", "run", ...args], { HOME: NODE });
}

const said = (node) => node.text.split("\n").filter((line) => line.startsWith("{")).map((line) => JSON.parse(line));
const hear = (node, event, count = 1) =>
  until(`the node says ${event}: ${node.text}`, () => said(node).filter((it) => it.event === event)[count - 1]);

let step = 0;
async function show(what, act) {
  const began = Date.now();
  await act();
  step += 1;
  console.log(`ok ${step} ${what} (${((Date.now() - began) / 1000).toFixed(1)} s)`);
}

async function main() {
  const port = await freePort();
  mkdirSync(GATEWAY);
  mkdirSync(path.join(NODE, ".clawdia", "node"), { recursive: true });
  // What their command line asks for by itself is no more than its own configuration allows.
  const config = { gateway: { mode: "local", port, bind: "loopback", auth: { mode: "token", token: TOKEN } }, tools: { exec: { security: "full", ask: "off" } } };
  writeFileSync(theirs.CLAWDBOT_CONFIG_PATH, JSON.stringify(config));
  const approvals = path.join(NODE, ".clawdia", "node", "exec-approvals.json");
  const file = (security) => JSON.stringify({ version: 1, defaults: { security, ask: "off" }, agents: {} });
  writeFileSync(path.join(dir, "token"), TOKEN);

  let gateway = await startGateway(port);
  // A header of a proxy makes the node remote, so that somebody has to let it in.
  const far = await relay(port, { "X-Forwarded-For": "203.0.113.9" });
  const url = `ws://127.0.0.1:${far.port}`;
  let node = startNode(["--url", url, "--token-file", path.join(dir, "token"), "--display-name", "lent"]);

  await show("the node waits until `devices approve` lets it in", async () => {
    const { requestId } = await hear(node, "waiting");
    await cli(["devices", "approve", requestId]);
    await hear(node, "connected");
  });
  await show("`nodes status` shows it connected, with its commands", async () => {
    const { nodes } = await json(["nodes", "status"]);
    const row = nodes.find((it) => it.displayName === "lent");
    assert.ok(row?.connected, JSON.stringify(nodes));
    for (const command of ["system.run", "system.which", "system.notify", "browser.proxy"]) {
      assert.ok(row.commands.includes(command), command);
    }
    assert.ok(row.caps.includes("journal"));
  });
  await show("`nodes describe` names its permissions", async () => {
    const row = await json(["nodes", "describe", "--node", "lent"]);
    assert.equal(row.permissions.screenRecording, false);
  });
  await show("`nodes invoke` finds programs", async () => {
    const answer = await json(["nodes", "invoke", "--node", "lent", "--command", "system.which", "--params", '{"bins":["sh","nope"]}']);
    assert.deepEqual(Object.keys(answer.payload.bins), ["sh"]);
  });
  await show("`nodes run` is denied until the owner allows it", async () => {
    const text = await cli(["nodes", "run", "--node", "lent", "echo", "no"], false);
    assert.match(text, /security=deny/);
    writeFileSync(approvals, file("full"));
    assert.match(await cli(["nodes", "run", "--node", "lent", "echo", "yes"]), /^yes$/m);
  });
  await show("`nodes run --raw` gives output and exit code", async () => {
    const text = await cli(["nodes", "run", "--node", "lent", "--raw", "echo $((40+2)); exit 3"], false);
    assert.match(text, /^42$/m);
    assert.match(text, /exit 3|code 3/);
  });
  await show("a deadline is told as such", async () => {
    const text = await cli(["nodes", "run", "--node", "lent", "--command-timeout", "300", "sleep", "60"], false);
    assert.match(text, /timed out/i);
  });
  await show("`approvals get` and `set` read and change its file", async () => {
    const { file: got } = await json(["approvals", "get", "--node", "lent"]);
    assert.equal(got.defaults.security, "full");
    writeFileSync(path.join(dir, "next.json"), file("deny"));
    await cli(["approvals", "set", "--node", "lent", "--file", path.join(dir, "next.json")]);
    const after = await json(["approvals", "get", "--node", "lent"]);
    assert.equal(after.file.defaults.security, "deny");
    writeFileSync(approvals, file("full"));
  });
  await show("it comes back when the gateway was restarted", async () => {
    gateway.child.kill("SIGTERM");
    await gateway.ended;
    gateway = await startGateway(port);
    await hear(node, "connected", 2);
    assert.match(await cli(["nodes", "run", "--node", "lent", "echo", "again"]), /^again$/m);
  });
  await show("it ends within a second, and needs no secret the next time", async () => {
    const began = Date.now();
    node.child.kill("SIGTERM");
    assert.equal(await node.ended, 0);
    assert.ok(Date.now() - began < 1_000, `${Date.now() - began} ms`);
    node = startNode([]);
    await hear(node, "connected");
  });
  node.child.kill("SIGTERM");
  gateway.child.kill("SIGTERM");
  await Promise.all([node.ended, gateway.ended]);
  far.close();
  console.log(`${step} passed, 0 failed`);
}

try {
  await main();
} catch (error) {
  console.error(`not ok ${step + 1} ${error.stack}`);
  for (const child of children) child.kill("SIGKILL");
  process.exit(1);
}
