// The commands of the ecosystem's CLI that talk to a gateway, and what proves that ours answered: the
// methods that must have been answered well, and where a client could fall back on its own files, more.
import assert from "node:assert/strict";

const parsed = (out) => JSON.parse(out.slice(out.search(/[[{]/)));

export const COMMANDS = [
  [{ args: ["health", "--json"], reached: ["health"], check: ({ out, seen }) => assert.deepEqual(parsed(out), seen.of("health")[0].answers[0].payload) }],
  [{ args: ["health"], reached: ["health"] }],
  [{
    args: ["status", "--json"], reached: ["health", "status", "system-presence", "config.get"],
    check: ({ out }) => assert.equal(parsed(out).gateway.reachable, true),
  }],
  [{ args: ["status"], reached: ["health", "status", "system-presence", "channels.status"], check: ({ out }) => assert.match(out, /reachable/) }],
  [{ args: ["status", "--deep"], reached: ["health", "status", "channels.status"], check: ({ seen }) => assert.ok(seen.of("health").some((request) => request.params?.probe === true)) }],
  [{ args: ["status", "--all"], reached: ["health", "status"] }],
  [{ args: ["gateway", "status"], reached: ["status"], check: ({ out }) => assert.match(out, /RPC probe: ok/i) }],
  [{
    args: ["gateway", "probe"], reached: ["health", "status", "system-presence", "config.get"],
    check: ({ out, seen }) => {
      assert.match(out, /Reachable: yes/i);
      assert.ok(seen.of("connect").some((request) => request.params.client.mode === "probe"));
    },
  }],
  [{ args: ["gateway", "health"], reached: ["health"] }],
  [{ args: ["gateway", "usage-cost"], reached: ["usage.cost"] }],
  [{ args: ["logs", "--plain"], reached: ["logs.tail"], check: ({ out }) => assert.match(out, /connected/) }],
  [{ args: ["logs", "--json"], reached: ["logs.tail"], check: ({ out }) => assert.ok(out.split("\n").filter(Boolean).map((line) => JSON.parse(line)).some((row) => row.type === "log")) }],
  // A failed call would be followed by a run of the client's own: its answer is not in our transcript.
  [{
    args: ["agent", "--agent", "main", "--message", "hi there"], reached: ["agent"],
    check: async ({ out, seen, world }) => {
      const [accepted, final] = seen.of("agent")[0].answers;
      assert.equal(accepted.payload.status, "accepted");
      assert.equal(final.payload.status, "ok");
      const text = final.payload.result.payloads[0].text;
      assert.ok(out.includes(text.split("\n")[0]), "the client prints what the gateway answered");
      const { messages } = await world.ask("chat.history", { sessionKey: "agent:main:main" });
      const texts = messages.map((row) => JSON.stringify(row.content));
      assert.ok(texts.some((row) => row.includes("hi there")), "the transcript holds the message");
    },
  }],
  [{ args: ["agent", "--agent", "main", "--message", "who is connected?", "--json"], reached: ["agent"], check: ({ out, seen }) => assert.deepEqual(parsed(out), seen.of("agent")[0].answers[1].payload) }],
  [{ args: ["channels", "status"], reached: ["channels.status"], check: ({ out }) => assert.match(out, /Gateway reachable/i) }],
  [{ args: ["system", "presence"], reached: ["system-presence"], check: ({ out }) => assert.match(out, /gateway/) }],
  [{ args: ["system", "event", "--text", "interop: by command"], reached: ["wake"] }],
  [{ args: ["system", "event", "--text", "interop: at once", "--mode", "now"], reached: ["wake"] }],
  [
    { args: ["system", "heartbeat", "last"], reached: ["last-heartbeat"] },
    { args: ["system", "heartbeat", "disable"], reached: ["set-heartbeats"] },
    { args: ["system", "heartbeat", "enable"], reached: ["set-heartbeats"] },
  ],
  [
    { args: ["cron", "add", "--name", "interop", "--every", "10m", "--session", "main", "--system-event", "interop: tick"], reached: ["cron.add"], check: ({ seen }) => assert.ok(seen.of("cron.add")[0].answers[0].payload.state.nextRunAtMs > Date.now()) },
    { args: ["cron", "status"], reached: ["cron.status"], check: ({ out }) => assert.ok(parsed(out).jobs > 0) },
    { args: ["cron", "list"], reached: ["cron.list"], check: ({ out }) => assert.match(out, /interop.*every 10m/) },
    { label: "cron disable", args: async (world) => ["cron", "disable", await world.job("interop")], reached: ["cron.update"] },
    { label: "cron run", args: async (world) => ["cron", "run", await world.job("interop"), "--force"], reached: ["cron.run"], check: ({ out }) => assert.equal(parsed(out).ran, true) },
    { label: "cron runs", args: async (world) => ["cron", "runs", "--id", await world.job("interop")], reached: ["cron.runs"], check: ({ out }) => assert.equal(parsed(out).entries[0].summary, "interop: tick") },
    { label: "cron rm", args: async (world) => ["cron", "rm", await world.job("interop")], reached: ["cron.remove"] },
  ],
  [{ args: ["nodes", "status"], reached: ["node.list"] }],
  [{ args: ["nodes", "list"], reached: ["node.pair.list"] }],
  [{ args: ["approvals", "get", "--gateway"], reached: ["exec.approvals.get"] }],
  [{ args: ["doctor", "--non-interactive", "--no-workspace-suggestions"], reached: ["health"], check: ({ out }) => assert.doesNotMatch(out, /Gateway not running/i) }],
  // A client from elsewhere: refused, let in, served, and shut out again.
  [
    { seat: "elsewhere", args: ["gateway", "health"], exit: 1, refused: ["connect"], check: ({ out }) => assert.match(out, /pairing required/) },
    { args: ["devices", "list"], reached: ["device.pair.list"], check: ({ out, seen }) => assert.ok(seen.of("device.pair.list")[0].answers[0].payload.pending.some((row) => out.includes(row.requestId.slice(0, 8)))) },
    { label: "devices approve", args: async (world) => ["devices", "approve", await world.pendingOf("elsewhere")], reached: ["device.pair.approve"] },
    { seat: "elsewhere", args: ["gateway", "health"], reached: ["health"] },
    { seat: "elsewhere", args: ["status", "--json"], reached: ["health", "status"] },
    { label: "devices rotate", args: async (world) => ["devices", "rotate", "--device", await world.deviceOf("elsewhere"), "--role", "operator"], reached: ["device.token.rotate"] },
    { label: "devices revoke", args: async (world) => ["devices", "revoke", "--device", await world.deviceOf("elsewhere"), "--role", "operator"], reached: ["device.token.revoke"] },
  ],
];
