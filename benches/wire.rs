//! What the wire's pure parts cost: frames in, envelopes parsed, events out.

use std::hint::black_box;

use clawdia::conn::{Conn, Input, Item};
use clawdia::limits::{JSON_PADDING_BYTES, RECEIVE_BUFFER_BYTES};
use clawdia::outbox::{Outbox, Turn};
use clawdia::wire::envelope::{Parser, request, write_event, write_response};
use clawdia::wire::frame::{self, Opcode};
use clawdia::wire::json::Writer;
use clawdia::wire::mask::unmask;
use clawdia::wire::message::{MessageLimits, Pool};
use clawdia::wire::utf8::Utf8;
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
    for len in [64, 1_024, 16_384, 65_536, 1 << 20] {
        let bytes = masked_frame(len);
        group.throughput(Throughput::Bytes(len as u64));
        group.bench_function(format!("{len} bytes"), |bencher| {
            let mut conn = Conn::default();
            conn.open();
            let mut pool = Pool::default();
            let mut buffer = vec![0; RECEIVE_BUFFER_BYTES + JSON_PADDING_BYTES];
            bencher.iter(|| {
                let mut messages = 0;
                // What is longer than the buffer arrives in pieces, as from a socket.
                for piece in bytes.chunks(RECEIVE_BUFFER_BYTES / 2) {
                    let held = conn.refill(&mut buffer);
                    buffer[held..held + piece.len()].copy_from_slice(piece);
                    let mut input = Input::new(&mut buffer, held + piece.len());
                    while let Some(item) =
                        conn.poll(&mut input, &LIMITS, &mut pool).expect("frames")
                    {
                        assert!(matches!(
                            item,
                            Item::Message { .. } | Item::Assembled { .. }
                        ));
                        messages += 1;
                    }
                    conn.keep_rest(&input, &mut pool);
                }
                assert_eq!(messages, 1);
            });
        });
    }
    group.finish();
}

/// The mask's own pass notices ASCII; this is what a text of other letters pays besides.
fn utf8(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("check UTF-8");
    for (name, letter) in [("ASCII", "a"), ("Greek", "\u{3b1}"), ("emoji", "\u{1f600}")] {
        let text = letter.repeat(65_536 / letter.len());
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(format!("64 KiB of {name}"), |bencher| {
            bencher.iter(|| Utf8::default().push(black_box(text.as_bytes())));
        });
    }
    group.finish();
}

fn write(criterion: &mut Criterion) {
    let quoted = "a \"quoted\" text\nof two lines, ".repeat(8);
    criterion.bench_function("write a response", |bencher| {
        let mut out = Vec::new();
        bencher.iter(|| {
            out.clear();
            write_response(&mut Writer::new(&mut out), "42", |w| {
                w.object(|w| {
                    w.field_bool("ok", true);
                    w.field_u64("ts", black_box(1_795_000_000_000));
                    w.field_str("text", black_box(&quoted));
                });
            });
            black_box(out.len())
        });
    });
}

fn parse(criterion: &mut Criterion) {
    let text = br#"{"type":"req","id":"7","method":"node.invoke","params":{"nodeId":"a1b2","command":"camera.snap","params":{"facing":"front","quality":0.8},"timeoutMs":15000,"idempotencyKey":"0d9e4e9e"}}"#;
    criterion.bench_function("parse and route an envelope", |bencher| {
        let mut parser = Parser::default();
        let mut padded = text.to_vec();
        padded.extend([0; JSON_PADDING_BYTES]);
        bencher.iter_batched_ref(
            || padded.clone(),
            |padded| {
                let document = parser.parse(padded, text.len()).expect("good JSON");
                // Route: type, id and method are read, the parameters are left as they are.
                let root = document.root().expect("a document has a root");
                black_box(request(root).is_ok());
                parser.recycle(document);
            },
            BatchSize::SmallInput,
        );
    });
}

fn fan_out(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("encode an event and deliver it");
    for receivers in [1, 100, 1_000, 10_000] {
        group.throughput(Throughput::Elements(receivers as u64));
        group.bench_function(format!("{receivers} receivers"), |bencher| {
            let mut turn = Turn::default();
            let mut outboxes: Vec<Outbox> = (0..receivers).map(|_| Outbox::default()).collect();
            let mut seq = 0;
            bencher.iter(|| {
                seq += 1;
                let text = "x".repeat(200);
                let frame = turn.frame(|w| write_event(w, "chat", true, None, |w| w.str(&text)));
                for outbox in &mut outboxes {
                    outbox.shared(&mut turn, frame, seq);
                    outbox.flush(&mut turn, |bytes: &[u8]| Some(black_box(bytes).len()));
                }
                turn.end();
            });
        });
    }
    group.finish();
}

criterion_group!(benches, decode, utf8, parse, write, fan_out);
criterion_main!(benches);
