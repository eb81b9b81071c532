//! Threads that do what tools want done on this machine.
//!
//! Short things share a few threads and wait in one bounded queue. A command has a thread of its
//! own, as long as it runs: how many may run is the core's decision, and the kernel ends a
//! command with the thread that started it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::agent::{Act, Acted, CancelToken};
use crate::host;
use crate::limits::{ACT_STACK_BYTES, ACTS_AT_ONCE_MAX, ACTS_QUEUED_MAX, ANSWERS_PER_TURN_MAX};

/// One thing to do.
struct Job {
    ticket: u64,
    act: Act,
    cancel: CancelToken,
}

/// The loop's end of the threads.
pub struct Hands {
    jobs: (Sender<Arc<Job>>, Receiver<Arc<Job>>),
    shared: Shared,
    answers: Receiver<(u64, Acted)>,
    threads_len: usize,
    /// What waits or is being done, for the shutdown to cancel.
    live: Vec<Weak<Job>>,
    /// Each thread holds a sender; disconnected means that all have ended.
    ended: (Sender<()>, Receiver<()>),
}

#[derive(Clone)]
struct Shared {
    out: Sender<(u64, Acted)>,
    wake: Arc<dyn Fn() + Send + Sync>,
    /// Short things that wait or are being done.
    unfinished: Arc<AtomicUsize>,
}

impl Hands {
    /// No thread yet: an idle gateway has none.
    pub fn new(wake: Arc<dyn Fn() + Send + Sync>) -> Self {
        let (out, answers) = bounded(ANSWERS_PER_TURN_MAX);
        Self {
            jobs: bounded(ACTS_QUEUED_MAX),
            shared: Shared {
                out,
                wake,
                unfinished: Arc::default(),
            },
            answers,
            threads_len: 0,
            live: Vec::new(),
            ended: bounded(0),
        }
    }

    /// Begins something, never blocking; the answer comes at once where it cannot be begun.
    pub fn begin(&mut self, ticket: u64, act: Act, cancel: CancelToken) -> Option<Acted> {
        let is_command = matches!(act, Act::Run(_));
        let job = Arc::new(Job {
            ticket,
            act,
            cancel,
        });
        self.live.retain(|job| job.strong_count() > 0);
        self.live.push(Arc::downgrade(&job));
        let begun = match is_command {
            true => {
                let shared = self.shared.clone();
                self.spawn("command", move || shared.perform(&job))
            }
            false => self.queue(job),
        };
        (!begun).then(|| Acted::Failed("the machine is too busy for it; try again later".into()))
    }

    fn queue(&mut self, job: Arc<Job>) -> bool {
        let busy = self.shared.unfinished.load(Ordering::SeqCst);
        if busy >= self.threads_len && self.threads_len < ACTS_AT_ONCE_MAX {
            let (shared, jobs) = (self.shared.clone(), self.jobs.1.clone());
            let work = move || {
                for job in jobs {
                    shared.perform(&job);
                    shared.unfinished.fetch_sub(1, Ordering::SeqCst);
                }
            };
            self.threads_len += usize::from(self.spawn("hand", work));
        }
        let taken = self.threads_len > 0 && self.jobs.0.try_send(job).is_ok();
        if taken {
            self.shared.unfinished.fetch_add(1, Ordering::SeqCst);
        }
        taken
    }

    fn spawn(&self, name: &str, work: impl FnOnce() + Send + 'static) -> bool {
        let ended = self.ended.0.clone();
        let thread = std::thread::Builder::new()
            .name(name.into())
            .stack_size(ACT_STACK_BYTES)
            .spawn(move || {
                work();
                drop(ended);
            });
        thread.is_ok()
    }

    /// What came of something, if there is any.
    pub fn try_answer(&self) -> Option<(u64, Acted)> {
        self.answers.try_recv().ok()
    }

    /// Cancels everything and waits for the threads, at most `time`: commands are killed.
    pub fn stop(self, time: Duration) {
        let Self {
            jobs,
            answers,
            live,
            ended,
            ..
        } = self;
        // Answers that nobody takes any more must not hold a thread up.
        drop(answers);
        drop(jobs);
        for job in live.iter().filter_map(Weak::upgrade) {
            job.cancel.cancel();
        }
        let (held, all) = ended;
        drop(held);
        // Nobody sends: it is over when all threads are, or when the time is.
        let _ = all.recv_deadline(Instant::now() + time);
    }
}

impl Shared {
    fn perform(&self, job: &Job) {
        let mut tell = |acted| self.send(job.ticket, acted);
        let done = catch_unwind(AssertUnwindSafe(|| {
            host::perform(&job.act, &job.cancel, &mut tell)
        }));
        let acted = done.unwrap_or_else(|_| {
            Acted::Failed("it failed by a fault of the gateway itself".to_owned())
        });
        self.send(job.ticket, acted);
    }

    fn send(&self, ticket: u64, acted: Acted) {
        // A loop that is gone wants to know nothing.
        let _ = self.out.send((ticket, acted));
        (self.wake)();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::Order;

    fn hands() -> Hands {
        Hands::new(Arc::new(|| {}))
    }

    fn command(text: &str) -> Act {
        Act::Run(Box::new(Order {
            program: "/bin/sh".into(),
            argv: ["sh", "-c", text].map(str::to_owned).to_vec(),
            folder: "/".into(),
            env: std::collections::BTreeMap::new(),
            timeout_ms: 600_000,
        }))
    }

    fn answer(hands: &Hands) -> (u64, Acted) {
        hands.answers.recv_timeout(Duration::from_secs(60)).unwrap()
    }

    #[test]
    fn many_short_things_are_all_answered_by_a_few_threads() {
        let mut hands = hands();
        let notes = || Act::Notes {
            folder: "/no/such/folder".into(),
            names: &["A"],
        };
        let mut tickets = std::collections::BTreeSet::new();
        for ticket in 0..200 {
            assert_eq!(hands.begin(ticket, notes(), CancelToken::new()), None);
        }
        while tickets.len() < 200 {
            let (ticket, acted) = answer(&hands);
            assert_eq!(acted, Acted::Notes(Vec::new()));
            assert!(tickets.insert(ticket));
        }
        assert!(hands.threads_len <= ACTS_AT_ONCE_MAX);
        hands.stop(Duration::from_secs(60));
    }

    #[test]
    fn the_end_of_the_gateway_kills_its_commands() {
        let mut hands = hands();
        let none = hands.begin(7, command("echo $$; exec sleep 600"), CancelToken::new());
        assert_eq!(none, None);
        let (ticket, printed) = answer(&hands);
        let Acted::Printed(printed) = printed else {
            panic!("{printed:?}");
        };
        assert_eq!(ticket, 7);
        let began = Instant::now();
        hands.stop(Duration::from_secs(60));
        assert!(began.elapsed() < Duration::from_secs(50));
        let stat = format!("/proc/{}/stat", printed.stdout.trim());
        assert!(!std::path::Path::new(&stat).exists(), "it lives");
    }
}
