mod stopping;

use crossbeam_channel::unbounded;

use super::*;
use crate::agent::builtin::{self, Builtin};
use crate::agent::{
    CancelToken, ChatMessage, Facts, ModelInfo, ModelRef, Provider, Reply, RunTag, Speaker,
    StepSink, StopReason, Thinking, Usage,
};

const LONG: Duration = Duration::from_secs(60);
const FAR_MS: u64 = 3_600_000;

/// A provider made of a function.
struct Scripted<F>(F);

impl<F> Provider for Scripted<F>
where
    F: Fn(&Step, &mut dyn StepSink) -> Result<(), StepError> + Send + Sync,
{
    fn name(&self) -> &str {
        "scripted"
    }

    fn models(&self) -> Vec<ModelInfo> {
        Vec::new()
    }

    fn step(&self, step: &Step, out: &mut dyn StepSink) -> Result<Reply, StepError> {
        (self.0)(step, out)?;
        Ok(Reply {
            calls: Vec::new(),
            usage: Usage::default(),
            stop_reason: StopReason::Stop,
        })
    }
}

struct Pool {
    workers: Workers,
    out: Receiver<StepOutput>,
    woken: Arc<AtomicUsize>,
    mono_ms: Arc<AtomicU64>,
}

fn pool_of(
    count_max: usize,
    queue_len_max: usize,
    channel: (Sender<StepOutput>, Receiver<StepOutput>),
    script: impl Fn(&Step, &mut dyn StepSink) -> Result<(), StepError> + Send + Sync + 'static,
) -> Pool {
    let mut providers = Providers::new();
    providers.add(Arc::new(Builtin::new(1)));
    providers.add(Arc::new(Scripted(script)));
    let woken = Arc::new(AtomicUsize::new(0));
    let mono_ms = Arc::new(AtomicU64::new(0));
    let (wake_count, clock) = (Arc::clone(&woken), Arc::clone(&mono_ms));
    let workers = Workers::start(WorkersConfig {
        count_max,
        queue_len_max,
        providers: Arc::new(providers),
        out: channel.0,
        wake: Arc::new(move || {
            wake_count.fetch_add(1, Ordering::SeqCst);
        }),
        mono_ms: Arc::new(move || clock.load(Ordering::SeqCst)),
    });
    Pool {
        workers,
        out: channel.1,
        woken,
        mono_ms,
    }
}

fn pool(
    script: impl Fn(&Step, &mut dyn StepSink) -> Result<(), StepError> + Send + Sync + 'static,
) -> Pool {
    pool_of(1, 8, unbounded(), script)
}

fn step(run: u64) -> Step {
    Step {
        tag: RunTag { run, generation: 1 },
        model: ModelRef::new("scripted", "any"),
        endpoint: None,
        system_prompt: "".into(),
        messages: vec![ChatMessage {
            speaker: Speaker::User,
            text: "uptime".into(),
            images: Vec::new(),
            unix_ms: 0,
        }],
        tools: Arc::default(),
        thinking: Thinking::Off,
        session_key: "agent:main:main".into(),
        facts: Arc::new(Facts::default()),
        deadline_mono_ms: FAR_MS,
        cancel: CancelToken::new(),
        seed: 0,
    }
}

impl Pool {
    fn next(&self) -> (u64, StepEvent) {
        let output = self.out.recv_timeout(LONG).expect("an event of a step");
        (output.tag.run, output.event)
    }

    fn last(&self) -> (u64, StepEvent) {
        loop {
            let (run, event) = self.next();
            if is_last(&event) {
                return (run, event);
            }
        }
    }
}

fn is_last(event: &StepEvent) -> bool {
    matches!(event, StepEvent::Done { .. } | StepEvent::Failed { .. })
}

fn kind(event: &StepEvent) -> Option<FailureKind> {
    match event {
        StepEvent::Failed { kind, .. } => Some(*kind),
        _ => None,
    }
}

/// Writes one word, then waits for an hour.
fn slow(_: &Step, out: &mut dyn StepSink) -> Result<(), StepError> {
    out.delta("word")?;
    out.pause(FAR_MS)?;
    Ok(())
}

#[test]
fn a_step_starts_streams_and_ends() {
    let mut pool = pool(|_, out| {
        out.delta("Hello")?;
        out.delta("")?;
        out.delta(" there")?;
        Ok(())
    });
    assert_eq!(pool.workers.threads(), 0, "an idle pool has no thread");
    pool.workers.submit(step(7)).unwrap();
    assert_eq!(pool.next(), (7, StepEvent::Started));
    assert_eq!(pool.next(), (7, StepEvent::Delta("Hello".to_owned())));
    assert_eq!(pool.next(), (7, StepEvent::Delta(" there".to_owned())));
    let (_, done) = pool.next();
    assert!(matches!(done, StepEvent::Done { text, .. } if text == "Hello there"));
    assert_eq!(pool.workers.threads(), 1);
    assert_eq!(pool.workers.shutdown(LONG), 0);
    assert_eq!(
        pool.woken.load(Ordering::SeqCst),
        4,
        "the core is woken for each event"
    );
}

#[test]
fn the_built_in_agent_streams_like_any_other_provider() {
    let mut pool = pool(slow);
    let model = ModelRef::new(builtin::PROVIDER, builtin::MODEL);
    pool.workers
        .submit(Step {
            model: model.clone(),
            ..step(1)
        })
        .unwrap();
    let mut text = String::new();
    loop {
        match pool.next().1 {
            StepEvent::Started => {}
            StepEvent::Delta(piece) => text.push_str(&piece),
            StepEvent::Done {
                text: whole,
                model: used,
                ..
            } => {
                assert_eq!((whole, used), (text, model));
                return;
            }
            StepEvent::Failed { message, .. } => panic!("{message}"),
        }
    }
}

#[test]
fn a_panic_fails_its_step_alone_and_its_words_go_nowhere() {
    let mut pool = pool(|step, out| {
        out.delta("so far")?;
        assert!(step.tag.run != 1, "private words");
        Ok(())
    });
    pool.workers.submit(step(1)).unwrap();
    pool.workers.submit(step(2)).unwrap();
    let (run, event) = pool.last();
    assert_eq!((run, kind(&event)), (1, Some(FailureKind::Panic)));
    assert!(!format!("{event:?}").contains("private"));
    assert!(
        matches!(pool.last(), (2, StepEvent::Done { .. })),
        "the same thread goes on"
    );
    assert_eq!((pool.workers.panics(), pool.workers.threads()), (1, 1));
}

#[test]
fn a_full_queue_refuses_and_what_was_taken_is_served_in_order() {
    let (open, gate) = bounded::<()>(0);
    let mut pool = pool_of(1, 2, unbounded(), move |_, _| {
        let _ = gate.recv();
        Ok(())
    });
    pool.workers.submit(step(1)).unwrap();
    assert_eq!(pool.next(), (1, StepEvent::Started));
    pool.workers.submit(step(2)).unwrap();
    pool.workers.submit(step(3)).unwrap();
    assert_eq!(pool.workers.submit(step(4)), Err(Refused::QueueFull));
    drop(open);
    let served: Vec<u64> = (0..3).map(|_| pool.last().0).collect();
    assert_eq!(served, [1, 2, 3]);
    let shared = Arc::clone(&pool.workers.shared);
    assert_eq!(pool.workers.shutdown(LONG), 0);
    assert_eq!(
        shared.unfinished.load(Ordering::SeqCst),
        0,
        "a refused step is not counted"
    );
}

#[test]
fn steps_run_side_by_side_up_to_the_bound() {
    let (meet_tx, meet) = bounded::<()>(0);
    // Two steps can only end by meeting each other.
    let mut pool = pool_of(2, 8, unbounded(), move |step, _| {
        if step.tag.run.is_multiple_of(2) {
            let _ = meet_tx.send(());
        } else {
            let _ = meet.recv();
        }
        Ok(())
    });
    for run in 0..6 {
        pool.workers.submit(step(run)).unwrap();
    }
    for _ in 0..6 {
        assert!(matches!(pool.last().1, StepEvent::Done { .. }));
    }
    assert_eq!(pool.workers.threads(), 2);
}

#[test]
fn an_endless_answer_is_cut_at_its_bound() {
    let mut pool = pool(|_, out| {
        let piece = "x".repeat(64 * 1024);
        loop {
            out.delta(&piece)?;
        }
    });
    pool.workers.submit(step(1)).unwrap();
    assert_eq!(kind(&pool.last().1), Some(FailureKind::TooLong));
}

#[test]
fn an_unknown_provider_is_named_with_what_it_needs() {
    let mut pool = pool(slow);
    pool.workers
        .submit(Step {
            model: ModelRef::new("nobody", "x"),
            ..step(1)
        })
        .unwrap();
    let StepEvent::Failed { kind, message, .. } = pool.last().1 else {
        panic!("a failure")
    };
    assert_eq!(kind, FailureKind::UnknownModel);
    assert!(
        message.contains("models.providers.nobody") && message.contains("openai-completions"),
        "{message}"
    );
}

#[test]
fn every_step_ends_exactly_once() {
    let mut pool = pool_of(3, 64, unbounded(), |step, out| {
        out.delta("a")?;
        match step.tag.run % 4 {
            0 => step.cancel.cancel(),
            1 => panic!("on purpose"),
            2 => {
                return Err(StepError::Failed {
                    kind: FailureKind::Network,
                    message: "cut".to_owned(),
                    retryable: true,
                });
            }
            _ => {}
        }
        out.delta("b")?;
        Ok(())
    });
    for run in 0..64 {
        pool.workers.submit(step(run)).unwrap();
    }
    let mut ends: Vec<u64> = (0..64).map(|_| pool.last().0).collect();
    ends.sort_unstable();
    assert!(ends.into_iter().eq(0..64));
    let Pool { workers, out, .. } = pool;
    assert_eq!((workers.panics(), workers.shutdown(LONG)), (16, 0));
    assert!(out.is_empty());
}
