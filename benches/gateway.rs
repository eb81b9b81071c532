//! What the core costs: a connection with its proof, a method from bytes to bytes, an event to a fleet, a batch of
//! the store.

use clawdia::driver::device::{Device, Proof};
use clawdia::driver::{Address, Driver, masked, operator_params};
use clawdia::io::store;
use clawdia::state::{Message, Record};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use serde_json::json;
use std::hint::black_box;
use std::sync::Arc;

/// From the frame of a request to that of its answer. The driver's own part, which reads the answer as JSON, is in it.
fn dispatch(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("dispatch a method");
    for (name, method) in [("health", "health"), ("an unknown one", "no.such")] {
        group.bench_function(name, |bencher| {
            let mut driver = Driver::default();
            let operator = driver.operator();
            let request = json!({"type": "req", "id": "1", "method": method}).to_string();
            let frame = masked(1, request.as_bytes(), [1, 2, 3, 4]);
            bencher.iter(|| {
                driver.feed(operator, &frame);
                driver.turn();
                // Refused calls in a row would close the connection.
                if method != "health" {
                    driver.ok(operator, "health", json!({}));
                }
                black_box(driver.messages(operator));
            });
        });
    }
    group.finish();
}

/// Upgrade, challenge, signature, hello.
fn connect(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("connect");
    group.bench_function("with a device's proof", |bencher| {
        let device = Device::new(1);
        let mut driver = Driver::default();
        driver.operator();
        bencher.iter(|| {
            let conn = driver.open(&Address::default());
            let hello = driver.connect(conn, operator_params(), Some((&device, Proof::V2)));
            assert_eq!(hello["ok"], true);
            driver.hang_up(conn);
            driver.settle();
        });
    });
    group.finish();
}

/// One transaction with a full sync would measure the disk: the database is in memory here.
fn store(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("store a batch in memory");
    for len in [1, 10, 100] {
        group.throughput(Throughput::Elements(len as u64));
        group.bench_function(format!("{len} messages"), |bencher| {
            let records = |_| Record::MessageAppend {
                session_id: "id".into(),
                message: Arc::new(Message {
                    ts: 1,
                    role: "user".into(),
                    body: r#"{"role":"user","content":"hello"}"#.into(),
                }),
            };
            let batch: Vec<Record> = (0..len).map(records).collect();
            bencher.iter_batched(
                || vec![batch.clone()],
                |batches| black_box(store::replay(&batches).expect("stored")),
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, dispatch, connect, store);
criterion_main!(benches);
