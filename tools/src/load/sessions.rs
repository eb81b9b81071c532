//! Many sessions that say something at once, a model that takes its time, and somebody who asks for health
//! meanwhile.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use argh::FromArgs;
use serde_json::{Value, json};

use super::place::{Place, Target};
use crate::figures::party::{As, Party};
use crate::figures::traffic::Asker;
use crate::figures::{Table, mb};
use crate::fleet::ledger::percentile;
use crate::process::{highest_resident_bytes, resident_bytes};

/// Most milliseconds of a `health`, as it is meant.
const HEALTH_MS: f64 = 20.0;
/// Megabytes that a hundred waiting runs and their steps may add at most.
const GROWTH_MB_MAX: f64 = 64.0;
/// Between two questions for health.
const PAUSE: Duration = Duration::from_millis(1);

/// sessions that all say something at once: what is accepted, how many steps are at work, whose turn it is, and how
/// long others wait meanwhile; each run uses a tool, so it has two steps
#[derive(FromArgs)]
#[argh(subcommand, name = "sessions")]
pub struct Sessions {
    /// sessions (100)
    #[argh(option, default = "100")]
    sessions: usize,
    /// steps at a time, agents.maxConcurrent (4)
    #[argh(option, default = "4")]
    at_once: usize,
    /// milliseconds that the model takes for a step (20)
    #[argh(option, default = "20")]
    step_ms: u64,
}

impl Sessions {
    /// Makes the load.
    ///
    /// # Errors
    ///
    /// When somebody is not let in, or a run does not end well.
    pub fn run(&self, place: &Place, table: &mut Table) -> io::Result<()> {
        place.is_own()?;
        let at_once = self.at_once.max(1);
        let desk = Arc::new(Desk::default());
        let port = serve(desk.clone(), Duration::from_millis(self.step_ms))?;
        let gateway = place.gateway(&config(port, at_once))?;
        let pid = gateway.pid.unwrap_or_default();
        let mut talker = Party::join(gateway.door.clone(), As::Operator, &gateway.token)?.0;
        let before = resident_bytes(pid)?;
        let begun = Instant::now();
        let is_over = AtomicBool::new(false);
        let (accepted, waits) = thread::scope(|scope| {
            let asks = scope.spawn(|| ask(&gateway, &is_over));
            let accepted = talk(&mut talker, &desk, self.sessions);
            is_over.store(true, Ordering::Relaxed);
            let waits = asks
                .join()
                .unwrap_or_else(|_| Err(io::Error::other("panicked")));
            io::Result::Ok((accepted?, waits?))
        })?;
        let took = begun.elapsed();
        let seen = desk.seen();
        let (sessions, at_once) = (self.sessions as f64, at_once as f64);
        table.tell(
            "messages accepted while none is answered",
            accepted as f64,
            "",
        );
        table.hold("messages not accepted", sessions - accepted as f64, "", 0.0);
        table.hold("steps at a time, the most", seen.most as f64, "", at_once);
        table.tell("steps in all", seen.steps as f64, "");
        let what = "second steps before everybody had a first";
        table.hold(what, seen.early as f64, "", at_once);
        table.tell(
            "from the first message to the last end",
            took.as_secs_f64(),
            "s",
        );
        let mut waits = waits;
        table.tell("health meanwhile: asked", waits.len() as f64, "");
        table.tell("health meanwhile: p50", percentile(&mut waits, 50), "ms");
        let p99 = percentile(&mut waits, 99);
        table.put("health meanwhile: p99", p99, "ms", HEALTH_MS);
        let (after, highest) = (resident_bytes(pid)?, highest_resident_bytes(pid)?);
        table.tell("memory before", mb(before as f64), "MB");
        table.tell("memory afterwards", mb(after as f64), "MB");
        let grown = mb(highest as f64 - before as f64);
        table.hold(
            "memory: the most, over that before",
            grown,
            "MB",
            GROWTH_MB_MAX,
        );
        Ok(())
    }
}

fn config(port: u16, at_once: usize) -> String {
    json!({
        "models": {"providers": {"mine": {"baseUrl": format!("http://127.0.0.1:{port}/v1"),
            "api": "openai-completions", "models": [{"id": "one"}]}}},
        "agents": {"maxConcurrent": at_once, "defaults": {"model": "mine/one"}},
    })
    .to_string()
}

/// Each session says something; once all were accepted the model answers. Gives how many were, after all have ended.
fn talk(talker: &mut Party, desk: &Desk, sessions: usize) -> io::Result<usize> {
    let mut accepted = 0;
    for at in 0..sessions {
        let name = format!("s{at}");
        let params = json!({"sessionKey": name, "message": name, "idempotencyKey": name});
        let request = json!({"type": "req", "id": name, "method": "chat.send", "params": params});
        talker.text(&request.to_string())?;
        let answer = next(talker, |message| message["type"] == "res")?;
        accepted += usize::from(answer["payload"]["status"] == "started");
    }
    desk.open();
    for _ in 0..accepted {
        let told = next(talker, |message| {
            message["event"] == "chat" && message["payload"]["state"] != "delta"
        })?;
        if told["payload"]["state"] != "final" {
            return Err(io::Error::other(format!("a run ended otherwise: {told}")));
        }
    }
    Ok(accepted)
}

fn next(party: &mut Party, is_it: impl Fn(&Value) -> bool) -> io::Result<Value> {
    loop {
        let message: Value = serde_json::from_slice(party.next_payload()?)?;
        if is_it(&message) {
            return Ok(message);
        }
    }
}

/// Asks for health until it is over; microseconds of each answer.
fn ask(gateway: &Target, is_over: &AtomicBool) -> io::Result<Vec<u32>> {
    let mut asker = Asker::join(gateway.door.clone(), &gateway.token, "health", &json!({}))?;
    let mut waits = Vec::new();
    while !is_over.load(Ordering::Relaxed) {
        let asked = Instant::now();
        asker.check()?;
        waits.push(asked.elapsed().as_micros() as u32);
        thread::sleep(PAUSE);
    }
    Ok(waits)
}

/// What the model has seen.
#[derive(Clone, Copy, Default)]
struct Seen {
    is_open: bool,
    now: usize,
    most: usize,
    steps: usize,
    second_steps: usize,
    /// Second steps that came before the last first one.
    early: usize,
}

/// The model: it lets nobody go on before it is opened.
#[derive(Default)]
struct Desk {
    seen: Mutex<Seen>,
    opened: Condvar,
}

impl Desk {
    fn seen(&self) -> Seen {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self) {
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_open = true;
        self.opened.notify_all();
    }

    fn begin(&self, is_second: bool) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.now += 1;
        seen.most = seen.most.max(seen.now);
        seen.steps += 1;
        match is_second {
            true => seen.second_steps += 1,
            false => seen.early = seen.second_steps,
        }
        let waits = self.opened.wait_while(seen, |seen| !seen.is_open);
        drop(waits.unwrap_or_else(PoisonError::into_inner));
    }

    fn end(&self) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).now -= 1;
    }
}

/// Serves OpenAI's chat completions on a free port, a thread a request, until the program ends.
fn serve(desk: Arc<Desk>, step: Duration) -> io::Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            let desk = desk.clone();
            // Who hangs up fails a run, which is told there.
            thread::spawn(move || drop(answer(socket, &desk, step)));
        }
    });
    Ok(port)
}

fn answer(mut socket: TcpStream, desk: &Desk, step: Duration) -> io::Result<()> {
    let body = body(&socket)?;
    let last = body["messages"].as_array().and_then(|it| it.last());
    let is_second = last.is_some_and(|it| it["role"] == "tool");
    desk.begin(is_second);
    thread::sleep(step);
    let (delta, why) = match is_second {
        true => (json!({"content": "done"}), "stop"),
        false => {
            let call = json!({"index": 0, "id": "c", "type": "function",
                "function": {"name": "sessions", "arguments": "{\"action\":\"list\"}"}});
            (json!({"tool_calls": [call]}), "tool_calls")
        }
    };
    let mut text = String::from(
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n",
    );
    for (delta, why) in [(delta, Value::Null), (json!({}), why.into())] {
        let choice = json!({"index": 0, "delta": delta, "finish_reason": why});
        text += &format!("data: {}\n\n", json!({"choices": [choice]}));
    }
    // The next step may begin as soon as this one is told, so it is over before.
    desk.end();
    socket.write_all(text.as_bytes())
}

/// Reads a request and gives its body.
fn body(socket: &TcpStream) -> io::Result<Value> {
    let mut reader = BufReader::new(socket);
    let mut len = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            len = value.trim().parse().map_err(io::Error::other)?;
        }
    }
    let mut body = vec![0; len];
    reader.read_exact(&mut body)?;
    Ok(serde_json::from_slice(&body)?)
}
