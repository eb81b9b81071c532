//! A whole connection through the core: bytes in, no panic, bounded queues, nothing left over.

use super::INPUT_BYTES_MAX;
use crate::driver::device::{Device, Proof};
use crate::driver::{Address, Driver, Options, masked, node_params};
use crate::ids::ConnId;
use crate::limits::OUTBOX_HARD_BYTES;
use std::net::{IpAddr, Ipv4Addr};

/// The first byte says how far the connection is before the rest of the input begins, the
/// second one where it is cut.
///
/// | first byte mod 4 | the rest is |
/// |---|---|
/// | 0 | bytes from the start, HTTP head and all |
/// | 1 | frames behind an upgrade |
/// | 2 | an operator's messages, a line each; a line that starts with NUL is bytes |
/// | 3 | a node's messages, the same |
pub fn connection(input: &[u8]) {
    let [how, cut, rest @ ..] = input else {
        return;
    };
    if rest.len() > INPUT_BYTES_MAX {
        return;
    }
    let mut driver = Driver::new(Options::default());
    let witness = driver.operator();
    let Some(conn) = start(&mut driver, how % 4) else {
        return;
    };
    let pieces: Vec<Vec<u8>> = match how % 4 {
        0 | 1 => vec![rest.to_vec()],
        _ => rest.split(|byte| *byte == b'\n').map(message).collect(),
    };
    for piece in pieces {
        for part in piece.chunks(1 + usize::from(*cut)) {
            driver.feed(conn, part);
        }
        driver.turn();
        assert!(driver.gateway.queued_len(conn) <= OUTBOX_HARD_BYTES);
    }
    driver.settle();
    driver.advance(2_000);
    // Whatever it did, others are served.
    driver.ok(witness, "health", serde_json::json!({}));
    driver.hang_up(conn);
    driver.hang_up(witness);
    driver.advance(2_000);
    assert_eq!(driver.gateway.handshakes_len(), 0);
    assert_eq!(driver.gateway.turn().queued_total(), 0);
}

fn start(driver: &mut Driver, how: u8) -> Option<ConnId> {
    Some(match how {
        0 => driver.accept(IpAddr::V4(Ipv4Addr::LOCALHOST))?,
        1 => driver.open(&Address::default()),
        2 => driver.operator(),
        _ => {
            let conn = driver.open(&Address::default());
            let device = Device::new(2);
            driver.connect(
                conn,
                node_params(&["system.run"]),
                Some((&device, Proof::V3)),
            );
            conn
        }
    })
}

fn message(line: &[u8]) -> Vec<u8> {
    match line {
        [0, bytes @ ..] => bytes.to_vec(),
        text => masked(1, text, [0x55; 4]),
    }
}
