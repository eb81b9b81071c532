//! Frames of a client, and what is understood of them.

use crate::conn::{Conn, Fault, Input, Item};
use crate::limits::{JSON_PADDING_BYTES, RECEIVE_BUFFER_BYTES};
use crate::wire::message::{MessageLimits, Pool};

/// Longest message that [`understood`] takes.
pub const MESSAGE_BYTES_MAX: usize = 10_000;

/// One thing that a client said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    Message {
        binary: bool,
        bytes: Vec<u8>,
    },
    Ping(Vec<u8>),
    Pong,
    /// With this code; nothing is understood behind it.
    Close(u16),
    /// Answered with this code; nothing is understood behind it.
    Fault(u16),
}

/// Frames of a client: nothing panics, and what is understood does not depend on the cuts. The first
/// byte says how long the pieces are.
///
/// # Panics
///
/// When the items differ.
pub fn frames(bytes: &[u8]) {
    let Some((cut, bytes)) = bytes.split_first() else {
        return;
    };
    let bytes = &bytes[..bytes.len().min(RECEIVE_BUFFER_BYTES / 2)];
    let whole = understood(bytes, bytes.len());
    for cut in [usize::from(*cut), 1] {
        assert_eq!(understood(bytes, cut), whole, "cut every {cut}");
    }
}

/// What a connection makes of frames that arrive in pieces of `cut` bytes, 0 being 1.
///
/// # Panics
///
/// When the connection answers as if HTTP were spoken.
pub fn understood(bytes: &[u8], cut: usize) -> Vec<Said> {
    let limits = MessageLimits {
        bytes_max: MESSAGE_BYTES_MAX as u64,
        binary: true,
        checks_whole_text: true,
    };
    let mut conn = Conn::default();
    conn.open();
    let mut pool = Pool::default();
    let mut buffer = vec![0; RECEIVE_BUFFER_BYTES + JSON_PADDING_BYTES];
    let mut said = Vec::new();
    for piece in bytes.chunks(cut.max(1)) {
        let held = conn.refill(&mut buffer);
        buffer[held..held + piece.len()].copy_from_slice(piece);
        let mut input = Input::new(&mut buffer, held + piece.len());
        loop {
            said.push(match conn.poll(&mut input, &limits, &mut pool) {
                Ok(None) => break,
                Ok(Some(Item::Message { binary, range })) => Said::Message {
                    binary,
                    bytes: input.slice(&range).to_vec(),
                },
                Ok(Some(Item::Assembled { binary })) => {
                    let padded = conn.assembled();
                    let bytes = padded[..padded.len() - JSON_PADDING_BYTES].to_vec();
                    Said::Message { binary, bytes }
                }
                Ok(Some(Item::Ping(range))) => Said::Ping(input.slice(&range).to_vec()),
                Ok(Some(Item::Pong)) => Said::Pong,
                Ok(Some(Item::Close { code })) => {
                    said.push(Said::Close(code));
                    return said;
                }
                // A text may be found bad before or behind a later fault of its frame.
                Err(Fault::WebSocket(fail)) => {
                    said.push(Said::Fault(fail.code()));
                    return said;
                }
                Ok(Some(item)) => panic!("no HTTP was spoken: {item:?}"),
                Err(Fault::Http(refusal)) => panic!("no HTTP was spoken: {refusal:?}"),
            });
        }
        conn.keep_rest(&input, &mut pool);
    }
    said
}
