//! A client of rustls against our end of the connection, with every byte in our hands.

use super::*;
use crate::config::TlsConfig;
use crate::io::clock;
use crate::io::tls::certificate::Place;
use crate::io::tls::server::Maker;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustls::pki_types::ServerName;
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, ClientConnection, ConnectionTrafficSecrets, RootCertStore,
    SupportedProtocolVersion,
};
use std::net::{Ipv4Addr, TcpListener, TcpStream as Wire};
use std::sync::Arc;

type Version = &'static SupportedProtocolVersion;

/// Certificates cost more than all else here.
struct Shared {
    acceptor: Acceptor,
    roots: Arc<RootCertStore>,
}

impl Shared {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let place = Place::of(&TlsConfig::default(), dir.path());
        let names = vec!["localhost".to_owned()];
        let pair = place.load_or_create(&names, clock::now()).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(pair.chain[0].clone()).unwrap();
        Self {
            acceptor: Maker::new().unwrap().acceptor(&pair).unwrap(),
            roots: Arc::new(roots),
        }
    }

    fn client(&self, version: Version) -> ClientConnection {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(self.roots.clone())
            .with_no_client_auth();
        config.enable_secret_extraction = true;
        let name = ServerName::try_from("localhost").unwrap();
        ClientConnection::new(Arc::new(config), name).unwrap()
    }

    fn ends(&self, version: Version) -> Ends {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let wire = Wire::connect(listener.local_addr().unwrap()).unwrap();
        wire.set_nodelay(true).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        accepted.set_nonblocking(true).unwrap();
        let mut cipher = Cipher::default();
        cipher.secure(self.acceptor.clone());
        let tcp = TcpStream::from_std(accepted);
        Ends {
            server: TlsStream::new(tcp, &self.acceptor).unwrap(),
            client: self.client(version),
            wire,
            cipher,
            heard: Vec::new(),
            back: Vec::new(),
            ended: false,
        }
    }
}

struct Ends {
    server: TlsStream,
    client: ClientConnection,
    wire: Wire,
    cipher: Cipher,
    /// Plaintext that our end read.
    heard: Vec<u8>,
    /// Plaintext that the client read.
    back: Vec<u8>,
    ended: bool,
}

impl Ends {
    /// What the client has to send now.
    fn flight(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        while self.client.wants_write() {
            self.client.write_tls(&mut bytes).unwrap();
        }
        bytes
    }

    /// Our end gets these bytes, and reads until there is nothing more.
    fn feed(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.wire.write_all(bytes)?;
        assert!(self.is_readable(5));
        let mut buffer = [0; 5_000];
        loop {
            self.cipher.begin_turn();
            match self.server.read(&mut buffer, &mut self.cipher) {
                Ok(0) => {
                    self.ended = true;
                    return Ok(());
                }
                Ok(len) => self.heard.extend_from_slice(&buffer[..len]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
            if !self.server.holds_more() && !self.is_readable(0) {
                return Ok(());
            }
        }
    }

    fn is_readable(&self, within_s: i64) -> bool {
        let mut ready = [PollFd::new(&self.server.tcp, PollFlags::IN)];
        let within = Timespec {
            tv_sec: within_s,
            tv_nsec: 0,
        };
        poll(&mut ready, Some(&within)).unwrap() > 0
    }

    /// The client takes in what our end has sent.
    fn answer(&mut self) {
        self.wire.set_nonblocking(true).unwrap();
        let mut buffer = [0; 20_000];
        while self
            .client
            .read_tls(&mut self.wire)
            .is_ok_and(|len| len > 0)
        {
            self.client.process_new_packets().unwrap();
            while let Ok(len) = self.client.reader().read(&mut buffer) {
                self.back.extend_from_slice(&buffer[..len]);
            }
        }
        self.wire.set_nonblocking(false).unwrap();
    }

    /// Shakes hands; every flight goes in pieces that `cut` chooses.
    fn shake_hands(&mut self, cut: &mut impl FnMut(usize) -> usize) {
        for _ in 0..10 {
            if !self.client.is_handshaking() && !self.client.wants_write() {
                return;
            }
            let flight = self.flight();
            self.feed_in_pieces(&flight, cut);
            self.answer();
        }
        panic!("the handshake does not end");
    }

    fn feed_in_pieces(&mut self, mut bytes: &[u8], cut: &mut impl FnMut(usize) -> usize) {
        while !bytes.is_empty() {
            let (piece, rest) = bytes.split_at(cut(bytes.len()).clamp(1, bytes.len()));
            self.feed(piece).unwrap();
            bytes = rest;
        }
    }

    fn say(&mut self, plaintext: &[u8]) -> Vec<u8> {
        self.client.writer().write_all(plaintext).unwrap();
        self.flight()
    }

    fn owns_buffers(&self) -> bool {
        let TlsStream {
            partial,
            plain,
            unsent,
            ..
        } = &self.server;
        partial.capacity() + plain.capacity() + unsent.capacity() > 0
    }
}

fn whole(len: usize) -> usize {
    len
}

#[test]
fn a_hello_cut_at_each_byte_is_understood() {
    let shared = Shared::new();
    for version in [&TLS12, &TLS13] {
        let len = shared.ends(version).flight().len();
        for cut in 1..len {
            let mut ends = shared.ends(version);
            let hello = ends.flight();
            ends.feed(&hello[..cut]).unwrap();
            ends.feed(&hello[cut..]).unwrap();
            ends.answer();
            ends.shake_hands(&mut whole);
            assert!(!ends.server.state.is_handshaking(), "{version:?} at {cut}");
        }
    }
}

#[test]
fn no_cutting_of_the_stream_changes_what_is_said() {
    let shared = Shared::new();
    let said: Vec<Vec<u8>> = [1, 100, 16_384, 16_385, 40_000, 3]
        .iter()
        .enumerate()
        .map(|(n, len)| vec![n as u8; *len])
        .collect();
    for seed in 1..40_u64 {
        for version in [&TLS12, &TLS13] {
            let mut ends = shared.ends(version);
            let mut state = seed;
            let mut cut = |len: usize| {
                // xorshift: small pieces, large ones, and some in between.
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                match seed {
                    1 => len,
                    2 if len < 2_000 => 1,
                    _ => {
                        1 + (state % [7, 600, 20_000, 70_000][(state >> 32) as usize % 4]) as usize
                    }
                }
            };
            ends.shake_hands(&mut cut);
            for part in &said {
                let records = ends.say(part);
                ends.feed_in_pieces(&records, &mut cut);
                let heard = std::mem::take(&mut ends.heard);
                assert_eq!(&heard, part, "seed {seed}");
                assert_eq!(
                    ends.server.write(&heard, &mut ends.cipher).unwrap(),
                    heard.len()
                );
                ends.answer();
                assert_eq!(std::mem::take(&mut ends.back), heard);
                assert!(!ends.owns_buffers(), "an idle connection owns a buffer");
            }
            ends.client.send_close_notify();
            let goodbye = ends.flight();
            ends.feed_in_pieces(&goodbye, &mut cut);
            assert!(ends.ended);
        }
    }
}

#[test]
fn a_client_that_takes_nothing_holds_up_one_piece_and_loses_nothing() {
    let shared = Shared::new();
    let mut ends = shared.ends(&TLS13);
    ends.shake_hands(&mut whole);
    let much: Vec<u8> = (0..8_000_000_u32).map(|n| (n / 7) as u8).collect();
    let mut taken = 0;
    while ends.back.len() < much.len() {
        match ends.server.write(&much[taken..], &mut ends.cipher) {
            Ok(len) => taken += len,
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
        }
        assert!(ends.server.unsent_len() <= crate::limits::TLS_OUTGOING_BYTES);
        ends.answer();
        ends.server.send_rest().unwrap();
    }
    assert!(ends.back == much);
}

#[test]
fn bytes_that_wait_as_plaintext_are_announced() {
    let shared = Shared::new();
    let mut ends = shared.ends(&TLS13);
    ends.shake_hands(&mut whole);
    let record = ends.say(&[7; 1_000]);
    ends.wire.write_all(&record).unwrap();
    let mut heard = Vec::new();
    let mut small = [0; 300];
    assert!(ends.is_readable(5));
    while heard.len() < 1_000 {
        let len = ends.server.read(&mut small, &mut ends.cipher).unwrap();
        heard.extend_from_slice(&small[..len]);
        assert!(ends.server.holds_more() || heard.len() == 1_000);
    }
}

#[test]
fn records_without_content_do_not_go_on_for_ever() {
    let shared = Shared::new();
    let mut ends = shared.ends(&TLS13);
    ends.shake_hands(&mut whole);
    let client = std::mem::replace(&mut ends.client, shared.client(&TLS13));
    let secrets = client.dangerous_extract_secrets().unwrap();
    let (first, ConnectionTrafficSecrets::Aes256Gcm { key, iv }) = secrets.tx else {
        panic!("another cipher was agreed on");
    };
    let key = ring::aead::UnboundKey::new(&ring::aead::AES_256_GCM, key.as_ref()).unwrap();
    let key = ring::aead::LessSafeKey::new(key);
    let mut sent = 0;
    let cut = (first..).find_map(|number| {
        // RFC 8446 5.2: no content, and the type of application data.
        let mut record = vec![23];
        let head = [23, 3, 3, 0, 17];
        let mut nonce = [0; 12];
        nonce.copy_from_slice(iv.as_ref());
        for (byte, digit) in nonce[4..].iter_mut().zip(number.to_be_bytes()) {
            *byte ^= digit;
        }
        let nonce = ring::aead::Nonce::assume_unique_for_key(nonce);
        let aad = ring::aead::Aad::from(head);
        key.seal_in_place_append_tag(nonce, aad, &mut record)
            .unwrap();
        sent += head.len() + record.len();
        ends.feed(&[&head[..], &record].concat()).err()
    });
    assert!(cut.is_some() && sent < 16_384, "{sent}");
}

#[test]
fn keys_are_not_changed_for_ever() {
    let shared = Shared::new();
    let mut ends = shared.ends(&TLS13);
    ends.shake_hands(&mut whole);
    let cut = (0..1_000).find_map(|_| {
        ends.client.refresh_traffic_keys().unwrap();
        let flight = ends.flight();
        ends.feed(&flight).err()
    });
    assert!(cut.is_some());
}

#[test]
fn a_handshake_message_has_a_bound() {
    let shared = Shared::new();
    let mut ends = shared.ends(&TLS13);
    // RFC 8446 4: a hello that claims 64 KB, in records of 1 KB.
    let record = |content: &[u8]| {
        let len = (content.len() as u16).to_be_bytes();
        [&[22, 3, 1, len[0], len[1]], content].concat()
    };
    let mut head = vec![1, 0, 0xff, 0xff, 3, 3];
    head.resize(1_024, 0);
    ends.feed(&record(&head)).unwrap();
    let cut = (0..64).find_map(|_| ends.feed(&record(&[0; 1_024])).err());
    assert!(cut.is_some());
    assert!(ends.server.partial.len() <= TLS_PARTIAL_BYTES_MAX);
}

#[test]
fn nothing_is_sent_in_the_clear() {
    let shared = Shared::new();
    let mut ends = shared.ends(&TLS13);
    assert_eq!(
        ends.server
            .write(b"HTTP/1.1 408", &mut ends.cipher)
            .unwrap(),
        12
    );
    assert!(ends.feed(b"GET / HTTP/1.1\r\n\r\n").is_err());
    assert_eq!(
        ends.server
            .write(b"HTTP/1.1 400", &mut ends.cipher)
            .unwrap(),
        12
    );
    ends.server.shut_down_writing().unwrap();
    let mut heard = Vec::new();
    ends.wire.read_to_end(&mut heard).unwrap();
    assert!(heard.is_empty(), "{heard:?}");
}

#[test]
fn the_last_word_is_a_close_notify() {
    let shared = Shared::new();
    for version in [&TLS12, &TLS13] {
        let mut ends = shared.ends(version);
        ends.shake_hands(&mut whole);
        ends.server.write(b"bye", &mut ends.cipher).unwrap();
        ends.server.shut_down_writing().unwrap();
        let mut stream = rustls::Stream::new(&mut ends.client, &mut ends.wire);
        let mut heard = Vec::new();
        // An end without the word is an error of rustls's.
        stream.read_to_end(&mut heard).unwrap();
        assert_eq!(heard, b"bye");
    }
}

#[test]
fn handshakes_of_a_turn_are_counted() {
    let shared = Shared::new();
    let mut ends = shared.ends(&TLS13);
    let hello = ends.flight();
    ends.wire.write_all(&hello).unwrap();
    while ends.cipher.spend_handshake() {}
    assert!(ends.cipher.is_congested());
    let mut buffer = [0; 100];
    let error = ends.server.read(&mut buffer, &mut ends.cipher).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    assert!(ends.server.holds_more(), "nobody would come back to it");
    ends.cipher.begin_turn();
    assert!(!ends.cipher.is_congested());
}
