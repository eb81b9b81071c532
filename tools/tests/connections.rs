//! Connections over real sockets: deadlines, pings, endings, slow and hostile peers.

mod support;

use std::io::Write;
use std::time::{Duration, Instant};

use clawdia::io::app::{Closed, Command, Settings};
use clawdia::limits::OUTBOX_SOFT_BYTES;
use clawdia::wire::frame::Opcode;
use clawdia_tools::client::masked_frame;
use clawdia_tools::echo::LIMITS;
use support::{FLOOD_BYTES, Options, Server};

fn with(change: impl FnOnce(&mut Settings)) -> Options {
    let mut options = Options::default();
    change(&mut options.settings);
    options
}

#[test]
fn a_dripping_request_head_is_cut_at_the_absolute_deadline() {
    let server = Server::start(with(|settings| settings.handshake_deadline_ms = Some(300)));
    let mut client = server.dial();
    let begun = Instant::now();
    client.0.write_all(b"GET / HTTP/1.1\r\nX: ").unwrap();
    let ended = loop {
        // Each byte arrives long before the deadline and must not move it.
        match server.closed.recv_timeout(Duration::from_millis(20)) {
            Ok(why) => break why,
            Err(_) => drop(client.0.write_all(b"a")),
        }
        assert!(begun.elapsed() < Duration::from_secs(30));
    };
    assert_eq!(ended, Closed::Timeout);
    assert!(begun.elapsed() >= Duration::from_millis(300));
    assert!(client.until(b"\r\n").starts_with("HTTP/1.1 408 "));
}

#[test]
fn one_who_never_finishes_the_handshake_is_told_and_a_promoted_one_stays() {
    let server = Server::start(with(|settings| settings.handshake_deadline_ms = Some(400)));
    let mut promoted = server.open();
    promoted.echo("promote");
    let mut idle = server.open();
    idle.echo("hello, but not done");
    assert_eq!(idle.close_frame(), (1008, "handshake timeout".to_owned()));
    assert_eq!(server.next_closed(), Closed::Timeout);
    promoted.echo("still here");
}

#[test]
fn pings_find_the_dead_and_spare_the_living() {
    let server = Server::start(with(|settings| settings.ping_interval_ms = Some(200)));
    let mut dead = server.open();
    let mut alive = server.open();
    alive.echo("promote");
    for _ in 0..4 {
        let (opcode, payload) = alive.frame().unwrap();
        assert_eq!(opcode, 9);
        alive.send(Opcode::Pong, &payload);
    }
    assert_eq!(server.next_closed(), Closed::Timeout);
    assert_eq!(dead.frame().unwrap().0, 9);
    assert_eq!(dead.close_frame(), (1001, "no answer to a ping".to_owned()));
}

#[test]
fn a_flood_of_pings_queues_no_flood_of_pongs() {
    let server = Server::start(Options::default());
    let mut client = server.open();
    let many = masked_frame(Opcode::Ping, &[b'p'; 125]).repeat(1_000);
    // 13 MB of pings; what is answered fits into the kernel's buffers or not, nothing is read.
    for _ in 0..100 {
        client.0.write_all(&many).unwrap();
    }
    client.send(Opcode::Ping, b"latest");
    while client.frame().unwrap() != (10, b"latest".to_vec()) {}
    assert!(server.queued_most() < 1_024, "{}", server.queued_most());
}

#[test]
fn a_peer_that_does_not_read_is_not_read_and_gets_everything_later() {
    let server = Server::start(Options::default());
    let mut client = server.open();
    let requests = 200;
    client
        .0
        .write_all(&masked_frame(Opcode::Text, b"flood").repeat(requests))
        .unwrap();
    // Another peer is served meanwhile, and its answer shows that the flood was taken up.
    server.open().echo("not delayed");
    for _ in 0..requests {
        let (opcode, payload) = client.frame().unwrap();
        assert_eq!((opcode, payload.len()), (2, FLOOD_BYTES));
    }
    client.echo("and on");
    assert!(
        server.queued_most() <= OUTBOX_SOFT_BYTES + 2 * FLOOD_BYTES,
        "{}",
        server.queued_most()
    );
}

#[test]
fn a_fault_is_told_though_the_peer_goes_on_sending() {
    let server = Server::start(Options::default());
    let mut client = server.open();
    client.0.write_all(&[0xf1, 0x80, 0, 0, 0, 0]).unwrap();
    // The server may have shut the door before all of it is out.
    let _ = client.0.write_all(&[0; 300_000]);
    assert_eq!(client.close_frame(), (1002, "reserved bit set".to_owned()));
    assert_eq!(server.next_closed(), Closed::Fault(1002));
    assert!(client.read_out().is_empty());
}

#[test]
fn a_close_is_echoed_once_and_nothing_follows() {
    let server = Server::start(Options::default());
    let mut client = server.open();
    let mut bytes = masked_frame(Opcode::Text, b"last");
    bytes.extend(masked_frame(Opcode::Close, &4321_u16.to_be_bytes()));
    bytes.extend(masked_frame(Opcode::Text, b"too late"));
    client.0.write_all(&bytes).unwrap();
    assert_eq!(client.frame().unwrap(), (1, b"last".to_vec()));
    assert_eq!(client.close_frame(), (4321, String::new()));
    assert!(client.read_out().is_empty());
    assert_eq!(server.next_closed(), Closed::ByPeer(4321));
}

#[test]
fn a_close_of_ours_waits_for_the_peers_and_not_longer_than_the_grace() {
    let server = Server::start(with(|settings| settings.close_grace_ms = 300));
    let mut polite = server.open();
    polite.echo("close");
    assert_eq!(polite.close_frame(), (4001, "as asked".to_owned()));
    polite.send(Opcode::Close, &4001_u16.to_be_bytes());
    assert!(polite.read_out().is_empty());

    let mut silent = server.open();
    silent.echo("close");
    assert_eq!(silent.close_frame(), (4001, "as asked".to_owned()));
    let begun = Instant::now();
    assert!(silent.read_out().is_empty());
    assert!(begun.elapsed() < Duration::from_secs(20));
    assert_eq!(
        [server.next_closed(), server.next_closed()],
        [Closed::ByCommand; 2]
    );
}

#[test]
fn the_evicted_is_told_and_the_newcomer_served() {
    let server = Server::start(Options {
        connections_max: 2,
        ..Options::default()
    });
    let mut first = server.dial();
    let mut second = server.open();
    let mut third = server.open();
    assert!(first.until(b"\r\n").starts_with("HTTP/1.1 503 "));
    assert_eq!(server.next_closed(), Closed::Evicted);
    second.echo("kept");
    third.echo("new");
}

#[test]
fn every_connection_ends_exactly_once() {
    let server = Server::start(with(|settings| settings.handshake_deadline_ms = Some(200)));
    let count = 60;
    for n in 0..count {
        match n % 4 {
            0 => drop(server.dial()),
            1 => drop(server.open()),
            2 => server.open().send(Opcode::Close, b""),
            _ => drop(server.dial().0.write_all(b"bad\n\n")),
        }
    }
    for _ in 0..count {
        server.next_closed();
    }
    assert!(
        server
            .closed
            .recv_timeout(Duration::from_millis(400))
            .is_err()
    );
}

#[test]
fn a_message_before_the_handshake_has_the_narrow_limit_and_after_it_the_wide_one() {
    let mut narrow = LIMITS;
    narrow.bytes_max = 1_000;
    let server = Server::start(with(|settings| settings.before = narrow));
    let long = "a".repeat(1_001);
    let mut refused = server.open();
    refused.send(Opcode::Text, long.as_bytes());
    assert_eq!(refused.close_frame(), (1009, "message too big".to_owned()));
    let mut promoted = server.open();
    promoted.echo("promote");
    promoted.echo(&long);
}

#[test]
fn stopping_ends_the_loop() {
    let server = Server::start(Options::default());
    server.open().echo("hello");
    server.order(Command::Stop);
    drop(server);
}
