//! The calls that wait, run and have ended: which may begin, and who is told how each ended.
//!
//! Owned by the thread that speaks to the gateway. Each command runs on a thread of its own and
//! sends what it has to say by channel.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::commands::{self, Context, PROGRESS};
use super::invoke::{Answer, Fault, Invoke};
use super::journal::{Journal, Known};
use super::wake::{Wake, Waker};
use crate::limits::{NODE_CALLS_QUEUED_MAX, NODE_RUNS_MAX, NODE_STOP_MS, NODE_THREAD_STACK_BYTES};

/// How pieces of output are sent.
const PROGRESS_METHOD: &str = "node.invoke.progress";

/// Something for the gateway.
#[derive(Debug, PartialEq)]
pub struct Outgoing {
    pub method: &'static str,
    pub params: Value,
}

/// What a command's thread says.
enum Word {
    Event {
        call: u64,
        name: &'static str,
        payload: Value,
    },
    Ended {
        call: u64,
        answer: Answer,
    },
}

/// A call that has not ended.
struct Call {
    invoke: Invoke,
    /// What [`Invoke::digest`] gives.
    digest: [u8; 32],
    /// The names under which this connection's gateway waits for it; none after a lost connection.
    waiting: Vec<(String, String)>,
    /// Whether it was made on this connection: a gateway hears events of its own calls alone.
    is_of_connection: bool,
    /// Pieces of its output that the gateway was told.
    shown: u64,
    /// When the gateway gives it up.
    deadline: Option<Instant>,
    runs: bool,
}

impl Outgoing {
    /// Whether it is a piece of output, which [`Desk::taken`] wants to know the answer of.
    pub fn is_progress(&self) -> bool {
        self.method == PROGRESS_METHOD
    }
}

impl Call {
    /// A piece of its output, for the one that asked first.
    fn progress(&mut self, chunk: &Value) -> Option<Outgoing> {
        let (id, node_id) = self.waiting.first()?;
        let params = json!({"invokeId": id, "nodeId": node_id, "seq": self.shown, "chunk": chunk});
        self.shown += 1;
        Some(Outgoing {
            method: PROGRESS_METHOD,
            params,
        })
    }
}

/// All calls of a node.
pub struct Desk {
    journal: Journal,
    context: Arc<Context>,
    calls: BTreeMap<u64, Call>,
    /// Those that have not begun, in order.
    queue: VecDeque<u64>,
    made: u64,
    says: Sender<Word>,
    said: Receiver<Word>,
    waker: Arc<Waker>,
    /// Told to the person who watches: what could not be written down.
    faults: Vec<String>,
}

impl Desk {
    /// A desk without calls.
    ///
    /// # Errors
    ///
    /// When no descriptor can be had.
    pub fn new(journal: Journal, context: Context, wake: &Wake) -> io::Result<Self> {
        let (says, said) = channel();
        Ok(Self {
            journal,
            context: Arc::new(context),
            calls: BTreeMap::new(),
            queue: VecDeque::new(),
            made: 0,
            says,
            said,
            waker: Arc::new(wake.waker()?),
            faults: Vec::new(),
        })
    }

    /// Takes a call; what can be answered at once is.
    pub fn take(&mut self, invoke: Invoke) -> Option<Outgoing> {
        let digest = invoke.digest();
        let answer = match self.known(&invoke, &digest) {
            Ok(None) => return None,
            Ok(Some(answer)) => answer,
            Err(fault) => Answer::Error(fault),
        };
        Some(result(&answer, &invoke.id, &invoke.node_id))
    }

    /// The answer of a call that is a repeat, or cannot be taken; a new one is queued.
    fn known(&mut self, invoke: &Invoke, digest: &[u8; 32]) -> Result<Option<Answer>, Fault> {
        let other = || Fault::invalid("the idempotency key was used for another call");
        if let Some(key) = &invoke.key {
            let mut calls = self.calls.values_mut();
            if let Some(call) = calls.find(|call| call.invoke.key.as_ref() == Some(key)) {
                if call.digest != *digest {
                    return Err(other());
                }
                if call.waiting.len() >= NODE_CALLS_QUEUED_MAX {
                    return Err(Fault::unavailable("this call was repeated too often"));
                }
                // It is on its way already: whoever asks again hears of the same end.
                let names = (invoke.id.clone(), invoke.node_id.clone());
                call.waiting.push(names);
                return Ok(None);
            }
            let known = self.journal.look(key, digest);
            match known.map_err(|fault| self.not_written(&fault))? {
                Known::New => {}
                Known::Other => return Err(other()),
                Known::Answered(answer) => return Ok(Some(answer)),
                Known::LetGo => {
                    return Err(Fault::interrupted(
                        "this call has ended, and its result is not kept any more",
                    ));
                }
                Known::Begun => {
                    return Err(Fault::interrupted(
                        "the node host ended while this ran: what it did is unknown, and it is not begun again",
                    ));
                }
            }
        }
        if self.queue.len() >= NODE_CALLS_QUEUED_MAX {
            return Err(Fault::unavailable("too many calls wait on this node"));
        }
        let timeout = invoke.timeout_ms.map(Duration::from_millis);
        self.made += 1;
        self.queue.push_back(self.made);
        let call = Call {
            digest: *digest,
            waiting: vec![(invoke.id.clone(), invoke.node_id.clone())],
            is_of_connection: true,
            shown: 0,
            deadline: timeout.and_then(|timeout| Instant::now().checked_add(timeout)),
            runs: false,
            invoke: invoke.clone(),
        };
        self.calls.insert(self.made, call);
        Ok(None)
    }

    /// Begins what may begin, and gives what there is to be sent.
    pub fn work(&mut self) -> Vec<Outgoing> {
        let mut outgoing = Vec::new();
        while let Ok(word) = self.said.try_recv() {
            self.hear(word, &mut outgoing);
        }
        self.give_up(&mut outgoing);
        while self.runs() < NODE_RUNS_MAX
            && let Some(number) = self.queue.pop_front()
        {
            if let Err(fault) = self.begin(number) {
                self.end(number, &Answer::Error(fault), &mut outgoing);
            }
        }
        outgoing
    }

    /// The gateway has taken a piece of output.
    pub fn taken(&self) {
        self.context.flow.taken();
    }

    /// When [`Self::work`] has something to do without being woken.
    pub fn next_deadline(&self) -> Option<Instant> {
        let waiting = self
            .queue
            .iter()
            .filter_map(|number| self.calls.get(number));
        waiting.filter_map(|call| call.deadline).min()
    }

    /// The connection is gone: nobody waits any more. What has not begun never will, since its
    /// gateway has given it up; what runs goes on, for a gateway that asks again.
    pub fn lost(&mut self) {
        self.queue.clear();
        self.context.flow.reset();
        self.calls.retain(|_, call| call.runs);
        for call in self.calls.values_mut() {
            call.waiting.clear();
            call.is_of_connection = false;
        }
    }

    /// Kills what runs, waits a moment for it, and gives what there is to be sent.
    pub fn stop(&mut self, stop_end: &mut std::os::unix::net::UnixStream) -> Vec<Outgoing> {
        use std::io::Write;
        let mut outgoing = Vec::new();
        self.queue.clear();
        self.calls.retain(|_, call| call.runs);
        // Written and never read: every thread sees it.
        let _ = stop_end.write(&[1]);
        let deadline = Instant::now() + Duration::from_millis(NODE_STOP_MS);
        while self.runs() > 0 {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(word) = self.said.recv_timeout(left) else {
                break;
            };
            self.hear(word, &mut outgoing);
        }
        outgoing
    }

    /// What could not be written down since the last look.
    pub fn faults(&mut self) -> Vec<String> {
        std::mem::take(&mut self.faults)
    }

    fn runs(&self) -> usize {
        self.calls.values().filter(|call| call.runs).count()
    }

    /// What waited until its gateway gave it up is not begun.
    fn give_up(&mut self, outgoing: &mut Vec<Outgoing>) {
        let now = Instant::now();
        let is_late = |desk: &Self, number: &u64| {
            let deadline = desk.calls.get(number).and_then(|call| call.deadline);
            deadline.is_some_and(|deadline| deadline <= now)
        };
        let late: Vec<u64> = self
            .queue
            .iter()
            .copied()
            .filter(|it| is_late(self, it))
            .collect();
        self.queue.retain(|number| !late.contains(number));
        for number in late {
            let fault = Fault::new("TIMEOUT", "other calls ran until this one was too late");
            self.end(number, &Answer::Error(fault), outgoing);
        }
    }

    /// Writes down that a call begins, then begins it.
    fn begin(&mut self, number: u64) -> Result<(), Fault> {
        let Some(call) = self.calls.get_mut(&number) else {
            return Ok(());
        };
        if let Some(key) = &call.invoke.key {
            let begun = self.journal.begin(key, &call.digest, now_ms());
            if let Err(fault) = begun {
                return Err(self.not_written(&fault));
            }
        }
        call.runs = true;
        let (invoke, deadline) = (call.invoke.clone(), call.deadline);
        let (context, says, waker) = (
            Arc::clone(&self.context),
            self.says.clone(),
            Arc::clone(&self.waker),
        );
        let thread = thread::Builder::new()
            .name("node-call".into())
            .stack_size(NODE_THREAD_STACK_BYTES);
        let spawned = thread.spawn(move || {
            // The other end is gone only when the process ends.
            let say = |word| drop(says.send(word));
            let mut tell = |name, payload| {
                say(Word::Event {
                    call: number,
                    name,
                    payload,
                });
                waker.wake();
            };
            let performed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                commands::perform(&context, &invoke, deadline, &mut tell)
            }));
            let answer = performed.unwrap_or_else(|_| {
                Answer::Error(Fault::interrupted(
                    "the command failed inside the node host",
                ))
            });
            say(Word::Ended {
                call: number,
                answer,
            });
            waker.wake();
        });
        match spawned {
            Ok(_) => Ok(()),
            Err(error) => Err(Fault::unavailable(format!(
                "no thread for the call: {error}"
            ))),
        }
    }

    fn hear(&mut self, word: Word, outgoing: &mut Vec<Outgoing>) {
        match word {
            Word::Event {
                call,
                name,
                payload,
            } => {
                let call = self.calls.get_mut(&call);
                let told = call
                    .filter(|call| call.is_of_connection)
                    .and_then(|call| match name {
                        PROGRESS => call.progress(&payload),
                        _ => Some(Outgoing {
                            method: "node.event",
                            params: json!({"event": name, "payloadJSON": payload.to_string()}),
                        }),
                    });
                if told.is_none() && name == PROGRESS {
                    self.context.flow.taken();
                }
                outgoing.extend(told);
            }
            Word::Ended { call, answer } => self.end(call, &answer, outgoing),
        }
    }

    /// Writes down how a call ended, then tells whoever waits. An answer that cannot be written
    /// down is told all the same; a repeat then hears that nothing is known.
    fn end(&mut self, number: u64, answer: &Answer, outgoing: &mut Vec<Outgoing>) {
        let Some(call) = self.calls.remove(&number) else {
            return;
        };
        if let (Some(key), true) = (&call.invoke.key, call.runs)
            && let Err(fault) = self.journal.finish(key, answer)
        {
            self.not_written(&fault);
        }
        for (id, node_id) in &call.waiting {
            outgoing.push(result(answer, id, node_id));
        }
    }

    fn not_written(&mut self, fault: &rusqlite::Error) -> Fault {
        let text = format!("the journal {}: {fault}", self.journal.path().display());
        self.faults.push(text.clone());
        Fault::unavailable(text)
    }
}

fn result(answer: &Answer, id: &str, node_id: &str) -> Outgoing {
    Outgoing {
        method: "node.invoke.result",
        params: answer.to_result(id, node_id),
    }
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |elapsed| elapsed.as_millis() as u64)
}

#[cfg(test)]
#[path = "desk_tests.rs"]
mod tests;
