//! What a command prints, bounded: the end of it is kept, since that is where the outcome stands.

use std::collections::VecDeque;

use crate::limits::NODE_OUTPUT_BYTES_MAX;

/// Before an end whose beginning was let go.
pub const CUT_MARK: &str = "... (truncated) ";

/// The last bytes of one stream.
#[derive(Debug, Default)]
pub struct Tail {
    bytes: VecDeque<u8>,
    is_cut: bool,
    /// Bytes that were ever printed.
    printed: u64,
}

impl Tail {
    /// Takes what was printed; the oldest bytes go when there are too many.
    pub fn push(&mut self, mut chunk: &[u8]) {
        self.printed += chunk.len() as u64;
        if chunk.len() > NODE_OUTPUT_BYTES_MAX {
            chunk = &chunk[chunk.len() - NODE_OUTPUT_BYTES_MAX..];
            self.is_cut = true;
        }
        let over = (self.bytes.len() + chunk.len()).saturating_sub(NODE_OUTPUT_BYTES_MAX);
        if over > 0 {
            self.bytes.drain(..over);
            self.is_cut = true;
        }
        self.bytes.extend(chunk);
    }

    /// The last `max` bytes as text, while more may come.
    pub fn last(&self, max: usize) -> Text {
        let from = self.bytes.len().saturating_sub(max);
        Self {
            bytes: self.bytes.range(from..).copied().collect(),
            is_cut: self.is_cut || from > 0,
            printed: self.printed,
        }
        .into_text()
    }

    /// What was printed after the first `told` bytes, as far as it is kept, and how many bytes are
    /// told with that. A character that has not come whole waits.
    pub fn since(&self, told: u64) -> (String, u64) {
        let new = usize::try_from(self.printed.saturating_sub(told)).unwrap_or(usize::MAX);
        let len = new.min(self.bytes.len());
        let mut bytes: Vec<u8> = self
            .bytes
            .range(self.bytes.len() - len..)
            .copied()
            .collect();
        if let Err(fault) = std::str::from_utf8(&bytes)
            && fault.error_len().is_none()
        {
            bytes.truncate(fault.valid_up_to());
        }
        let told = self.printed - (len - bytes.len()) as u64;
        let text = String::from_utf8_lossy(&bytes);
        match len < new {
            true => (format!("{CUT_MARK}{text}"), told),
            false => (text.into_owned(), told),
        }
    }

    /// As text; what is no UTF-8 is shown as such.
    pub fn into_text(self) -> Text {
        let bytes: Vec<u8> = self.bytes.into();
        // A cut may go through a character; its rest is no character.
        let rest = match self.is_cut {
            true => bytes
                .iter()
                .take(3)
                .take_while(|b| **b & 0xc0 == 0x80)
                .count(),
            false => 0,
        };
        Text {
            text: String::from_utf8_lossy(&bytes[rest..]).into_owned(),
            is_cut: self.is_cut,
        }
    }
}

/// A stream as text, and whether its beginning is missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text {
    pub text: String,
    pub is_cut: bool,
}

impl Text {
    /// Lets the beginning go until the rest takes at most `max` bytes in a result.
    fn shorten(&mut self, max: usize) {
        let mut bytes = 0;
        let mut kept = self.text.len();
        for (at, c) in self.text.char_indices().rev() {
            bytes += cost(c);
            if bytes > max {
                break;
            }
            kept = at;
        }
        if kept > 0 {
            self.text.drain(..kept);
            self.is_cut = true;
        }
    }

    /// What is sent: a text that says where something is missing.
    pub fn marked(&self) -> String {
        match self.is_cut {
            true => format!("{CUT_MARK}{}", self.text),
            false => self.text.clone(),
        }
    }
}

/// Shortens both streams until they take at most `max` bytes in a result: a stream that needs less
/// than half leaves the rest to the other.
pub fn fit(stdout: &mut Text, stderr: &mut Text, max: usize) {
    let need = |text: &Text| text.text.chars().map(cost).sum::<usize>();
    let (out, err) = (need(stdout), need(stderr));
    if out + err <= max {
        return;
    }
    let half = max / 2;
    stdout.shorten(max - err.min(half));
    stderr.shorten(max - out.min(half));
}

/// Bytes of a character in JSON inside a text inside JSON, which is how results travel: a
/// control character becomes `\\u0000`.
fn cost(c: char) -> usize {
    match c {
        '"' | '\\' => 4,
        '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 3,
        c if c < ' ' => 7,
        c => c.len_utf8(),
    }
}

/// A text in pieces of at most `bytes_max` bytes, none of which cuts a character.
pub fn pieces(mut text: &str, bytes_max: usize) -> Vec<&str> {
    let mut pieces = Vec::new();
    while !text.is_empty() {
        let ends_whole = |at: &usize| text.is_char_boundary(*at);
        let len = (0..=bytes_max.min(text.len())).rfind(ends_whole);
        let (piece, rest) = text.split_at(len.unwrap_or(text.len()));
        pieces.push(piece);
        text = rest;
    }
    pieces
}

/// The last `chars_max` characters of a text, marked where that is not all.
pub fn last_chars(text: &str, chars_max: usize) -> String {
    match text.char_indices().rev().nth(chars_max) {
        None => text.to_owned(),
        Some((at, c)) => format!("{CUT_MARK}{}", &text[at + c.len_utf8()..]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_stream_is_kept_whatever_its_length() {
        let mut tail = Tail::default();
        tail.push(b"begin");
        tail.push(&vec![b'x'; NODE_OUTPUT_BYTES_MAX - 3]);
        tail.push(b"end");
        assert_eq!(tail.bytes.len(), NODE_OUTPUT_BYTES_MAX);
        let text = tail.into_text();
        assert!(text.is_cut && text.text.ends_with("xend"));
        assert!(text.marked().starts_with("... (truncated) x"));
        let mut whole = Tail::default();
        whole.push("ä\u{1}".as_bytes());
        whole.push(&[0xff]);
        assert_eq!(whole.into_text().marked(), "ä\u{1}\u{fffd}");
    }

    #[test]
    fn what_is_new_is_told_once_and_in_whole_characters() {
        let mut tail = Tail::default();
        tail.push(b"one ");
        tail.push(&"\u{20ac}".as_bytes()[..2]);
        let (text, told) = tail.since(0);
        assert_eq!((text.as_str(), told), ("one ", 4));
        tail.push(&"\u{20ac}".as_bytes()[2..]);
        let (text, told) = tail.since(told);
        assert_eq!((text.as_str(), told), ("\u{20ac}", 7));
        assert_eq!(tail.since(told), (String::new(), 7));
        tail.push(&vec![b'y'; 2 * NODE_OUTPUT_BYTES_MAX]);
        let (text, told) = tail.since(told);
        assert!(text.starts_with(CUT_MARK) && text.ends_with("yyy"));
        assert_eq!(told, 7 + 2 * NODE_OUTPUT_BYTES_MAX as u64);
    }

    #[test]
    fn pieces_cut_no_character() {
        assert_eq!(pieces("a\u{20ac}\u{20ac}", 5), ["a\u{20ac}", "\u{20ac}"]);
        assert!(pieces("", 5).is_empty());
    }

    #[test]
    fn a_cut_leaves_no_half_character() {
        let mut tail = Tail::default();
        tail.push("€".repeat(NODE_OUTPUT_BYTES_MAX / 3 + 1).as_bytes());
        let text = tail.into_text().text;
        assert!(text.chars().all(|c| c == '€'), "{:?}", &text[..9]);
    }

    #[test]
    fn a_result_fits_however_its_characters_are_written() {
        for odd in ["\u{1}", "\"", "\\", "\n", "€", "x"] {
            let text = || Text {
                text: odd.repeat(10_000),
                is_cut: false,
            };
            let (mut out, mut err) = (text(), text());
            fit(&mut out, &mut err, 9_000);
            let sent = |text: &Text| {
                let inner = serde_json::to_string(&text.text).unwrap();
                serde_json::to_string(&inner[1..inner.len() - 1])
                    .unwrap()
                    .len()
                    - 2
            };
            assert!(sent(&out) + sent(&err) <= 9_000, "{odd:?}");
            assert!(
                sent(&out) + sent(&err) > 8_900,
                "{odd:?}: no more than needed"
            );
        }
        let mut long = Text {
            text: "x".repeat(10_000),
            is_cut: false,
        };
        let mut short = Text {
            text: "y".repeat(100),
            is_cut: false,
        };
        fit(&mut long, &mut short, 9_000);
        assert_eq!((long.text.len(), short.text.len()), (8_900, 100));
        assert!(!short.is_cut);
    }

    #[test]
    fn an_event_has_the_last_characters() {
        assert_eq!(last_chars("äbc", 3), "äbc");
        assert_eq!(last_chars("äbcd", 3), "... (truncated) bcd");
    }
}
