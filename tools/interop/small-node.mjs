// A small node of our own, for the methods that need one: it answers every invocation with what it was asked, and
// has a file of what may be executed.
import { createHash, generateKeyPairSync, sign } from "node:crypto";

const COMMANDS = ["system.which", "browser.proxy", "system.execApprovals.get", "system.execApprovals.set"];

/** Its answer to a command. */
function answer(command, asked) {
  if (!command.startsWith("system.execApprovals.")) return { result: { command, asked } };
  return { path: "/interop/exec-approvals.json", exists: true, hash: "interop", file: asked?.file ?? { version: 1, agents: {} } };
}

/** Connects as a node of this machine, which is paired at once; resolves with its id and a way to hang up. */
export async function node(port, token) {
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  const raw = Buffer.from(publicKey.export({ format: "jwk" }).x, "base64url");
  const id = createHash("sha256").update(raw).digest("hex");
  const socket = new WebSocket(`ws://127.0.0.1:${port}`);
  const request = (method, params) => socket.send(JSON.stringify({ type: "req", id: crypto.randomUUID(), method, params }));
  const connect = (nonce) => {
    const signedAt = Date.now();
    const signed = ["v2", id, "interop-node", "node", "node", "", signedAt, token, nonce].join("|");
    const signature = sign(null, Buffer.from(signed), privateKey).toString("base64url");
    request("connect", {
      minProtocol: 3,
      maxProtocol: 3,
      client: { id: "interop-node", displayName: "Interop", version: "1", platform: "linux", mode: "node" },
      role: "node",
      scopes: [],
      caps: ["system", "browser"],
      commands: COMMANDS,
      auth: { token },
      device: { id, publicKey: raw.toString("base64url"), signature, signedAt, nonce },
    });
  };
  await new Promise((resolve, reject) => {
    socket.addEventListener("close", ({ code, reason }) => reject(new Error(`the node was closed: ${code} ${reason}`)));
    socket.addEventListener("message", ({ data }) => {
      const { type, event, payload, ok, error } = JSON.parse(data);
      if (event === "connect.challenge") connect(payload.nonce);
      if (event === "node.invoke.request") {
        const said = answer(payload.command, JSON.parse(payload.paramsJSON ?? "null"));
        request("node.invoke.result", { id: payload.id, nodeId: id, ok: true, payloadJSON: JSON.stringify(said) });
      }
      if (type === "res" && payload?.type === "hello-ok") resolve();
      if (type === "res" && !ok) reject(new Error(error.message));
    });
  });
  return { id, close: () => socket.close() };
}
