// Our node host against the ecosystem's own gateway and command line. Prints a line for each step; ends
// with 1 at the first that fails.
//
//   node node.mjs CLAWDIA ENTRY DIR
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import net from "node:net";
import path from "node:path";
import { relay } from "./relay.mjs";
import { Stage, json as parsed, said } from "./stage.mjs";

const [clawdia, entry, dir] = process.argv.slice(2);
const TOKEN = "interop-node";
const GATEWAY = path.join(dir, "gateway");
const NODE = path.join(dir, "node");
const stage = new Stage(dir);

async function freePort() {
  const server = net.createServer();
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

const theirs = { HOME: GATEWAY, CLAWDBOT_STATE_DIR: GATEWAY, CLAWDBOT_CONFIG_PATH: path.join(GATEWAY, "clawdbot.json"), CLAWDBOT_DISABLE_BONJOUR: "1" };

async function startGateway(port) {
  const gateway = stage.start(process.execPath, [entry, "gateway", "run", "--port", String(port)], theirs);
  await stage.until(() => `the gateway listens: ${gateway.text}`, () => /listening on ws:/.test(gateway.text) || gateway.child.exitCode);
  assert.equal(gateway.child.exitCode, null, gateway.text);
  return gateway;
}

/** Their command line; gives what it printed. */
async function cli(args, ok = true) {
  return (await stage.run(process.execPath, [entry, ...args], theirs, ok)).text;
}

/** The JSON that it printed. */
async function json(args) {
  return parsed(await stage.run(process.execPath, [entry, ...args, "--json"], theirs));
}

/** Our node host, which says what happens as one JSON object a line. */
function startNode(args) {
  return stage.start(clawdia, ["--json", "node", "run", ...args], { HOME: NODE });
}

const hear = (node, event, count = 1) =>
  stage.until(() => `the node says ${event}: ${node.text}`, () => said(node).filter((it) => it.event === event)[count - 1]);

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

  await stage.show("the node waits until `devices approve` lets it in", async () => {
    const { requestId } = await hear(node, "waiting");
    await cli(["devices", "approve", requestId]);
    await hear(node, "connected");
  });
  await stage.show("`nodes status` shows it connected, with its commands", async () => {
    const { nodes } = await json(["nodes", "status"]);
    const row = nodes.find((it) => it.displayName === "lent");
    assert.ok(row?.connected, JSON.stringify(nodes));
    for (const command of ["system.run", "system.which", "system.notify", "browser.proxy"]) {
      assert.ok(row.commands.includes(command), command);
    }
    assert.ok(row.caps.includes("journal"));
  });
  await stage.show("`nodes describe` names its permissions", async () => {
    const row = await json(["nodes", "describe", "--node", "lent"]);
    assert.equal(row.permissions.screenRecording, false);
  });
  await stage.show("`nodes invoke` finds programs", async () => {
    const answer = await json(["nodes", "invoke", "--node", "lent", "--command", "system.which", "--params", '{"bins":["sh","nope"]}']);
    assert.deepEqual(Object.keys(answer.payload.bins), ["sh"]);
  });
  await stage.show("`nodes run` is denied until the owner allows it", async () => {
    const text = await cli(["nodes", "run", "--node", "lent", "echo", "no"], false);
    assert.match(text, /security=deny/);
    writeFileSync(approvals, file("full"));
    assert.match(await cli(["nodes", "run", "--node", "lent", "echo", "yes"]), /^yes$/m);
  });
  await stage.show("`nodes run --raw` gives output and exit code", async () => {
    const text = await cli(["nodes", "run", "--node", "lent", "--raw", "echo $((40+2)); exit 3"], false);
    assert.match(text, /^42$/m);
    assert.match(text, /exit 3|code 3/);
  });
  await stage.show("a deadline is told as such", async () => {
    const text = await cli(["nodes", "run", "--node", "lent", "--command-timeout", "300", "sleep", "60"], false);
    assert.match(text, /timed out/i);
  });
  await stage.show("`approvals get` and `set` read and change its file", async () => {
    const { file: got } = await json(["approvals", "get", "--node", "lent"]);
    assert.equal(got.defaults.security, "full");
    writeFileSync(path.join(dir, "next.json"), file("deny"));
    await cli(["approvals", "set", "--node", "lent", "--file", path.join(dir, "next.json")]);
    const after = await json(["approvals", "get", "--node", "lent"]);
    assert.equal(after.file.defaults.security, "deny");
    writeFileSync(approvals, file("full"));
  });
  await stage.show("it comes back when the gateway was restarted", async () => {
    gateway.child.kill("SIGTERM");
    await gateway.ended;
    gateway = await startGateway(port);
    await hear(node, "connected", 2);
    assert.match(await cli(["nodes", "run", "--node", "lent", "echo", "again"]), /^again$/m);
  });
  await stage.show("it ends within a second, and needs no secret the next time", async () => {
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
}

await stage.play(main);
