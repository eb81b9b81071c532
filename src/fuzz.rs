//! Bodies of the fuzz targets, here so that the tests replay the committed corpora.

mod config;
mod connect;
mod connection;
mod envelope;
mod forwarded;
mod frames;
mod provider;
mod record;
mod ssh_target;
mod telegram;
mod text;

pub use config::config;
pub use connect::connect;
pub use connection::connection;
pub use envelope::envelope;
pub use forwarded::forwarded;
pub use frames::{MESSAGE_BYTES_MAX, Said, frames, understood};
pub use provider::provider;
pub use record::record;
pub use ssh_target::ssh_target;
pub use telegram::telegram;
pub use text::text;

use crate::limits::PROXY_HEADER_BYTES_MAX;
use crate::wire::http::{HeaderSpace, find_end, parse};
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
