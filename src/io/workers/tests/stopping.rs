//! Aborts, deadlines and the shutdown.

use std::io::Read;
use std::net::{Shutdown, TcpListener, TcpStream};

use super::*;

#[test]
fn an_abort_ends_a_waiting_step_within_100_ms() {
    let mut times: Vec<Duration> = (0..21)
        .map(|run| {
            let mut pool = pool(slow);
            let step = step(run);
            let cancel = step.cancel.clone();
            pool.workers.submit(step).unwrap();
            assert_eq!(pool.next().1, StepEvent::Started);
            assert!(matches!(pool.next().1, StepEvent::Delta(_)));
            let start = Instant::now();
            cancel.cancel();
            assert_eq!(kind(&pool.next().1), Some(FailureKind::Cancelled));
            start.elapsed()
        })
        .collect();
    times.sort();
    assert!(
        times[times.len() / 2] < Duration::from_millis(100),
        "{times:?}"
    );
}

#[test]
fn an_abort_shuts_the_connection_of_a_step_that_reads() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut pool = pool(move |step, out| {
        let mut stream = TcpStream::connect(address).expect("the listener below");
        let handle = stream.try_clone().expect("a second handle");
        step.cancel
            .on_cancel(move || drop(handle.shutdown(Shutdown::Both)));
        out.delta("connected")?;
        let mut byte = [0];
        assert_eq!(stream.read(&mut byte).unwrap_or(0), 0, "nobody ever writes");
        out.delta("never said")?;
        Ok(())
    });
    let step = step(1);
    let cancel = step.cancel.clone();
    pool.workers.submit(step).unwrap();
    let _peer = listener.accept().unwrap();
    assert_eq!(pool.next().1, StepEvent::Started);
    assert_eq!(pool.next().1, StepEvent::Delta("connected".to_owned()));
    cancel.cancel();
    assert_eq!(kind(&pool.next().1), Some(FailureKind::Cancelled));
}

#[test]
fn a_step_ends_at_its_deadline() {
    let clock = Arc::new(AtomicU64::new(0));
    let in_step = Arc::clone(&clock);
    let mut pool = pool(move |_, out| {
        out.delta("in time")?;
        in_step.store(1_000, Ordering::SeqCst);
        out.delta("late")?;
        Ok(())
    });
    let shared = Arc::get_mut(&mut pool.workers.shared).unwrap();
    shared.mono_ms = Arc::new(move || clock.load(Ordering::SeqCst));
    pool.workers
        .submit(Step {
            deadline_mono_ms: 1_000,
            ..step(1)
        })
        .unwrap();
    assert_eq!(pool.next().1, StepEvent::Started);
    assert_eq!(pool.next().1, StepEvent::Delta("in time".to_owned()));
    assert_eq!(kind(&pool.next().1), Some(FailureKind::Deadline));
}

#[test]
fn a_pause_does_not_pass_the_deadline() {
    let mut pool = pool(|_, out| {
        let left = out.remaining_ms();
        let start = Instant::now();
        // The clock of this pool stands still, so only the bound of the wait ends it.
        out.pause(FAR_MS)?;
        assert!(left == 20 && start.elapsed() < LONG);
        Ok(())
    });
    pool.workers
        .submit(Step {
            deadline_mono_ms: 20,
            ..step(1)
        })
        .unwrap();
    assert!(matches!(pool.last().1, StepEvent::Done { .. }));
    assert_eq!(pool.workers.panics(), 0);
}

#[test]
fn a_step_whose_time_ran_out_in_the_queue_does_not_start() {
    let mut pool = pool(slow);
    pool.mono_ms.store(5, Ordering::SeqCst);
    pool.workers
        .submit(Step {
            deadline_mono_ms: 5,
            ..step(1)
        })
        .unwrap();
    assert_eq!(kind(&pool.next().1), Some(FailureKind::Deadline));
}

#[test]
fn a_step_that_is_cancelled_while_it_waits_never_starts() {
    let mut pool = pool(slow);
    let (first, second) = (step(1), step(2));
    let (cancel_first, cancel_second) = (first.cancel.clone(), second.cancel.clone());
    pool.workers.submit(first).unwrap();
    pool.workers.submit(second).unwrap();
    cancel_second.cancel();
    cancel_first.cancel();
    let mut events: Vec<(u64, StepEvent)> = Vec::new();
    while events.iter().filter(|(_, event)| is_last(event)).count() < 2 {
        events.push(pool.next());
    }
    assert!(!events.contains(&(2, StepEvent::Started)));
}

#[test]
fn a_provider_that_does_not_heed_the_stop_is_not_believed() {
    let mut pool = pool(|step, out| {
        step.cancel.cancel();
        let _ = out.delta("more");
        Ok(())
    });
    pool.workers.submit(step(1)).unwrap();
    assert_eq!(kind(&pool.last().1), Some(FailureKind::Cancelled));
}

#[test]
fn a_step_that_the_core_does_not_listen_to_can_still_be_aborted() {
    let (told_tx, told) = bounded(1);
    let mut pool = pool_of(1, 8, bounded(1), move |_, out| {
        let end = out.delta("does not fit");
        let _ = told_tx.send(end);
        Ok(end?)
    });
    let step = step(1);
    let cancel = step.cancel.clone();
    pool.workers.submit(step).unwrap();
    // The second wake-up announces that the worker waits for room.
    while pool.woken.load(Ordering::SeqCst) < 2 {
        std::thread::yield_now();
    }
    cancel.cancel();
    assert_eq!(told.recv_timeout(LONG), Ok(Err(Stop::Cancelled)));
    assert_eq!(kind(&pool.last().1), Some(FailureKind::Cancelled));
}

#[test]
fn an_abort_after_the_end_touches_nothing() {
    let shut = Arc::new(AtomicUsize::new(0));
    let hook = Arc::clone(&shut);
    let mut pool = pool(move |step, _| {
        let hook = Arc::clone(&hook);
        step.cancel
            .on_cancel(move || _ = hook.fetch_add(1, Ordering::SeqCst));
        Ok(())
    });
    let step = step(1);
    let cancel = step.cancel.clone();
    pool.workers.submit(step).unwrap();
    assert!(matches!(pool.last().1, StepEvent::Done { .. }));
    cancel.cancel();
    assert_eq!(shut.load(Ordering::SeqCst), 0);
}

#[test]
fn the_shutdown_cancels_what_runs_and_what_waits() {
    let mut pool = pool(slow);
    for run in 1..4 {
        pool.workers.submit(step(run)).unwrap();
    }
    assert_eq!(pool.next(), (1, StepEvent::Started));
    let Pool { workers, out, .. } = pool;
    assert_eq!(workers.shutdown(LONG), 0);
    let ends: Vec<u64> = out
        .iter()
        .filter(|output| is_last(&output.event))
        .map(|output| output.tag.run)
        .collect();
    assert_eq!(
        ends,
        [1, 2, 3],
        "each ends once, and then all senders are gone"
    );
}

#[test]
fn the_shutdown_does_not_wait_for_ever() {
    let (open, gate) = bounded::<()>(0);
    let mut pool = pool(move |_, _| {
        let _ = gate.recv();
        Ok(())
    });
    pool.workers.submit(step(1)).unwrap();
    assert_eq!(pool.next(), (1, StepEvent::Started));
    let Pool { workers, out, .. } = pool;
    assert_eq!(workers.shutdown(Duration::from_millis(10)), 1);
    drop(open);
    let ends = out.iter().filter(|output| is_last(&output.event)).count();
    assert_eq!(ends, 1);
}

#[test]
fn a_dropped_pool_ends_its_threads_even_if_nobody_reads() {
    let mut pool = pool_of(2, 8, bounded(1), slow);
    for run in 1..5 {
        pool.workers.submit(step(run)).unwrap();
    }
    let Pool { workers, out, .. } = pool;
    drop(workers);
    // Ends when the last sender is gone.
    assert!(out.iter().count() <= 1);
}
