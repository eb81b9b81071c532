// A small operator of our own: prepares what the clients under test need, and looks at the gateway's side.

/** Connects with the shared token; `ask(method, params)` resolves with the payload. */
export async function operator(port, token) {
  const socket = new WebSocket(`ws://127.0.0.1:${port}`);
  const waiting = new Map();
  let last = 0;
  const request = async (method, params) => {
    if (socket.readyState !== WebSocket.OPEN) throw new Error(`${method}: the connection is closed`);
    const id = String((last += 1));
    socket.send(JSON.stringify({ type: "req", id, method, params }));
    return await new Promise((resolve, reject) => waiting.set(id, { resolve, reject, method }));
  };
  const fail = (why) => {
    for (const { reject, method } of waiting.values()) reject(new Error(`${method}: ${why}`));
    waiting.clear();
  };
  socket.addEventListener("close", (close) => fail(`closed ${close.code} ${close.reason}`));
  const challenged = new Promise((resolve, reject) => {
    socket.addEventListener("error", () => reject(new Error("cannot connect")));
    socket.addEventListener("message", ({ data }) => {
      const frame = JSON.parse(data);
      if (frame.event === "connect.challenge") resolve();
      if (frame.type !== "res") return;
      const { resolve: done, reject: refuse, method } = waiting.get(frame.id) ?? {};
      waiting.delete(frame.id);
      if (frame.ok) done?.(frame.payload);
      else refuse?.(new Error(`${method}: ${frame.error.message}`));
    });
  });
  await challenged;
  const hello = await request("connect", {
    minProtocol: 3,
    maxProtocol: 3,
    client: { id: "interop", version: "1", platform: process.platform, mode: "test" },
    role: "operator",
    scopes: ["operator.admin", "operator.approvals", "operator.pairing"],
    auth: { token },
  });
  return { hello, ask: (method, params = {}) => request(method, params), close: () => socket.close() };
}
