//! What the wire's pure parts cost: frames in, envelopes parsed, events out.

use std::hint::black_box;

use clawdia::conn::{Conn, Input, Item};
use clawdia::limits::{JSON_PADDING_BYTES, RECEIVE_BUFFER_BYTES};
use clawdia::outbox::{Outbox, Turn};
use clawdia::wire::envelope::{Parser, write_event};
use clawdia::wire::frame::{self, Opcode};
use clawdia::wire::mask::unmask;
use clawdia::wire::message::{MessageLimits, Pool};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};

const LIMITS: MessageLimits = MessageLimits {
    bytes_max: 1 << 20,
    binary: true,
    checks_whole_text: true,
};

fn masked_frame(len: usize) -> Vec<u8> {
    let (head, head_len) = frame::encode(Opcode::Text, len);
    let mut bytes = head[..head_len].to_vec();
    bytes[1] |= 0x80;
    bytes.extend([1, 2, 3, 4]);
    let start = bytes.len();
    bytes.extend(vec![b'a'; len]);
    unmask(&mut bytes[start..], [1, 2, 3, 4]);
    bytes
}

fn decode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decode and unmask");
    for len in [64, 1_024, 16_384] {
        let bytes = masked_frame(len);
        group.throughput(Throughput::Bytes(len as u64));
        group.bench_function(format!("{len} bytes"), |bencher| {
            let mut conn = Conn::default();
            conn.open();
            let mut pool = Pool::default();
            let mut buffer = vec![0; RECEIVE_BUFFER_BYTES + JSON_PADDING_BYTES];
            bencher.iter(|| {
                buffer[..bytes.len()].copy_from_slice(&bytes);
                let mut input = Input::new(&mut buffer, bytes.len());
                let item = conn.poll(&mut input, &LIMITS, &mut pool);
                assert!(matches!(item, Ok(Some(Item::Message { .. }))));
            });
        });
    }
    group.finish();
}

fn parse(criterion: &mut Criterion) {
    let text = br#"{"type":"req","id":"7","method":"node.invoke","params":{"nodeId":"a1b2","command":"camera.snap","params":{"facing":"front","quality":0.8},"timeoutMs":15000,"idempotencyKey":"0d9e4e9e"}}"#;
    criterion.bench_function("parse an envelope", |bencher| {
        let mut parser = Parser::default();
        let mut padded = text.to_vec();
        padded.extend([0; JSON_PADDING_BYTES]);
        bencher.iter_batched_ref(
            || padded.clone(),
            |padded| {
                let document = parser.parse(padded, text.len()).expect("good JSON");
                black_box(document.root());
                parser.recycle(document);
            },
            BatchSize::SmallInput,
        );
    });
}

fn fan_out(criterion: &mut Criterion) {
    const RECEIVERS: usize = 1_000;
    let mut group = criterion.benchmark_group("encode an event and deliver it");
    group.throughput(Throughput::Elements(RECEIVERS as u64));
    group.bench_function("1000 receivers", |bencher| {
        let mut turn = Turn::default();
        let mut outboxes: Vec<Outbox> = (0..RECEIVERS).map(|_| Outbox::default()).collect();
        let mut seq = 0;
        bencher.iter(|| {
            seq += 1;
            let text = "x".repeat(200);
            let frame = turn.frame(|w| write_event(w, "chat", true, None, |w| w.str(&text)));
            for outbox in &mut outboxes {
                outbox.shared(&mut turn, frame, seq);
                outbox.flush(&mut turn, |bytes| Some(black_box(bytes).len()));
            }
            turn.end();
        });
    });
    group.finish();
}

criterion_group!(benches, decode, parse, fan_out);
criterion_main!(benches);
