//! What Telegram sends, and what it is sent.

use super::INPUT_BYTES_MAX;
use crate::channels::Bot;
use crate::channels::telegram::{html, update};
use crate::limits::{CHANNEL_QUOTE_BYTES_MAX, CHANNEL_TEXT_BYTES_MAX, CONTACT_NAME_CHARS_MAX};
use serde_json::Value;

/// UTF-16 units of the text of a message (Bot API, "sendMessage").
const UNITS_MAX: usize = 4_096;

/// Any JSON as an update: nothing panics and everything is bounded. Any text as Markdown: what
/// goes out is as long as Telegram takes, and its tags are in order.
///
/// # Panics
///
/// When one of these does not hold.
pub fn telegram(bytes: &[u8]) {
    if bytes.len() > INPUT_BYTES_MAX {
        return;
    }
    let bot = Bot {
        id: "99".into(),
        username: "claw_bot".into(),
    };
    if let Ok(json) = serde_json::from_slice::<Value>(bytes)
        && let Some(incoming) = update::read(&json, &bot).and_then(|update| update.message)
    {
        assert!(incoming.text.len() <= CHANNEL_TEXT_BYTES_MAX);
        assert!(!incoming.text.is_empty() || !incoming.files.is_empty());
        let quoted = incoming.quote.map_or(0, |quote| quote.text.len());
        assert!(quoted <= CHANNEL_QUOTE_BYTES_MAX);
        let (name, username) = (incoming.sender.name, incoming.sender.username);
        for name in [Some(name), username, incoming.chat.title]
            .into_iter()
            .flatten()
        {
            assert!(name.chars().count() <= CONTACT_NAME_CHARS_MAX);
            assert!(!name.chars().any(char::is_control), "{name:?}");
        }
    }
    if let Ok(text) = str::from_utf8(bytes) {
        for message in html::render(text) {
            let units = html::plain(&message).encode_utf16().count();
            assert!(units <= UNITS_MAX, "{units} units");
            assert_balanced(&message);
        }
    }
}

/// Every tag that is opened is closed, the last one first.
fn assert_balanced(message: &str) {
    let mut open = Vec::new();
    let mut rest = message;
    while let Some((_, behind)) = rest.split_once('<') {
        let (tag, behind) = behind.split_once('>').expect("a tag without an end");
        rest = behind;
        match tag.strip_prefix('/') {
            Some(name) => assert_eq!(open.pop(), Some(name), "{message}"),
            None => open.push(tag.split(' ').next().unwrap_or_default()),
        }
    }
    assert!(open.is_empty(), "{open:?} stay open in {message}");
}
