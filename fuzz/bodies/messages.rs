//! Messages of a client, as we put them together and as tungstenite does. Not in the library, which
//! does not know tungstenite: the fuzz target and the test that replays its corpus include this file.

use clawdia::fuzz::{MESSAGE_BYTES_MAX, Said, understood};
use std::io::{Cursor, Read, Write};
use tungstenite::protocol::{Role, WebSocket, WebSocketConfig};
use tungstenite::{Error, Message};

/// The first byte says in what pieces the frames arrive; then come frames: one byte of FIN, reserved
/// bits and opcode, one of length (255: two more), and the payload, which is masked here.
///
/// # Panics
///
/// When one of the two understands something else.
pub fn messages(script: &[u8]) {
    let Some((cut, script)) = script.split_first() else {
        return;
    };
    let wire = frames(&script[..script.len().min(16_000)]);
    let mut ours = understood(&wire, usize::from(*cut));
    // Bad Gateway stands in IANA's register of close codes; tungstenite takes it for one that may not travel.
    if let Some(said @ Said::Close(1014)) = ours.last_mut() {
        *said = Said::Close(1002);
    }
    let theirs = tungstenite_says(wire);
    let (ours, fault) = match ours.split_last() {
        Some((Said::Fault(code), said)) => (said, Some(*code)),
        _ => (&ours[..], None),
    };
    let Some(code) = fault else {
        assert_eq!(theirs, ours, "we see no fault");
        return;
    };
    assert!(
        theirs.starts_with(ours),
        "before {code}: {ours:?}, {theirs:?}"
    );
    // A bad byte of a text is noticed here when it comes, there at the end of the message: control
    // frames between its fragments may be in between.
    let is_control = |said: &Said| !matches!(said, Said::Message { .. });
    assert!(
        theirs[ours.len()..].iter().all(is_control),
        "{code}: {theirs:?}"
    );
}

fn frames(mut script: &[u8]) -> Vec<u8> {
    let mut wire = Vec::new();
    while let [first, len, rest @ ..] = script {
        let (len, rest) = match (len, rest) {
            (255, [high, low, rest @ ..]) => (u16::from_be_bytes([*high, *low]), rest),
            (len, rest) => (u16::from(*len), rest),
        };
        let (payload, rest) = rest.split_at(rest.len().min(usize::from(len)));
        script = rest;
        // Reserved bits are an error whatever follows: rarely set, so that more comes behind.
        let reserved = if first & 0x70 == 0x70 { 0x40 } else { 0 };
        wire.push(first & 0x8f | reserved);
        match u16::try_from(payload.len()) {
            Ok(len) if len < 126 => wire.push(0x80 | len as u8),
            Ok(len) => {
                wire.push(0x80 | 126);
                wire.extend(len.to_be_bytes());
            }
            Err(_) => unreachable!("a length is of two bytes"),
        }
        let mask = [0x5a, 0xff, 0x00, 0x81];
        wire.extend(mask);
        wire.extend(payload.iter().zip(mask.iter().cycle()).map(|(a, b)| a ^ b));
    }
    wire
}

fn tungstenite_says(wire: Vec<u8>) -> Vec<Said> {
    let config = WebSocketConfig::default()
        .max_message_size(Some(MESSAGE_BYTES_MAX))
        .max_frame_size(Some(MESSAGE_BYTES_MAX));
    let mut socket = WebSocket::from_raw_socket(Far(Cursor::new(wire)), Role::Server, Some(config));
    let mut said = Vec::new();
    loop {
        said.push(match socket.read() {
            Ok(Message::Text(text)) => Said::Message {
                binary: false,
                bytes: text.as_bytes().to_vec(),
            },
            Ok(Message::Binary(bytes)) => Said::Message {
                binary: true,
                bytes: bytes.to_vec(),
            },
            Ok(Message::Ping(bytes)) => Said::Ping(bytes.to_vec()),
            Ok(Message::Pong(_)) => Said::Pong,
            Ok(Message::Close(frame)) => {
                // No code is 1005 (RFC 6455 7.1.5).
                let code = frame.map_or(1005, |frame| frame.code.into());
                said.push(Said::Close(code));
                return said;
            }
            Ok(Message::Frame(_)) => unreachable!("only written"),
            // The end of what was sent is no fault of it.
            Err(Error::Protocol(
                tungstenite::error::ProtocolError::ResetWithoutClosingHandshake,
            )) => return said,
            Err(_) => {
                said.push(Said::Fault(0));
                return said;
            }
        });
    }
}

/// What was sent, and nobody who reads the answers.
struct Far(Cursor<Vec<u8>>);

impl Read for Far {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Far {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
