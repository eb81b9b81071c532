// A relay on a port of its own that notes every message between a client and the gateway.
//
// What a client prints can come from its own files: what went through here cannot. The bytes pass
// unchanged, but for the head of the upgrade: its Host is made the gateway's own, without which nobody is
// local, and a caller may add headers.
import net from "node:net";

/** Starts a relay to `port`. `headers` are added to each upgrade, as a proxy adds them. */
export async function relay(port, headers = {}) {
  const seen = { connections: [] };
  const sockets = new Set();
  const server = net.createServer((client) => {
    const connection = { requests: [], events: [], hello: undefined, closed: undefined };
    const gateway = net.connect(port, "127.0.0.1");
    const up = new Upgrade({ Host: `127.0.0.1:${port}`, ...headers });
    const asked = new Frames((text) => noteClient(connection, text), (close) => (connection.closed ??= { by: "client", ...close }));
    const told = new Frames((text) => noteGateway(connection, text), (close) => (connection.closed ??= { by: "gateway", ...close }));
    const answer = new Upgrade();
    client.on("data", (bytes) => {
      const [head, rest] = up.push(bytes);
      if (head) seen.connections.push(connection);
      gateway.write(up.out());
      asked.push(rest);
    });
    gateway.on("data", (bytes) => {
      const [, rest] = answer.push(bytes);
      client.write(answer.out());
      told.push(rest);
    });
    for (const [from, to] of [[client, gateway], [gateway, client]]) {
      sockets.add(from);
      from.on("error", () => to.destroy());
      from.on("close", () => { sockets.delete(from); to.end(); });
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: server.address().port,
    /** What was noted since the last call. */
    take() {
      return new Seen(seen.connections.splice(0));
    },
    close() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

/** What went through: connections with their requests and answers. */
export class Seen {
  constructor(connections) {
    this.connections = connections;
    this.requests = connections.flatMap((connection) => connection.requests);
  }
  /** The requests of a method. */
  of(method) {
    return this.requests.filter((request) => request.method === method);
  }
  /** The methods that were answered well. */
  answered() {
    return [...new Set(this.requests.filter((request) => request.answers.at(-1)?.ok).map((request) => request.method))];
  }
  /** Requests that were refused or got no answer. */
  failed() {
    return this.requests.filter((request) => !request.answers.at(-1)?.ok);
  }
}

function noteClient(connection, text) {
  const frame = JSON.parse(text);
  connection.requests.push({ id: frame.id, method: frame.method, params: frame.params, answers: [] });
}

function noteGateway(connection, text) {
  const frame = JSON.parse(text);
  if (frame.type === "event") {
    connection.events.push(frame);
    return;
  }
  connection.requests.findLast((request) => request.id === frame.id)?.answers.push(frame);
  if (frame.payload?.type === "hello-ok") connection.hello = frame.payload;
}

/** The HTTP head, with headers set in it; what follows is passed on. */
class Upgrade {
  #headers;
  #held = Buffer.alloc(0);
  #done = false;
  #out = [];
  constructor(headers = {}) {
    this.#headers = Object.entries(headers);
  }
  /** The head, once it is whole, and the bytes behind it. */
  push(bytes) {
    if (this.#done) {
      this.#out.push(bytes);
      return [undefined, bytes];
    }
    this.#held = Buffer.concat([this.#held, bytes]);
    const end = this.#held.indexOf("\r\n\r\n");
    if (end < 0) return [undefined, Buffer.alloc(0)];
    this.#done = true;
    const lines = this.#held.subarray(0, end).toString("latin1").split("\r\n");
    const rest = this.#held.subarray(end + 4);
    const is = (line, name) => line.toLowerCase().startsWith(`${name.toLowerCase()}:`);
    const kept = lines.filter((line) => !this.#headers.some(([name]) => is(line, name)));
    const set = this.#headers.map(([name, value]) => `${name}: ${value}`);
    this.#out.push(Buffer.from([...kept, ...set, "", ""].join("\r\n"), "latin1"), rest);
    return [lines[0], rest];
  }
  out() {
    return Buffer.concat(this.#out.splice(0));
  }
}

/** Messages out of frames: text is handed on whole, a close with its code and reason. */
class Frames {
  #held = Buffer.alloc(0);
  #parts = [];
  #onText;
  #onClose;
  constructor(onText, onClose) {
    this.#onText = onText;
    this.#onClose = onClose;
  }
  push(bytes) {
    this.#held = Buffer.concat([this.#held, bytes]);
    while (this.#next());
  }
  #next() {
    const held = this.#held;
    if (held.length < 2) return false;
    const opcode = held[0] & 0x0f;
    const masked = (held[1] & 0x80) !== 0;
    let len = held[1] & 0x7f;
    let at = 2;
    if (len === 126) {
      if (held.length < 4) return false;
      len = held.readUInt16BE(2);
      at = 4;
    } else if (len === 127) {
      if (held.length < 10) return false;
      len = Number(held.readBigUInt64BE(2));
      at = 10;
    }
    const key = masked ? held.subarray(at, at + 4) : undefined;
    at += masked ? 4 : 0;
    if (held.length < at + len) return false;
    const body = Buffer.from(held.subarray(at, at + len));
    if (key) for (let i = 0; i < body.length; i++) body[i] ^= key[i & 3];
    this.#held = held.subarray(at + len);
    if (opcode === 8) this.#onClose({ code: len >= 2 ? body.readUInt16BE(0) : 1005, reason: body.subarray(2).toString() });
    if (opcode <= 2) {
      this.#parts.push(body);
      if (held[0] & 0x80) this.#onText(Buffer.concat(this.#parts.splice(0)).toString());
    }
    return true;
  }
}
