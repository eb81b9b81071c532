// Telegram emulator -> gateway -> agent with a scripted model that asks for `nodes` -> a real node runs the
// command -> the answer in the emulator; then the same with kill -9 of the gateway at every step and at random.
//
//   node flow.mjs PROGRAM PACKAGES KILLS
//
// Half of the answers come whole; the others are written slowly, are shown as a draft, and take its place.
//
// What must hold, whatever is killed when: no message is answered twice, one without an answer is reported as
// `unknown`, no draft is left behind without that, and no command runs twice. The emulator (npm telegram-test-api)
// forgets an update when it has handed it out; the proxy before it keeps updates until the next poll confirms them, as Telegram does.
import { spawn, execFileSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { once } from 'node:events';
import fs from 'node:fs';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';

const [program, packages, killsArg] = process.argv.slice(2);
const kills = Number(killsArg);
const TelegramServer = createRequire(path.join(packages, 'x.js'))('telegram-test-api');
const TOKEN = '123456:token-of-a-test';
const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'clawdia-telegram-'));
const acts = path.join(dir, 'acts');
fs.writeFileSync(acts, '');
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
const children = [];

async function until(what, is, ms = 60_000) {
  const deadline = Date.now() + ms;
  for (;;) {
    const found = is();
    if (found) return found;
    if (Date.now() > deadline) throw new Error(`it never came to be: ${what}`);
    await sleep(5);
  }
}

async function body(request) {
  let text = '';
  for await (const piece of request) text += piece;
  return text;
}

// What is told when something happens: the place at which this round kills, if it is one.
let killAt = null;
function at(place) {
  if (killAt === place) {
    killAt = null;
    gateway.process.kill('SIGKILL');
    return true;
  }
  return false;
}

// The emulator, and Telegram's way of confirming before it.
const probe = http.createServer().listen(0, '127.0.0.1');
await once(probe, 'listening');
const emulatorPort = probe.address().port;
probe.close();
const emulator = new TelegramServer({ port: emulatorPort, host: '127.0.0.1', storeTimeout: 86_400 });
await emulator.start();
const client = emulator.getClient(TOKEN, { chatId: 7, userId: 7, firstName: 'Ann' });
let confirmed = 0;
let edited = 0;
const fresh = () => emulator.storage.userMessages.filter((it) => it.updateId > confirmed);
emulator.getUpdates = () => fresh().map((it) => TelegramServer.formatUpdate(it));
const proxy = http.createServer(async (request, response) => {
  const text = await body(request);
  const method = request.url.split('/').pop();
  let gone = false;
  response.on('close', () => { gone = true; });
  if (method === 'getUpdates') {
    const { offset, timeout } = JSON.parse(text);
    if (offset) confirmed = Math.max(confirmed, offset - 1);
    const deadline = Date.now() + timeout * 1_000;
    while (!gone && fresh().length === 0 && Date.now() < deadline) await sleep(5);
    if (fresh().length > 0 && at('an update is handed out')) return;
  }
  if (method === 'sendMessage' && at('an answer comes and is not taken')) return response.destroy();
  const isEdit = method === 'editMessageText';
  if (isEdit) edited += 1;
  const edit = isEdit && JSON.parse(text).text.includes(END) ? 'the last edit' : 'an edit';
  if (isEdit && at(`${edit} comes and is not taken`)) return response.destroy();
  const answer = await fetch(`http://127.0.0.1:${emulatorPort}${request.url}`, {
    method: 'POST', headers: { 'content-type': 'application/json' }, body: text,
  });
  const said = await answer.text();
  if (method === 'sendMessage' && at('an answer is taken and not confirmed')) return response.destroy();
  if (isEdit && at(`${edit} is taken and not confirmed`)) return response.destroy();
  response.writeHead(answer.status, { 'content-type': 'application/json' }).end(said);
  if (isEdit) at(`${edit} is confirmed`);
  if (method === 'sendMessage') at('an answer is confirmed');
  if (method === 'getUpdates' && JSON.parse(said).result?.length > 0) at('an update was handed out');
}).listen(0, '127.0.0.1');
await once(proxy, 'listening');

const write = (response, delta) => response.write(`data: ${JSON.stringify({ choices: [{ index: 0, delta }] })}\n\n`);
const says = (response, delta, why) => {
  if (!response.headersSent) response.writeHead(200, { 'content-type': 'text/event-stream' });
  write(response, delta);
  response.end(`data: ${JSON.stringify({ choices: [{ index: 0, delta: {}, finish_reason: why }] })}\n\ndata: [DONE]\n\n`);
};

// How slow answers end, and whether they are slow now.
const END = 'which is all.';
let slow = false;

// The model: asks for the node, then answers.
const model = http.createServer(async (request, response) => {
  const { messages } = JSON.parse(await body(request));
  const asked = messages.findLast((it) => it.role === 'user').content;
  const task = /task (\d+)/.exec(typeof asked === 'string' ? asked : JSON.stringify(asked))?.[1];
  // A summary of what was said, say: nothing that a person waits for.
  if (!task) return says(response, { content: 'Noted.' }, 'stop');
  const isDone = messages.at(-1).role === 'tool';
  if (at(isDone ? 'the model is to answer' : 'the model is asked')) return response.destroy();
  const delta = isDone
    ? { content: `reply ${task}: ${messages.at(-1).content.includes('acted') ? 'it acted' : 'it failed'}` }
    : { tool_calls: [{ index: 0, id: `call_${task}`, type: 'function', function: {
        name: 'nodes',
        arguments: JSON.stringify({ action: 'run', node: 'box', shell: `echo ${task} >> ${acts}; sleep 0.1; echo acted` }),
      } }] };
  if (isDone && slow) {
    // A draft, and one edit of it.
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    write(response, { content: `${delta.content}, and there is more to be told, ` });
    await sleep(800);
    write(response, { content: 'namely this and that, ' });
    await sleep(1_000);
    delta.content = END;
  }
  says(response, delta, isDone ? 'stop' : 'tool_calls');
  at(isDone ? 'the model has answered' : 'the model has asked for the tool');
}).listen(0, '127.0.0.1');
await once(model, 'listening');

// Gateway and node.
const home = path.join(dir, 'home');
const state = path.join(home, '.clawdia');
fs.mkdirSync(state, { recursive: true });
fs.writeFileSync(path.join(state, 'clawdia.json'), JSON.stringify({
  channels: { telegram: { botToken: TOKEN, apiRoot: `http://127.0.0.1:${proxy.address().port}`, allowFrom: ['7'] } },
  models: { providers: { mine: { baseUrl: `http://127.0.0.1:${model.address().port}/v1`, apiKey: 'k', models: [{ id: 'one' }] } } },
  agents: { defaults: { model: { primary: 'mine/one' } } },
}));
const run = (words, env) => {
  const child = spawn(program, words, { env: { PATH: process.env.PATH, ...env }, stdio: ['ignore', 'pipe', 'ignore'] });
  child.on('exit', () => { child.ended = true; });
  children.push(child);
  return child;
};
const gateway = { process: null, port: 0 };
async function startGateway() {
  const child = run(['gateway', 'run', '--port', String(gateway.port)], { HOME: home });
  gateway.process = child;
  let said = '';
  child.stdout.on('data', (text) => { said += text; });
  const line = await until('the gateway listens', () => child.ended || /listening on .*:(\d+)/.exec(said));
  if (line === true) throw new Error('the gateway did not start');
  gateway.port = Number(line[1]);
}
const cli = (...words) => execFileSync(program, words, { env: { PATH: process.env.PATH, HOME: home }, encoding: 'utf8' });
const account = () => JSON.parse(cli('channels', 'status', '--json')).channelAccounts.telegram[0];

let failed = null;
try {
  await startGateway();
  const nodeHome = path.join(dir, 'node');
  const nodeDir = path.join(nodeHome, '.clawdia', 'node');
  fs.mkdirSync(nodeDir, { recursive: true });
  fs.writeFileSync(path.join(nodeDir, 'exec-approvals.json'),
    JSON.stringify({ version: 1, defaults: { security: 'full', ask: 'off' }, agents: {} }));
  run(['node', 'run', '--url', `ws://127.0.0.1:${gateway.port}`, '--token-file', path.join(state, 'gateway-token'), '--display-name', 'box'],
    { HOME: nodeHome });
  const isThere = () => JSON.parse(cli('nodes', 'status', '--json')).nodes.some((it) => it.connected);
  // On the same machine and with the gateway's token a node is let in without a question.
  await until('the node is connected', isThere);

  const whole = [null, 'an update is handed out', 'an update was handed out', 'the model is asked',
    'the model has asked for the tool', 'the command runs', 'the model is to answer', 'the model has answered',
    'an answer comes and is not taken', 'an answer is taken and not confirmed', 'an answer is confirmed'];
  const edits = ['an edit', 'the last edit'].flatMap((edit) => ['comes and is not taken', 'is taken and not confirmed', 'is confirmed']
    .map((what) => `${edit} ${what}`));
  const places = [...whole, ...whole, ...edits];
  const answers = () => emulator.storage.botMessages;
  const isWhole = ({ message: { text } }) => !slow || text.endsWith(END) || !text.startsWith('reply');
  const outcome = {};
  let unknowns = 0;
  const first = [];
  for (let task = 1; task <= places.length + kills; task += 1) {
    const place = task <= places.length ? places[task - 1] : 'at random';
    const before = answers().length;
    first.push(before);
    slow = task > whole.length && (task <= places.length || task % 2 === 0);
    killAt = place;
    await client.sendMessage(client.makeMessage(`do task ${task}`));
    if (place === 'at random') {
      await sleep(Math.random() * (slow ? 3_000 : 600));
      killAt = null;
      gateway.process.kill('SIGKILL');
    } else if (place === 'the command runs') {
      await until('the command runs', () => fs.readFileSync(acts, 'utf8').split('\n').includes(String(task)));
      at(place);
    }
    if (place) {
      await until(`killed where ${place}`, () => gateway.process.ended);
      await startGateway();
      await until('the node is back', isThere);
    }
    // The message has its answer, or is reported.
    let told = unknowns;
    let looked = 0;
    await until(`task ${task} is answered or reported, killed where ${place}`, () => {
      if (answers().length > before && isWhole(answers()[before])) return true;
      if (Date.now() - looked < 250) return false;
      looked = Date.now();
      told = account().outbox.unknown;
      return told > unknowns;
    });
    // What this round sends has its outcome before the next begins.
    const after = await until(`task ${task} is settled`, () => {
      const { outbox } = account();
      return outbox.sending + outbox.waiting === 0 && outbox;
    });
    const word = answers().length > before && isWhole(answers()[before])
      ? (answers()[before].message.text.startsWith('reply') ? 'answered' : 'interrupted, and told so')
      : 'unknown, and told so';
    unknowns = after.unknown;
    const name = `${place ?? 'no kill'}${slow ? ', with a draft' : ''}`;
    outcome[name] ??= {};
    outcome[name][word] = (outcome[name][word] ?? 0) + 1;
    if (place === null && !answers()[before].message.text.startsWith(`reply ${task}: it acted`)) throw new Error('the plain flow');
  }
  // Whatever would come late has time to come.
  await sleep(1_500);
  first.push(answers().length);
  for (let task = 1; task < first.length; task += 1) {
    const times = first[task] - first[task - 1];
    if (times > 1) throw new Error(`task ${task} has ${times} answers`);
    const replies = answers().filter((it) => it.message.text.startsWith(`reply ${task}:`)).length;
    if (replies > 1) throw new Error(`task ${task} was answered ${replies} times`);
    const done = fs.readFileSync(acts, 'utf8').split('\n').filter((it) => it === String(task)).length;
    if (done > 1) throw new Error(`the command of task ${task} ran ${done} times`);
  }
  for (const [place, words] of Object.entries(outcome)) {
    console.log(`${place}: ${Object.entries(words).map(([word, times]) => `${times} ${word}`).join(', ')}`);
  }
  console.log(`${first.length - 1} messages: none answered twice, ${edited} drafts changed, no command ran twice, ${unknowns} reported as unknown`);
} catch (fault) {
  failed = fault;
  console.error(fault.message);
  for (const it of emulator.storage.botMessages) console.error(it.time, it.message.text);
  try { console.error(JSON.stringify(account())); } catch { /* the gateway is gone */ }
}
for (const child of children) if (!child.ended) child.kill('SIGKILL');
fs.rmSync(dir, { recursive: true, force: true });
process.exit(failed ? 1 : 0);
