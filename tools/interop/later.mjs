// The same for today's client, which speaks version 4: it asks for the least scopes, each command on
// connections of its own, and needs no device on this machine.
import assert from "node:assert/strict";

const parsed = (out) => JSON.parse(out.slice(out.search(/^[[{]/m)));

/** Every connection that said hello agreed on version 4. */
const four = ({ seen }) => {
  const versions = seen.connections.filter((connection) => connection.hello).map((connection) => connection.hello.protocol);
  assert.ok(versions.length > 0 && versions.every((version) => version === 4), `versions ${versions}`);
};

export const LATER = [
  [{ args: ["health", "--json"], reached: ["health"], check: ({ out, seen }) => { four({ seen }); assert.equal(parsed(out).ok, true); } }],
  [{ args: ["status"], reached: ["health", "status", "system-presence"], check: ({ out, seen }) => { four({ seen }); assert.match(out, /reachable/); } }],
  [{ args: ["gateway", "call", "health"], reached: ["health"], check: four }],
  [{ args: ["gateway", "status"], reached: ["connect"], check: ({ out }) => assert.match(out, /Connectivity probe: ok/) }],
  // The configuration stays with administrators: the probe says so and goes on.
  [{ args: ["gateway", "probe"], reached: ["health", "status", "system-presence"], refused: ["config.get"], check: ({ out }) => assert.match(out, /Reachable: yes/) }],
  [{ args: ["logs", "--plain"], reached: ["logs.tail"], check: ({ out }) => assert.match(out, /connected/) }],
  [{
    args: ["agent", "--agent", "main", "--message", "hi from later"], reached: ["agent"],
    check: async ({ out, seen, world }) => {
      const text = seen.of("agent")[0].answers[1].payload.result.payloads[0].text;
      assert.ok(out.includes(text.split("\n")[0]), "the client prints what the gateway answered");
      const { messages } = await world.ask("chat.history", { sessionKey: "agent:main:main" });
      assert.ok(JSON.stringify(messages).includes("hi from later"), "the transcript holds the message");
    },
  }],
  [{ args: ["channels", "status"], reached: ["channels.status"], check: ({ out }) => assert.match(out, /Gateway reachable/) }],
  // It asks whether there is a newer method, and takes no for an answer.
  [{ args: ["cron", "list"], reached: ["cron.list"], refused: ["cron.get"], check: four }],
  [{ args: ["cron", "status"], reached: ["cron.status"], check: four }],
  [{ args: ["nodes", "status"], reached: ["node.list"], check: four }],
  [{ args: ["devices", "list"], reached: ["device.pair.list"], check: four }],
  [{ args: ["system", "presence"], reached: ["system-presence"], check: ({ out }) => assert.match(out, /gateway/) }],
  [{ args: ["system", "event", "--text", "interop: later"], reached: ["wake"], check: four }],
];
