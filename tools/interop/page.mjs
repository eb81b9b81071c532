// Drives the ecosystem's unmodified web page in Chromium against our gateway: connects, chats, stops a run,
// and visits every tab. Prints a line a step and ends with 1 when one failed.
//
//   node page.mjs BASE TOKEN SHOTS     BASE: where the page is, http:// or https://; SHOTS gets a picture of each step
//
// Env: BROWSER_ROOT  where playwright-core is
//      CHROMIUM      the browser
//      CERTIFICATE   the gateway's own, which the browser takes by its key
//      STATE         the gateway's state directory, and NODE_STATE that of a node called `lent`; without them
//                    the page is a guest's: it connects, chats, stops and loads again
import assert from "node:assert/strict";
import { X509Certificate, createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { operator } from "./ask.mjs";

const [base, token, shots] = process.argv.slice(2);
const { CERTIFICATE, STATE, NODE_STATE } = process.env;
const { chromium } = createRequire(path.join(process.env.BROWSER_ROOT, "package.json"))("playwright-core");

/** Only what hangs takes longer, also on a machine that has much to do. */
const PATIENCE_MS = 60_000;
/** What the page asks of other hosts: its font and its logo. Our policy forbids both, and it does without. */
const OUTSIDE = /fonts\.googleapis\.com|mintcdn\.com/;
const TABS = ["Overview", "Channels", "Instances", "Sessions", "Cron Jobs", "Skills", "Nodes", "Config", "Debug", "Logs", "Chat"];
/** What a tab shows only when it got what it needs. */
const SHOWS = {
  Overview: /Connected/,
  Sessions: /agent:main:main/,
  Instances: /gateway/i,
  Config: /Gateway/,
  Debug: /"ok": true/,
  Logs: /connected/,
};

/** The browser's own way to take one key that no authority vouches for. */
function pinned(file) {
  const key = new X509Certificate(readFileSync(file)).publicKey.export({ type: "spki", format: "der" });
  return `--ignore-certificate-errors-spki-list=${createHash("sha256").update(key).digest("base64")}`;
}

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: [...(CERTIFICATE ? [pinned(CERTIFICATE)] : []), "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
const page = await browser.newPage({ viewport: { width: 1400, height: 900 } });
page.setDefaultTimeout(PATIENCE_MS);
const wire = watch(page);
let failures = 0;

/** Runs a step, with a picture at its end, and looks for what the page complains about. */
async function step(name, run) {
  const started = Date.now();
  let failed;
  try {
    await run();
    assert.deepEqual(await complaints(), []);
    assert.deepEqual(wire.faults.splice(0), []);
    // The page marks what it did not understand in these ways.
    const text = await page.locator("main.content").innerText();
    assert.doesNotMatch(text, /undefined|NaN|Invalid Date|\[object Object\]/);
  } catch (fault) {
    failed = fault.message;
    failures += 1;
  }
  await page.screenshot({ path: path.join(shots, `${name.toLowerCase().replaceAll(" ", "-")}.png`), fullPage: true });
  console.log(`${name.padEnd(24)} ${((Date.now() - started) / 1000).toFixed(1).padStart(5)}  ${failed ? `FAILED: ${failed}` : "ok"}`);
}

/** Red boxes and lines that the page shows. */
async function complaints() {
  const texts = await page.locator(".callout.danger, .pill.danger, .cfg-field--error").allInnerTexts();
  return texts.filter((text) => ![...wire.notServed].some((method) => text.includes(`unknown method: ${method}`)));
}

await step("Connect", async () => {
  await page.goto(`${base}/?token=${token}`);
  await page.locator(".chat-compose textarea:enabled").waitFor();
  await page.locator(".topbar-status .statusDot.ok").waitFor();
  assert.equal(new URL(page.url()).searchParams.get("token"), null);
  await wire.quiet();
});

await step("Ask", async () => {
  const streamed = await streaming();
  await send("who is connected?");
  await done();
  const final = wire.chat.findLast((payload) => payload.state === "final");
  assert.match(await bubbles("user").last().innerText(), /who is connected\?/);
  // The page renders the text as Markdown: what is left are the words.
  const words = (text) => text.match(/[\p{L}\d]+/gu).join(" ");
  const shown = await bubbles("assistant").last().innerText();
  assert.equal(words(shown), words(final.message.content[0].text));
  assert.notEqual(await streamed(), "", "it was shown while it came");
});

await step("Stop", async () => {
  const before = wire.chat.length;
  await send("help");
  await page.locator(".chat-bubble.streaming").waitFor();
  await page.getByRole("button", { name: "Stop" }).click();
  await page.getByRole("button", { name: "New session" }).waitFor();
  assert.equal(wire.chat.at(-1).state, "aborted");
  assert.ok(!wire.chat.slice(before).some((payload) => payload.state === "final"), "a stopped run has no final");
  await page.locator(".chat-bubble.streaming").waitFor({ state: "detached" });
});

await step("Ask again", async () => {
  await send("what can you do?");
  await done();
});

await step("Reload", async () => {
  await page.reload();
  await bubbles("assistant").first().waitFor();
  await page.locator(".chat-group.user", { hasText: "who is connected?" }).first().waitFor();
});

if (STATE) await owner();

await browser.close();
if (wire.notServed.size) console.log(`not served, and asked for: ${[...wire.notServed].join(", ")}`);
console.log(`${failures} failed, ${wire.answered.size} methods answered: ${[...wire.answered].sort().join(", ")}`);
process.exitCode = failures ? 1 : 0;

async function send(text) {
  await page.locator(".chat-compose textarea").fill(text);
  await page.getByRole("button", { name: "Send" }).click();
}

/** Notes what is shown of an answer while it comes, which may be too short a time to look for it from here. */
async function streaming() {
  await page.evaluate(() => {
    window.streamed = "";
    const look = () => (window.streamed ||= document.querySelector(".chat-bubble.streaming .chat-text")?.innerText.trim() ?? "");
    new MutationObserver(look).observe(document.body, { subtree: true, childList: true, characterData: true });
  });
  return () => page.evaluate(() => window.streamed);
}

/** Waits until the page is ready for the next message. */
async function done() {
  await page.getByRole("button", { name: "Send" }).waitFor();
  await page.getByRole("button", { name: "New session" }).waitFor();
  await page.locator(".chat-bubble.streaming").waitFor({ state: "detached" });
  await wire.quiet();
}

function bubbles(who) {
  return page.locator(`.chat-group.${who} .chat-bubble`);
}

/** Notes the page's requests and their answers, its chat events, and what goes wrong in it. */
function watch(page) {
  const wire = { faults: [], chat: [], answered: new Set(), notServed: new Set(), quiet };
  const waiting = new Map();
  let served = [];
  page.on("pageerror", (fault) => wire.faults.push(`exception: ${fault.message}`));
  page.on("console", (line) => {
    if (line.type() === "error" && !OUTSIDE.test(line.text())) wire.faults.push(`console: ${line.text()}`);
  });
  page.on("websocket", (socket) => {
    waiting.clear();
    let lastSeq = 0;
    socket.on("framesent", ({ payload }) => {
      const frame = JSON.parse(payload);
      waiting.set(frame.id, frame.method);
    });
    socket.on("framereceived", ({ payload }) => {
      const frame = JSON.parse(payload);
      if (frame.event === "chat") wire.chat.push(frame.payload);
      if (frame.seq !== undefined) {
        if (frame.seq !== lastSeq + 1) wire.faults.push(`event ${frame.event}: seq ${frame.seq} after ${lastSeq}`);
        lastSeq = frame.seq;
      }
      if (frame.type !== "res") return;
      const method = waiting.get(frame.id);
      waiting.delete(frame.id);
      if (frame.payload?.type === "hello-ok") served = frame.payload.features.methods;
      if (frame.ok) wire.answered.add(method);
      else if (served.length && !served.includes(method)) wire.notServed.add(method);
      else wire.faults.push(`${method}: ${frame.error.message}`);
    });
  });
  /** Until every request is answered, twice in a row. */
  async function quiet() {
    const until = Date.now() + PATIENCE_MS;
    for (let calm = 0; calm < 2; calm = waiting.size ? 0 : calm + 1) {
      assert.ok(Date.now() < until, `no answer to ${[...waiting.values()].join(", ")}`);
      await page.waitForTimeout(300);
    }
  }
  return wire;
}

/** What only the gateway's owner sees: every tab, and what they change. */
async function owner() {
  for (const tab of TABS) {
    await step(tab, async () => {
      await open(tab);
      if (SHOWS[tab]) await page.locator("main.content", { hasText: SHOWS[tab] }).waitFor();
    });
  }

  await step("Save a setting", async () => {
    await page.locator(".nav-item", { hasText: "Config" }).click();
    const field = page.locator(".cfg-field", { hasText: "Assistant name" }).locator("input");
    await field.fill("Concierge");
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByText("No changes").waitFor();
    await wire.quiet();
    const text = readFileSync(path.join(STATE, "clawdia.json"), "utf8");
    assert.match(text, /Concierge/);
    assert.ok(text.includes(token), "the token that the page was not shown is still there");
    assert.equal(await field.inputValue(), "Concierge");
  });

  await step("Label a session", async () => {
    await page.locator(".nav-item", { hasText: "Sessions" }).click();
    const label = page.locator("main.content input[placeholder='(optional)']").first();
    await label.fill("Labelled");
    await label.blur();
    await wire.quiet();
    await page.reload();
    await page.waitForFunction(() => [...document.querySelectorAll("main input")].some((input) => input.value === "Labelled"));
  });

  await step("New session", async () => {
    await page.locator(".nav-item", { hasText: "Chat" }).click();
    await page.getByRole("button", { name: "New session" }).click();
    await page.locator(".chat-group.user", { hasText: "who is connected?" }).first().waitFor({ state: "detached" });
    await page.getByRole("button", { name: "New session" }).waitFor();
    await wire.quiet();
  });

  await step("What may run", async () => {
    await open("Nodes");
    const card = page.locator("section.card", { has: page.locator(".card-title", { hasText: "Exec approvals" }) });
    const mode = (title) => card.locator(".list-item", { hasText: title }).locator("select");
    const save = async () => {
      await card.getByRole("button", { name: "Save" }).click();
      await card.getByRole("button", { name: "Save", disabled: true }).waitFor();
      await wire.quiet();
    };
    const defaults = async () => {
      await card.getByRole("button", { name: "Defaults" }).click();
      await mode("Default security mode").waitFor();
    };
    await defaults();
    await mode("Default security mode").selectOption("allowlist");
    await mode("Default prompt policy").selectOption("always");
    await save();
    const { ask, close } = await operator(new URL(base).port, token);
    const file = async () => (await ask("exec.approvals.get")).file;
    const { defaults: saved } = await file();
    assert.deepEqual([saved.security, saved.ask], ["allowlist", "always"]);
    await card.getByRole("button", { name: /main/ }).click();
    await card.getByRole("button", { name: "Add pattern" }).click();
    await card.locator("input[type=text]").last().fill("/usr/bin/uptime");
    await save();
    assert.equal((await file()).agents.main.allowlist.at(-1).pattern, "/usr/bin/uptime");
    close();

    await card.locator("label", { hasText: "Host" }).locator("select").selectOption("node");
    await card.getByRole("button", { name: "Load approvals" }).click();
    await wire.quiet();
    await defaults();
    await mode("Default security mode").selectOption("full");
    await save();
    const lent = JSON.parse(readFileSync(path.join(NODE_STATE, "exec-approvals.json"), "utf8"));
    assert.equal(lent.defaults.security, "full", "the node's own file");
  });

  for (const [button, decision] of [["Allow once", "allow-once"], ["Always allow", "allow-always"], ["Deny", "deny"]]) {
    await step(button, async () => {
      const { ask, close } = await operator(new URL(base).port, token);
      const asked = ask("exec.approval.request", { command: "echo from elsewhere", host: "gateway", agentId: "main", timeoutMs: 60_000 });
      asked.catch(() => {});
      const card = page.locator(".exec-approval-card", { hasText: "echo from elsewhere" });
      await card.getByRole("button", { name: button }).click();
      assert.equal((await asked).decision, decision);
      await card.waitFor({ state: "detached" });
      close();
    });
  }
}

async function open(tab) {
  await page.locator(".nav-item", { hasText: tab }).first().click();
  await page.locator(".page-title", { hasText: tab === "Cron Jobs" ? "Cron" : tab }).waitFor();
  await wire.quiet();
}
