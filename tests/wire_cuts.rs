//! However the bytes were cut, what is understood is the same.

mod wire_support;

use clawdia::wire::frame::Opcode::{Binary, Close, Continuation, Ping, Pong, Text};
use clawdia::wire::message::MessageLimits;
use wire_support::{LIMITS, Rng, Said, Talk, fragment, frame};

/// Frames of all kinds, mostly good, with a broken byte now and then.
fn conversation(rng: &mut Rng) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..1 + rng.below(12) {
        let len = [0, 3, 64, 125, 126, 400, 5_000][rng.below(7)];
        match rng.below(10) {
            0..=3 => bytes.extend(frame(Text, "wörter ".repeat(len / 8).as_bytes())),
            4 => bytes.extend(frame(Binary, &rng.bytes(len))),
            5 => bytes.extend(frame(Ping, &rng.bytes(len.min(125)))),
            6 => bytes.extend(frame(Pong, b"")),
            7 => {
                bytes.extend(fragment(Text, "é".repeat(len / 2).as_bytes()));
                bytes.extend(frame(Ping, b"between"));
                bytes.extend(frame(Continuation, "è".repeat(len / 3).as_bytes()));
            }
            8 => {
                let len = [0, 1, 2, 9][rng.below(4)];
                bytes.extend(frame(Close, &rng.bytes(len)));
            }
            _ => bytes.extend(fragment([Text, Binary, Continuation][rng.below(3)], b"x")),
        }
    }
    if rng.below(3) == 0 {
        let at = rng.below(bytes.len());
        bytes[at] ^= 1 << rng.below(8);
    }
    bytes
}

fn cut_at_random(bytes: &[u8], limits: MessageLimits, rng: &mut Rng) -> Vec<Said> {
    let mut talk = Talk::new(limits);
    let mut said = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let longest = [3, 20, 600][rng.below(3)];
        let (piece, behind) = rest.split_at((1 + rng.below(longest)).min(rest.len()));
        said.extend(talk.feed(piece));
        rest = behind;
    }
    said
}

#[test]
fn the_items_do_not_depend_on_the_cuts() {
    let limits = MessageLimits {
        bytes_max: 8_000,
        ..LIMITS
    };
    for seed in 0..1_500 {
        let mut rng = Rng::new(seed);
        let bytes = conversation(&mut rng);
        let whole = Talk::new(limits).feed(&bytes);
        // After a close frame nobody listens any more; the loop stops there.
        let whole = until_close(whole);
        assert_eq!(
            until_close(Talk::new(limits).feed_cut(&bytes, 1)),
            whole,
            "seed {seed}"
        );
        for _ in 0..3 {
            assert_eq!(
                until_close(cut_at_random(&bytes, limits, &mut rng)),
                whole,
                "seed {seed}"
            );
        }
    }
}

fn until_close(mut said: Vec<Said>) -> Vec<Said> {
    if let Some(at) = said.iter().position(|said| matches!(said, Said::Close(_))) {
        said.truncate(at + 1);
    }
    said
}
