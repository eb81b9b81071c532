// Node hosts from elsewhere against our gateway: the ecosystem's unmodified one, then ours. Each asks to be let in,
// is let in, and is called by both command lines. Prints a line for each step; ends with 1 at the first that fails.
//
//   node nodes.mjs PORT TOKEN CLAWDIA ENTRY DIR
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { relay } from "./relay.mjs";
import { Stage, json, said } from "./stage.mjs";

const [port, token, clawdia, entry, dir] = process.argv.slice(2);
const ELSEWHERE = "203.0.113.9";
const WHICH = JSON.stringify({ bins: ["sh", "no-such-program"] });
const stage = new Stage(dir);

const owner = { HOME: path.join(dir, "gateway", "home"), CLAWDIA_STATE_DIR: path.join(dir, "gateway", "state") };
const guest = (name) => {
  const home = path.join(dir, name);
  return { HOME: home, CLAWDBOT_STATE_DIR: home, CLAWDBOT_CONFIG_PATH: path.join(home, "clawdbot.json"), CLAWDBOT_DISABLE_BONJOUR: "1" };
};

/** Our command line, beside the gateway. */
const ours = (args, ok = true) => stage.run(clawdia, args, owner, ok);
/** Theirs, on this machine with the gateway's token. What it asks for by itself is no more than its own configuration allows. */
const theirs = (args, ok = true) => stage.run(process.execPath, [entry, ...args], guest("operator"), ok);

/** What a node's owner lets run. */
function rules(name, security, ask) {
  const file = path.join(dir, `${name}-${security}-${ask}.json`);
  writeFileSync(file, JSON.stringify({ version: 1, defaults: { security, ask }, agents: {} }));
  return file;
}

const pending = async () => json(await ours(["devices", "list", "--json"])).pending;
const connected = async (name) => {
  const { nodes } = json(await ours(["nodes", "status", "--connected", "--json"]));
  return nodes.find((node) => node.displayName === name);
};
const waiting = async () => json(await ours(["approvals", "list", "--json"])).pending[0];

/** `serve` starts the host; `asked` waits until it has said that it was refused. */
async function lent(name, { serve, asked, again }) {
  let host;
  await stage.show(`${name}: asks, and is kept out until somebody lets it in`, async () => {
    host = serve();
    await asked(host);
    const row = await stage.until(() => `${name} is pending`, async () => (await pending()).find((it) => it.displayName === name));
    assert.equal(row.role, "node");
    assert.equal(row.remoteIp, ELSEWHERE, "the proxy said where it comes from");
    assert.equal(await connected(name), undefined);
    await ours(["nodes", "invoke", name, "--command", "system.which", "--params", WHICH], false);
    await ours(["devices", "approve", row.requestId]);
    host = again(host);
    await stage.until(() => `${name} is connected: ${host.text}`, () => connected(name));
  });
  await stage.show(`${name}: \`clawdia nodes describe\` and \`invoke\` system.which`, async () => {
    const row = json(await ours(["nodes", "describe", name, "--json"]));
    for (const command of ["system.run", "system.which"]) assert.ok(row.commands.includes(command), JSON.stringify(row));
    const found = json(await ours(["nodes", "invoke", name, "--command", "system.which", "--params", WHICH]));
    assert.deepEqual(Object.keys(found.bins), ["sh"]);
  });
  await stage.show(`${name}: \`clawdia nodes run\` runs what its owner allows, and nothing else`, async () => {
    await ours(["approvals", "set", "--node", name, "--file", rules(name, "deny", "off")]);
    assert.match((await ours(["nodes", "run", "--node", name, "--", "echo", "no"], false)).text, /security=deny/);
    await ours(["approvals", "set", "--node", name, "--file", rules(name, "full", "off")]);
    assert.equal((await ours(["nodes", "run", "--node", name, "--", "echo", "yes"])).out, "yes\n");
    const failed = await ours(["nodes", "run", "--node", name, "--raw", "echo out; exit 3"], false);
    assert.equal(failed.out, "out\n");
    assert.match(failed.text, /exit code 3/);
  });
  await stage.show(`${name}: \`clawdbot nodes status\` and \`describe\` show it`, async () => {
    const { nodes } = json(await theirs(["nodes", "status", "--json"]));
    const row = nodes.find((it) => it.displayName === name);
    assert.ok(row?.connected && row.paired, JSON.stringify(nodes));
    assert.match((await theirs(["nodes", "describe", "--node", name])).text, /system\.run/);
  });
  await stage.show(`${name}: \`clawdbot nodes invoke\` system.which`, async () => {
    const found = json(await theirs(["nodes", "invoke", "--node", name, "--command", "system.which", "--params", WHICH, "--json"]));
    assert.deepEqual(Object.keys(found.payload.bins), ["sh"]);
  });
  await stage.show(`${name}: \`clawdbot nodes run\``, async () => {
    assert.match((await theirs(["nodes", "run", "--node", name, "echo", "theirs"])).out, /^theirs$/m);
    await theirs(["nodes", "run", "--node", name, "--raw", "exit 3"], false);
  });
  await stage.show(`${name}: both ask where the owner wants to be asked, and \`clawdia approvals\` decides`, async () => {
    await ours(["approvals", "set", "--node", name, "--file", rules(name, "full", "always")]);
    for (const run of [() => ours(["nodes", "run", "--node", name, "--timeout", "2m", "--", "echo", "asked"]), () => theirs(["nodes", "run", "--node", name, "--ask", "always", "echo", "asked"])]) {
      const ends = run();
      ends.catch(() => {});
      const { id } = await stage.until(() => "a command waits", waiting);
      await ours(["approvals", "approve", id]);
      assert.match((await ends).out, /^asked$/m);
    }
    const ends = ours(["nodes", "run", "--node", name, "--timeout", "2m", "--", "echo", "refused"], false);
    ends.catch(() => {});
    await ours(["approvals", "deny", (await stage.until(() => "a command waits", waiting)).id]);
    assert.doesNotMatch((await ends).out, /refused/);
  });
  host.child.kill("SIGTERM");
  await host.ended;
}

async function main() {
  const proxy = await relay(Number(port), { "X-Forwarded-For": ELSEWHERE });
  for (const name of ["operator", "theirs", "ours"]) mkdirSync(path.join(dir, name));
  const operator = { gateway: { mode: "local", port: Number(port), auth: { mode: "token", token } }, tools: { exec: { security: "full", ask: "off" } } };
  writeFileSync(guest("operator").CLAWDBOT_CONFIG_PATH, JSON.stringify(operator));
  const secret = path.join(dir, "token");
  writeFileSync(secret, token, { mode: 0o600 });

  const theirHost = () =>
    stage.start(process.execPath, [entry, "node", "run", "--host", "127.0.0.1", "--port", String(proxy.port), "--display-name", "theirs"], { ...guest("theirs"), CLAWDBOT_GATEWAY_TOKEN: token });
  await lent("theirs", {
    serve: theirHost,
    // It gives up when it is refused, and has to be started again.
    asked: async (host) => {
      await stage.until(() => `it says that it has to be paired: ${host.text}`, () => /pairing required/.test(host.text));
      host.child.kill("SIGTERM");
      await host.ended;
    },
    again: theirHost,
  });
  const ourHost = () =>
    stage.start(clawdia, ["--json", "node", "run", "--url", `ws://127.0.0.1:${proxy.port}`, "--token-file", secret, "--display-name", "ours"], { HOME: path.join(dir, "ours") });
  await lent("ours", {
    serve: ourHost,
    asked: (host) => stage.until(() => `it says that it waits: ${host.text}`, () => said(host).some((it) => it.event === "waiting")),
    again: (host) => host,
  });
  proxy.close();
}

await stage.play(main);
