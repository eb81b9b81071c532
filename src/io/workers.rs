//! The worker pool: threads that execute steps of runs, blocking, one step each at a time.
//!
//! Steps wait in one bounded queue, first come first served, so a run with many steps cannot
//! starve another. Threads start when they are needed: an idle gateway has none. Every step that
//! was taken ends in exactly one `Done` or `Failed`, whatever its provider does.

mod sink;

use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded, select};

use self::sink::Sink;
use crate::agent::{
    FailureKind, MODEL_APIS, Providers, Step, StepError, StepEvent, StepOutput, Stop,
};
use crate::limits;

/// What a pool is started with.
pub struct WorkersConfig {
    /// Most threads, and so most steps at a time.
    pub count_max: usize,
    /// Most steps that wait for a thread.
    pub queue_len_max: usize,
    pub providers: Arc<Providers>,
    /// Where the workers write to. If it is full they wait, which slows their providers down.
    pub out: Sender<StepOutput>,
    /// Called after each message, from any thread.
    pub wake: Arc<dyn Fn() + Send + Sync>,
    /// The clock of the steps' deadlines.
    pub mono_ms: Arc<dyn Fn() -> u64 + Send + Sync>,
}

/// Why a step was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// As many steps wait as may.
    QueueFull,
    /// The system gave no thread.
    NoThread,
}

impl Refused {
    /// For the operator whose run it was.
    pub const fn message(self) -> &'static str {
        match self {
            Self::QueueFull => "too many runs are waiting; try again later",
            Self::NoThread => "the system has no thread for the run; try again later",
        }
    }
}

/// The pool. Dropping it cancels what runs and waits a bounded time for the threads.
pub struct Workers {
    jobs: (Sender<Arc<Job>>, Receiver<Arc<Job>>),
    shared: Arc<Shared>,
    providers: Arc<Providers>,
    count_max: usize,
    threads: Vec<JoinHandle<()>>,
    /// The steps that wait or run, for the shutdown to cancel.
    live: Vec<Weak<Job>>,
    stop: Option<Sender<Infallible>>,
    /// Each thread holds a sender; disconnected means that all threads ended.
    ended: (Option<Sender<Infallible>>, Receiver<Infallible>),
}

struct Job {
    step: Step,
    /// Of the time of the submission, so that a changed configuration does not change it.
    providers: Arc<Providers>,
}

/// What all threads of a pool have in common.
struct Shared {
    out: Sender<StepOutput>,
    wake: Arc<dyn Fn() + Send + Sync>,
    mono_ms: Arc<dyn Fn() -> u64 + Send + Sync>,
    /// Disconnected means that the pool stops.
    stop: Receiver<Infallible>,
    /// Steps that wait or run.
    unfinished: AtomicUsize,
    panics: AtomicU64,
}

impl Workers {
    /// A pool without a thread yet.
    pub fn start(config: WorkersConfig) -> Self {
        let (stop_tx, stop) = bounded(0);
        let (ended_tx, ended) = bounded(0);
        Self {
            jobs: bounded(config.queue_len_max.max(1)),
            shared: Arc::new(Shared {
                out: config.out,
                wake: config.wake,
                mono_ms: config.mono_ms,
                stop,
                unfinished: AtomicUsize::new(0),
                panics: AtomicU64::new(0),
            }),
            providers: config.providers,
            count_max: config.count_max.max(1),
            threads: Vec::new(),
            live: Vec::new(),
            stop: Some(stop_tx),
            ended: (Some(ended_tx), ended),
        }
    }

    /// Takes a step, to be executed as soon as a thread is free. Never blocks.
    pub fn submit(&mut self, step: Step) -> Result<(), Refused> {
        let busy = self.shared.unfinished.load(Ordering::SeqCst);
        if busy >= self.threads.len() && self.threads.len() < self.count_max {
            self.add_thread();
        }
        if self.threads.is_empty() {
            return Err(Refused::NoThread);
        }
        let job = Arc::new(Job {
            step,
            providers: Arc::clone(&self.providers),
        });
        let weak = Arc::downgrade(&job);
        self.shared.unfinished.fetch_add(1, Ordering::SeqCst);
        if self.jobs.0.try_send(job).is_err() {
            self.shared.unfinished.fetch_sub(1, Ordering::SeqCst);
            return Err(Refused::QueueFull);
        }
        self.live.retain(|job| job.strong_count() > 0);
        self.live.push(weak);
        Ok(())
    }

    /// The providers of the steps that are submitted from now on.
    pub fn set_providers(&mut self, providers: Arc<Providers>) {
        self.providers = providers;
    }

    /// Steps that panicked since the start.
    pub fn panics(&self) -> u64 {
        self.shared.panics.load(Ordering::SeqCst)
    }

    /// Threads that were started.
    pub fn threads(&self) -> usize {
        self.threads.len()
    }

    /// Cancels all steps and waits for the threads, at most `time`. Returns how many are left;
    /// those end by themselves when their provider returns.
    pub fn shutdown(mut self, time: Duration) -> usize {
        self.stop_all(time)
    }

    fn stop_all(&mut self, time: Duration) -> usize {
        drop(self.stop.take());
        for job in self.live.drain(..).filter_map(|job| job.upgrade()) {
            job.step.cancel.cancel();
        }
        drop(self.ended.0.take());
        let deadline = Instant::now() + time;
        if self.ended.1.recv_deadline(deadline) == Err(RecvTimeoutError::Disconnected) {
            for thread in self.threads.drain(..) {
                // Its panics were caught; there is nothing to learn from the result.
                let _ = thread.join();
            }
        }
        self.threads
            .iter()
            .filter(|thread| !thread.is_finished())
            .count()
    }

    fn add_thread(&mut self) {
        let Some(ended) = self.ended.0.clone() else {
            return;
        };
        let jobs = self.jobs.1.clone();
        let shared = Arc::clone(&self.shared);
        let thread = std::thread::Builder::new()
            .name(format!("worker-{}", self.threads.len()))
            .stack_size(limits::WORKER_STACK_BYTES)
            .spawn(move || {
                shared.work(&jobs);
                drop(ended);
            });
        // Without a new thread the others serve the queue; without any the step is refused.
        self.threads.extend(thread);
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        // After a shutdown there is nothing to wait for a second time.
        if self.stop.is_some() {
            self.stop_all(Duration::from_millis(limits::WORKERS_JOIN_MS));
        }
    }
}

impl Shared {
    /// A thread's life: jobs until the pool stops, then what is left of the queue is failed.
    fn work(&self, jobs: &Receiver<Arc<Job>>) {
        loop {
            select! {
                recv(jobs) -> job => match job {
                    Ok(job) => self.execute(&job),
                    Err(_) => return,
                },
                recv(self.stop) -> _ => break,
            }
        }
        while let Ok(job) = jobs.try_recv() {
            self.execute(&job);
        }
    }

    fn execute(&self, job: &Job) {
        let event = catch_unwind(AssertUnwindSafe(|| self.attempt(job))).unwrap_or_else(|_| {
            self.panics.fetch_add(1, Ordering::SeqCst);
            failed(
                FailureKind::Panic,
                "the step failed by a fault of the gateway itself".to_owned(),
                false,
            )
        });
        job.step.cancel.clear_hook();
        self.send_last(StepOutput {
            tag: job.step.tag,
            event,
        });
        self.unfinished.fetch_sub(1, Ordering::SeqCst);
    }

    /// Runs the step to its last event.
    fn attempt(&self, job: &Job) -> StepEvent {
        let step = &job.step;
        let Some(provider) = job.providers.of_step(step) else {
            let message = format!(
                "the model {} is not configured: models.providers.{} needs a baseUrl and an api, one of {}",
                step.model,
                step.model.provider(),
                MODEL_APIS.join(", ")
            );
            return failed(FailureKind::UnknownModel, message, false);
        };
        let mut sink = Sink::new(step, self);
        if let Err(stop) = sink.started() {
            return stopped(stop);
        }
        let result = provider.step(step, &mut sink);
        let (text, stop) = sink.finish();
        match (result, stop) {
            // Also of a provider that did not heed it.
            (_, Some(stop)) | (Err(StepError::Stopped(stop)), None) => stopped(stop),
            (
                Err(StepError::Failed {
                    kind,
                    message,
                    retryable,
                }),
                None,
            ) => failed(kind, message, retryable),
            (Ok(reply), None) => StepEvent::Done {
                text,
                calls: reply.calls,
                usage: reply.usage,
                stop_reason: reply.stop_reason,
                model: step.model.clone(),
            },
        }
    }

    /// Sends what the core must get, however long it takes to make room, unless the pool stops.
    fn send_last(&self, output: StepOutput) {
        if let Err(TrySendError::Full(output)) = self.out.try_send(output) {
            (self.wake)();
            select! {
                send(self.out, output) -> _ => {}
                recv(self.stop) -> _ => {}
            }
        }
        (self.wake)();
    }

    fn remaining_ms(&self, step: &Step) -> u64 {
        step.deadline_mono_ms.saturating_sub((self.mono_ms)())
    }
}

fn stopped(stop: Stop) -> StepEvent {
    let (kind, message) = match stop {
        Stop::Cancelled => (FailureKind::Cancelled, "the run was aborted"),
        Stop::DeadlinePassed => (FailureKind::Deadline, "the run took longer than it may"),
        Stop::TooLong => (FailureKind::TooLong, "the answer was longer than it may be"),
    };
    failed(kind, message.to_owned(), false)
}

const fn failed(kind: FailureKind, message: String, retryable: bool) -> StepEvent {
    StepEvent::Failed {
        kind,
        message,
        retryable,
    }
}

#[cfg(test)]
mod tests;
