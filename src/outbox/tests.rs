use super::*;
use crate::wire::envelope::write_event;

fn event(turn: &mut Turn, name: &str) -> SharedFrame {
    turn.frame(|w| write_event(w, name, true, None, |w| w.object(|_| {})))
}

fn bodies(mut bytes: &[u8]) -> Vec<String> {
    let mut out = Vec::new();
    while !bytes.is_empty() {
        let (head, len) = match bytes[1] {
            126 => (4, usize::from(u16::from_be_bytes([bytes[2], bytes[3]]))),
            len => (2, usize::from(len)),
        };
        out.push(String::from_utf8(bytes[head..head + len].to_vec()).unwrap());
        bytes = &bytes[head + len..];
    }
    out
}

/// Order on the wire is order of enqueueing, whatever the peer takes at a time.
#[test]
fn replies_and_events_keep_their_order_through_short_writes() {
    for take in 1..200 {
        let mut turn = Turn::default();
        let mut outbox = Outbox::default();
        let mut wire = Vec::new();
        let mut expected = Vec::new();
        for round in 0..4u64 {
            outbox.text(&mut turn, |w| w.u64(round));
            expected.push(round.to_string());
            for seq in [round * 2, round * 2 + 1] {
                let frame = event(&mut turn, "e");
                outbox.shared(&mut turn, frame, seq);
                expected.push(format!("{seq:>16}"));
            }
            if round % 2 == 0 {
                outbox.text(&mut turn, |w| w.str("last"));
                expected.push("last".into());
            }
            outbox.flush(&mut turn, |bytes: &[u8]| {
                let n = take.min(bytes.len());
                wire.extend_from_slice(&bytes[..n]);
                Some(n)
            });
            turn.end();
            assert_eq!(turn.queued_total(), outbox.queued_len());
        }
        while !outbox.is_empty() {
            outbox.flush(&mut turn, |bytes: &[u8]| {
                let n = take.min(bytes.len());
                wire.extend_from_slice(&bytes[..n]);
                Some(n)
            });
        }
        assert_eq!(turn.queued_total(), 0);
        let got = bodies(&wire);
        assert_eq!(got.len(), expected.len());
        for (got, expected) in got.iter().zip(&expected) {
            assert!(
                got.contains(expected.as_str()),
                "{take}: {got} / {expected}"
            );
        }
    }
}

#[test]
fn two_receivers_of_one_event_get_their_own_numbers() {
    let mut turn = Turn::default();
    let frame = event(&mut turn, "tick");
    for seq in [1, 70_000] {
        let mut outbox = Outbox::default();
        outbox.shared(&mut turn, frame, seq);
        let mut wire = Vec::new();
        let done = outbox.flush(&mut turn, |bytes: &[u8]| {
            wire.extend_from_slice(bytes);
            Some(bytes.len())
        });
        assert_eq!(done, Flush::Done);
        let value: serde_json::Value = serde_json::from_str(&bodies(&wire)[0]).unwrap();
        assert_eq!(value["seq"], seq);
    }
}

#[test]
fn an_empty_outbox_owns_nothing() {
    assert!(std::mem::size_of::<Outbox>() <= 40);
    let mut turn = Turn::default();
    let mut outbox = Outbox::default();
    outbox.frame(&mut turn, 2, &[0; 16 * 1024]);
    assert_eq!(
        outbox.flush(&mut turn, |b: &[u8]| Some(b.len())),
        Flush::Done
    );
    assert!(outbox.queue.is_none());
}
