// Valid parameters for every method that operators may call, in groups. The rows of a group are run one
// after the other; a function gets the world and makes the parameters when its turn comes.
//
// A method that the gateway serves and that is missing here makes the run fail.
import { randomUUID } from "node:crypto";

const key = () => randomUUID();
const SESSION = "agent:main:interop";

/** What only nodes may call. */
export const OF_NODES = ["node.invoke.result", "node.event", "skills.bins"];

const plain = {
  health: {},
  status: {},
  "system-presence": {},
  "last-heartbeat": {},
  "logs.tail": { limit: 20, maxBytes: 50_000 },
  "usage.status": {},
  "usage.cost": { days: 7 },
  "channels.status": { probe: true, timeoutMs: 2_000 },
  "models.list": {},
  "agents.list": {},
  "agent.identity.get": { sessionKey: "main" },
  "skills.status": {},
  "node.list": {},
  "exec.approval.list": {},
  "voicewake.get": {},
  "voicewake.set": { triggers: ["clawdia", "computer"] },
  "talk.mode": { enabled: false },
  wake: { mode: "next-heartbeat", text: "interop: wake" },
  "set-heartbeats": { enabled: true },
  "system-event": { text: "interop: event", reason: "test" },
};

const config = async (world) => {
  const now = await world.ask("config.get");
  return { raw: now.raw, baseHash: now.hash };
};

export const CALLS = [
  ...Object.entries(plain).map(([method, params]) => [{ method, params }]),
  [
    { method: "agent", params: () => ({ message: "hi", sessionKey: "agent:main:called", idempotencyKey: "interop-called" }) },
    { method: "agent.wait", params: { runId: "interop-called", timeoutMs: 5_000 }, check: ({ payload }) => payload.status === "ok" },
  ],
  [
    { method: "chat.send", params: () => ({ sessionKey: SESSION, message: "who is connected?", idempotencyKey: key() }) },
    { method: "chat.abort", params: { sessionKey: SESSION } },
    { method: "chat.inject", params: { sessionKey: SESSION, message: "a note", label: "interop" } },
    { method: "chat.history", params: { sessionKey: SESSION, limit: 50 }, check: ({ payload }) => payload.messages.some((row) => JSON.stringify(row).includes("a note")) },
    { method: "sessions.list", params: { includeDerivedTitles: true, includeLastMessage: true }, check: ({ payload }) => payload.sessions.some((row) => row.key === SESSION) },
    { method: "sessions.preview", params: { keys: [SESSION] }, check: ({ payload }) => payload.previews[0].status === "ok" },
    { method: "sessions.patch", params: { key: SESSION, label: "Interop", thinkingLevel: "low" } },
    { method: "sessions.resolve", params: { label: "Interop" }, check: ({ payload }) => payload.key === SESSION },
    { method: "sessions.compact", params: { key: SESSION, maxLines: 2 } },
    { method: "sessions.reset", params: { key: SESSION } },
    { method: "sessions.delete", params: { key: SESSION }, check: ({ payload }) => payload.deleted === true },
  ],
  [
    { method: "config.get", params: {}, check: ({ payload }) => payload.valid === true && payload.hash !== "" },
    { method: "config.schema", params: {} },
    { method: "config.set", params: config },
    { method: "config.patch", params: async (world) => ({ raw: '{"logging":{"keep":4}}', baseHash: (await config(world)).baseHash }) },
    { method: "config.apply", params: async (world) => ({ ...(await config(world)), note: "interop" }) },
  ],
  // No channel is configured here, so nothing can be sent, and nobody waits to be let in.
  [
    { method: "channels.pairing.list", params: {}, check: ({ payload }) => payload.pending.length === 0 },
    { method: "channels.pairing.approve", params: { channel: "telegram", code: "ABCD2345" }, refused: /code/ },
    { method: "channels.pairing.remove", params: { channel: "telegram", id: "1" }, refused: /telegram/ },
    { method: "channels.logout", params: { channel: "telegram" }, check: ({ payload }) => payload.loggedOut === false },
    { method: "send", params: { channel: "telegram", to: "1", message: "hi", idempotencyKey: key() }, refused: /telegram/ },
  ],
  [
    { method: "cron.add", params: { name: "called", schedule: { kind: "cron", expr: "0 7 * * 1-5", tz: "UTC" }, sessionTarget: "isolated", wakeMode: "next-heartbeat", payload: { kind: "agentTurn", message: "hi" } } },
    { method: "cron.list", params: { includeDisabled: true }, check: ({ payload }) => payload.jobs.some((job) => job.name === "called") },
    { method: "cron.update", params: async (world) => ({ id: await world.job("called"), patch: { enabled: false } }), check: ({ payload }) => payload.enabled === false },
    { method: "cron.status", params: {} },
    { method: "cron.run", params: async (world) => ({ id: await world.job("called"), mode: "force" }), check: ({ payload }) => payload.ran === true },
    { method: "cron.runs", params: async (world) => ({ id: await world.job("called") }) },
    { method: "cron.remove", params: async (world) => ({ id: await world.job("called") }), check: ({ payload }) => payload.removed === true },
  ],
  // A node of our own answers with what it was asked.
  [
    { method: "node.describe", params: async (world) => ({ nodeId: await world.node() }), check: ({ payload }) => payload.connected === true },
    { method: "node.rename", params: async (world) => ({ nodeId: await world.node(), displayName: "Interop" }) },
    {
      method: "node.invoke",
      params: async (world) => ({ nodeId: await world.node(), command: "system.which", params: { bins: ["sh"] }, idempotencyKey: key() }),
      check: ({ payload }) => payload.payload.result.asked.bins[0] === "sh",
    },
    { method: "exec.approvals.node.get", params: async (world) => ({ nodeId: await world.node() }), check: ({ payload }) => payload.hash === "interop" },
    {
      method: "exec.approvals.node.set",
      params: async (world) => ({ nodeId: await world.node(), file: { version: 1, defaults: { security: "deny" }, agents: {} }, baseHash: "interop" }),
      check: ({ payload }) => payload.file.defaults.security === "deny",
    },
    { method: "browser.request", params: async (world) => (await world.node()) && { method: "GET", path: "/" }, check: ({ payload }) => payload.command === "browser.proxy" },
  ],
  [
    { method: "node.pair.request", params: { nodeId: "interop-a", displayName: "A" }, check: ({ payload }) => payload.status === "pending" },
    { method: "node.pair.list", params: {}, check: ({ payload }) => payload.pending.some((row) => row.nodeId === "interop-a") },
    { method: "node.pair.approve", params: async (world) => ({ requestId: await world.pair("interop-a") }) },
    { method: "node.pair.verify", params: { nodeId: "interop-a", token: "a guess" }, check: ({ payload }) => payload.ok === false },
    { method: "node.pair.reject", params: async (world) => ({ requestId: await world.pair("interop-b") }) },
  ],
  [
    { method: "exec.approvals.get", params: {}, check: ({ payload }) => payload.hash !== "" },
    { method: "exec.approvals.set", params: async (world) => { const { file, hash } = await world.ask("exec.approvals.get"); return { file, baseHash: hash }; } },
    // Nobody decides, which is an answer too.
    { method: "exec.approval.request", params: { command: "true", timeoutMs: 500 }, check: ({ payload }) => payload.decision === null },
    {
      method: "exec.approval.resolve",
      params: async (world) => {
        const id = key();
        const asked = world.ask("exec.approval.request", { id, command: "true", timeoutMs: 120_000 });
        asked.catch(() => {});
        return { id, decision: "deny" };
      },
    },
  ],
  // A client from elsewhere waits to be let in: each decision has one of its own.
  [
    { method: "device.pair.list", params: {} },
    { method: "device.pair.code", params: { role: "node" }, check: ({ payload }) => payload.code !== "" },
    { method: "device.pair.approve", params: async (world) => ({ requestId: (await world.stranger()).requestId }) },
    { method: "device.token.rotate", params: async (world) => ({ deviceId: await world.approved(), role: "operator" }) },
    { method: "device.token.revoke", params: async (world) => ({ deviceId: await world.approved(), role: "operator" }) },
    { method: "device.pair.reject", params: async (world) => ({ requestId: (await world.stranger()).requestId }) },
  ],
];
