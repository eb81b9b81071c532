//! How often the core asks for memory where it is hot: never, once its buffers have grown.

// An allocator cannot be written without; this one hands everything to the system's.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use clawdia::driver::Driver;
use clawdia::driver::device::Device;
use clawdia::gateway::Input;
use clawdia::ids::ConnId;
use clawdia::limits::{INVOKE_KEYS_MAX, JSON_PADDING_BYTES};

/// Counts what a thread allocates.
struct Counting;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    // A thread that ends has nothing left to count in.
    let _ = COUNT.try_with(|count| count.set(count.get() + 1));
}

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        unsafe { System.alloc(layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count();
        unsafe { System.realloc(ptr, layout, new_size) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A request that arrives again and again.
struct Repeated {
    text: String,
    /// Parsing uses up the message, so each time gets a copy in the same place.
    buffer: Vec<u8>,
}

impl Repeated {
    fn new(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            buffer: vec![0; text.len() + JSON_PADDING_BYTES],
        }
    }

    /// One turn with this request in it; the bytes that all peers are sent.
    fn turn(&mut self, driver: &mut Driver, conn: ConnId) -> usize {
        let mut sent = 0;
        self.turn_into(driver, conn, |bytes| sent += bytes.len());
        sent
    }

    /// One turn with this request in it; `sent` gets what each peer is sent.
    fn turn_into(&mut self, driver: &mut Driver, conn: ConnId, mut sent: impl FnMut(&[u8])) {
        let len = self.text.len();
        self.buffer[..len].copy_from_slice(self.text.as_bytes());
        driver.handle(Input::Text {
            conn,
            padded: &mut self.buffer,
            len,
        });
        while driver.gateway.poll_effect().is_some() {}
        while let Some((_, outbox, turn)) = driver.gateway.poll_dirty() {
            outbox.flush(turn, |bytes: &[u8]| {
                sent(bytes);
                Some(bytes.len())
            });
        }
        driver.gateway.end_turn();
    }

    /// Allocations in 100 turns, after some in which buffers may grow.
    fn allocations(&mut self, driver: &mut Driver, conn: ConnId) -> u64 {
        for _ in 0..10 {
            assert!(self.turn(driver, conn) > 0, "it is answered");
        }
        let before = COUNT.get();
        for _ in 0..100 {
            self.turn(driver, conn);
        }
        COUNT.get() - before
    }
}

#[test]
fn a_health_request_allocates_nothing() {
    let mut driver = Driver::default();
    let operator = driver.operator();
    let mut health =
        Repeated::new(r#"{"type":"req","id":"17","method":"health","params":{"probe":false}}"#);
    assert_eq!(health.allocations(&mut driver, operator), 0);
}

#[test]
fn another_receiver_of_an_event_costs_no_allocation() {
    let per_100_events = |receivers: usize| {
        let mut driver = Driver::default();
        let sender = driver.operator();
        for _ in 1..receivers {
            driver.operator();
        }
        let mut event = Repeated::new(
            r#"{"type":"req","id":"1","method":"talk.mode","params":{"enabled":true}}"#,
        );
        event.allocations(&mut driver, sender)
    };
    assert_eq!(per_100_events(2), per_100_events(150));
}

/// Allocations for one call of a node, under a key of its own, and its result.
fn invoke(driver: &mut Driver, operator: ConnId, node: ConnId, node_id: &str, number: u64) -> u64 {
    let mut call = Repeated::new(&format!(
        r#"{{"type":"req","id":"i{number}","method":"node.invoke","params":{{"nodeId":"{node_id}","command":"system.which","params":{{"bins":["bash"]}},"idempotencyKey":"key-{number:08}"}}}}"#
    ));
    let mut asked = Vec::with_capacity(4096);
    let before = COUNT.get();
    call.turn_into(driver, operator, |bytes| asked.extend_from_slice(bytes));
    let for_call = COUNT.get() - before;

    let asked = String::from_utf8_lossy(&asked);
    let id = asked.split(r#""id":""#).nth(1).unwrap();
    let id = id.split('"').next().unwrap();
    let mut result = Repeated::new(&format!(
        r#"{{"type":"req","id":"r","method":"node.invoke.result","params":{{"id":"{id}","nodeId":"{node_id}","ok":true,"payloadJSON":"{{\"bins\":{{}}}}"}}}}"#
    ));
    let before = COUNT.get();
    assert!(result.turn(driver, node) > 0);
    for_call + COUNT.get() - before
}

#[test]
fn a_call_of_a_node_costs_four_allocations_at_most() {
    let mut driver = Driver::default();
    let operator = driver.operator();
    let device = Device::new(7);
    let node = driver.node(&device, &["system.which"]);
    let mut per_1000_calls = |from: u64| -> u64 {
        (from..from + 1_000)
            .map(|number| invoke(&mut driver, operator, node, &device.id, number))
            .sum()
    };
    // Until the remembered keys take each other's place.
    let mut number = 0;
    while number <= INVOKE_KEYS_MAX as u64 {
        per_1000_calls(number);
        number += 1_000;
    }
    let allocations = per_1000_calls(number);
    assert!(allocations <= 4_000, "{allocations} in 1,000 calls");
}

#[test]
fn the_counter_counts() {
    let before = COUNT.get();
    drop(std::hint::black_box(vec![1u8; 100]));
    assert_eq!(COUNT.get() - before, 1);
}
