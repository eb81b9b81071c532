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
  "cron.list": { includeDisabled: true },
  "cron.status": {},
  "node.list": {},
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
  // A client from elsewhere waits to be let in: each decision has one of its own.
  [
    { method: "device.pair.list", params: {} },
    { method: "device.pair.approve", params: async (world) => ({ requestId: (await world.stranger()).requestId }) },
    { method: "device.token.rotate", params: async (world) => ({ deviceId: await world.approved(), role: "operator" }) },
    { method: "device.token.revoke", params: async (world) => ({ deviceId: await world.approved(), role: "operator" }) },
    { method: "device.pair.reject", params: async (world) => ({ requestId: (await world.stranger()).requestId }) },
  ],
];
