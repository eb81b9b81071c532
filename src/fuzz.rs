//! Bodies of the fuzz targets, here so that the tests replay the committed corpora.

mod connection;
mod envelope;
mod ssh_target;

pub use connection::connection;
pub use envelope::envelope;
pub use ssh_target::ssh_target;

use crate::conn::{Conn, Fault, Input, Item};
use crate::limits::{JSON_PADDING_BYTES, PROXY_HEADER_BYTES_MAX, RECEIVE_BUFFER_BYTES};
use crate::wire::http::{HeaderSpace, find_end, parse};
use crate::wire::message::{MessageLimits, Pool};
use crate::wire::proxy;
use crate::wire::upgrade::Upgrade;

/// Longer inputs find nothing that shorter ones do not.
const INPUT_BYTES_MAX: usize = 64 * 1024;

/// A request head: nothing panics, and what is accepted is unambiguous.
///
/// # Panics
///
/// When a promise of the parser does not hold.
pub fn http_head(bytes: &[u8]) {
    let Ok(Some(end)) = find_end(bytes, 0) else {
        return;
    };
    for scanned in [end / 2, end - 1] {
        assert_eq!(
            find_end(bytes, scanned),
            Ok(Some(end)),
            "found at another place"
        );
    }
    let mut space = HeaderSpace::new();
    let Ok(head) = parse(&bytes[..end], &mut space) else {
        return;
    };
    for (name, value) in head.fields() {
        assert!(
            !name.is_empty()
                && name
                    .bytes()
                    .all(|byte| byte.is_ascii_graphic() && byte != b':')
        );
        assert!(!value.iter().any(|byte| matches!(byte, 0 | b'\r' | b'\n')));
    }
    assert!(head.all("host").count() <= 1 && head.all("content-length").count() <= 1);
    if let Ok(Some(_)) = Upgrade::read(&head) {
        assert_eq!((head.method, head.content_len()), ("GET", Ok(0)));
    }
}

/// A PROXY header: nothing panics, and what is understood does not depend on how much has come.
///
/// # Panics
///
/// When a longer piece is understood differently.
pub fn proxy_header(bytes: &[u8]) {
    let bytes = &bytes[..bytes.len().min(PROXY_HEADER_BYTES_MAX + 64)];
    let mut before = Ok(None);
    for len in 0..=bytes.len() {
        let now = proxy::parse(&bytes[..len]);
        if before != Ok(None) {
            assert_eq!(now, before, "with {len} bytes");
        }
        if let Ok(Some(header)) = now {
            assert!(header.len <= len && header.len > 0);
        }
        before = now;
    }
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
    assert_eq!(
        understood(bytes, usize::from(*cut)),
        whole,
        "cut every {cut}"
    );
}

/// What each item was, and a message's bytes.
fn understood(bytes: &[u8], cut: usize) -> Vec<(String, Vec<u8>)> {
    let limits = MessageLimits {
        bytes_max: 10_000,
        binary: true,
        checks_whole_text: true,
    };
    let mut conn = Conn::default();
    conn.open();
    let mut pool = Pool::default();
    let mut buffer = vec![0; RECEIVE_BUFFER_BYTES + JSON_PADDING_BYTES];
    let mut items = Vec::new();
    for piece in bytes.chunks(cut.max(1)) {
        let held = conn.refill(&mut buffer);
        buffer[held..held + piece.len()].copy_from_slice(piece);
        let mut input = Input::new(&mut buffer, held + piece.len());
        loop {
            match conn.poll(&mut input, &limits, &mut pool) {
                Ok(None) => break,
                Ok(Some(Item::Message { binary, range })) => {
                    items.push((format!("message {binary}"), input.slice(&range).to_vec()));
                }
                Ok(Some(Item::Assembled { binary })) => {
                    let padded = conn.assembled();
                    let message = padded[..padded.len() - JSON_PADDING_BYTES].to_vec();
                    items.push((format!("message {binary}"), message));
                }
                Ok(Some(Item::Ping(range))) => {
                    items.push(("ping".to_owned(), input.slice(&range).to_vec()));
                }
                Ok(Some(Item::Close { code })) => {
                    items.push((format!("close {code}"), Vec::new()));
                    return items;
                }
                Ok(Some(item)) => items.push((format!("{item:?}"), Vec::new())),
                Err(Fault::WebSocket(fail)) => {
                    // A text may be found bad before or behind a later fault of its frame.
                    items.push((format!("fault {}", fail.code()), Vec::new()));
                    return items;
                }
                Err(Fault::Http(refusal)) => panic!("no HTTP was spoken: {refusal:?}"),
            }
        }
        conn.keep_rest(&input, &mut pool);
    }
    items
}
