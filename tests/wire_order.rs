//! Order on the wire is order of enqueueing, however replies, events, turns and short writes mix.

mod wire_support;

use clawdia::outbox::{Flush, Outbox, SharedFrame, Turn};
use clawdia::wire::envelope::write_event;
use clawdia::wire::frame::Opcode;
use wire_support::Rng;

/// One receiver: what was queued for it, and what came.
#[derive(Default)]
struct Receiver {
    outbox: Outbox,
    wire: Vec<u8>,
    expected: Vec<String>,
    seq: u64,
}

impl Receiver {
    fn flush(&mut self, turn: &mut Turn, rng: &mut Rng, everything: bool) -> Flush {
        let wire = &mut self.wire;
        self.outbox.flush(turn, |bytes: &[u8]| {
            let taken = match rng.below(4) {
                _ if everything => bytes.len(),
                0 => 0,
                1 => bytes.len(),
                _ => rng.below(bytes.len() + 1),
            };
            wire.extend_from_slice(&bytes[..taken]);
            Some(taken)
        })
    }

    /// What came, frame by frame, without the blanks before numbers.
    fn received(&self) -> Vec<String> {
        let mut rest = &self.wire[..];
        let mut frames = Vec::new();
        while let [_, short, behind @ ..] = rest {
            let (len, behind) = match short {
                126 => (
                    usize::from(u16::from_be_bytes([behind[0], behind[1]])),
                    &behind[2..],
                ),
                len => (usize::from(*len), behind),
            };
            let (payload, next) = behind.split_at(len);
            frames.push(
                String::from_utf8(payload.to_vec())
                    .unwrap()
                    .replace(' ', ""),
            );
            rest = next;
        }
        frames
    }
}

fn event(turn: &mut Turn, number: u64) -> SharedFrame {
    turn.frame(|w| write_event(w, "e", true, None, |w| w.u64(number)))
}

#[test]
fn every_interleaving_keeps_the_order() {
    for seed in 0..3_000 {
        let mut rng = Rng::new(seed);
        let mut turn = Turn::default();
        let mut receivers: Vec<Receiver> = (0..3).map(|_| Receiver::default()).collect();
        let mut number = 0;
        for _ in 0..1 + rng.below(8) {
            for _ in 0..rng.below(7) {
                number += 1;
                let reply = format!("{number}:{}", "r".repeat(rng.below(200)));
                let one = rng.below(3);
                match rng.below(3) {
                    0 => {
                        let frame = event(&mut turn, number);
                        for receiver in receivers.iter_mut().skip(one) {
                            receiver.seq += 1;
                            receiver.outbox.shared(&mut turn, frame, receiver.seq);
                            let text = r#"{"type":"event","event":"e","payload":"#;
                            let seq = receiver.seq;
                            receiver
                                .expected
                                .push(format!(r#"{text}{number},"seq":{seq}}}"#));
                        }
                    }
                    1 => {
                        receivers[one].outbox.frame(
                            &mut turn,
                            Opcode::Text as u8,
                            reply.as_bytes(),
                        );
                        receivers[one].expected.push(reply);
                    }
                    _ => {
                        receivers[one].outbox.text(&mut turn, |w| w.str(&reply));
                        receivers[one].expected.push(format!("\"{reply}\""));
                    }
                }
            }
            for receiver in &mut receivers {
                receiver.flush(&mut turn, &mut rng, false);
            }
            turn.end();
            let queued: usize = receivers
                .iter()
                .map(|receiver| receiver.outbox.queued_len())
                .sum();
            assert_eq!(turn.queued_total(), queued, "seed {seed}");
        }
        for receiver in &mut receivers {
            assert_eq!(receiver.flush(&mut turn, &mut rng, true), Flush::Done);
            assert!(receiver.outbox.is_empty());
            assert_eq!(receiver.received(), receiver.expected, "seed {seed}");
        }
        assert_eq!(turn.queued_total(), 0, "seed {seed}");
    }
}
