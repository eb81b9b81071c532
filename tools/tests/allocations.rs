//! The hot path allocates nothing.
#![allow(unsafe_code)] // An allocator cannot be written without.

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

use clawdia::outbox::{Flush, Outbox, Turn};
use clawdia::wire::envelope::write_event;
use support::{Options, Server};

thread_local! {
    static ALLOCATED: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.set(ALLOCATED.get() + 1);
        // SAFETY: as promised to us.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as promised to us.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// What the loop's thread had allocated when the message `count` came.
static COUNTED: AtomicUsize = AtomicUsize::new(0);

#[test]
fn an_echo_allocates_nothing() {
    let on_text = |text: &[u8]| {
        if text == b"count" {
            COUNTED.store(ALLOCATED.get(), Ordering::SeqCst);
        }
    };
    let server = Server::start(Options {
        on_text,
        ..Options::default()
    });
    let mut client = server.open();
    let texts = ["short".to_owned(), "x".repeat(700), "y".repeat(20_000)];
    let mut counts = Vec::new();
    for _ in 0..3 {
        for _ in 0..200 {
            texts.iter().for_each(|text| client.echo(text));
        }
        client.echo("count");
        counts.push(COUNTED.load(Ordering::SeqCst));
    }
    assert_eq!(counts[2] - counts[1], 0);
}

#[test]
fn a_delivery_allocates_nothing() {
    let mut turn = Turn::default();
    let mut outboxes: Vec<Outbox> = (0..100).map(|_| Outbox::default()).collect();
    let mut taken = 0;
    let mut round = |seq| {
        for reply in [false, true] {
            let frame = turn.frame(|w| write_event(w, "tick", true, None, |w| w.u64(7)));
            for outbox in &mut outboxes {
                if reply {
                    outbox.text(&mut turn, |w| w.str("a reply before it"));
                }
                outbox.shared(&mut turn, frame, seq);
                let flushed = outbox.flush(&mut turn, |bytes: &[u8]| {
                    taken += bytes.len();
                    Some(bytes.len())
                });
                assert_eq!(flushed, Flush::Done);
            }
            turn.end();
        }
    };
    round(1);
    let before = ALLOCATED.get();
    (2..50).for_each(&mut round);
    assert_eq!(ALLOCATED.get() - before, 0);
    assert!(taken > 0);
}
