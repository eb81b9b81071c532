//! Text for a terminal: what a gateway sent must not command it.

use std::borrow::Cow;

/// `text` on one line, with every character that a terminal would obey made visible.
pub fn printable(text: &str) -> Cow<'_, str> {
    escape(text, |_| false)
}

/// The same for text of several lines: line ends and tabs stay.
pub fn printable_lines(text: &str) -> Cow<'_, str> {
    escape(text, |c| matches!(c, '\n' | '\t'))
}

fn escape(text: &str, keep: impl Fn(char) -> bool) -> Cow<'_, str> {
    let commands = |c: char| (c.is_control() || is_bidi(c)) && !keep(c);
    if !text.contains(commands) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if commands(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// Characters that turn the direction of what follows, so that a line reads as another.
fn is_bidi(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{61c}')
}

/// `text` cut to `width` characters, with a sign that something is missing.
pub fn cut(text: &str, width: usize) -> Cow<'_, str> {
    if text.chars().count() <= width {
        return Cow::Borrowed(text);
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    Cow::Owned(kept + "…")
}

/// A span of time in its two largest units: `3 h 2 min`.
pub fn span(ms: u64) -> String {
    let seconds = ms / 1_000;
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) if ms < 1_000 => format!("{ms} ms"),
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, 0) => format!("{hours} h"),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, 0, _) => format!("{days} d"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

/// How long ago a time was, both in milliseconds since 1970.
pub fn ago(now_ms: u64, then_ms: u64) -> String {
    match now_ms.saturating_sub(then_ms) {
        0..1_000 => "now".to_owned(),
        ms => format!("{} ago", span(ms)),
    }
}

/// The first characters of an id: enough to tell ids apart and to type.
pub fn short_id(id: &str) -> Cow<'_, str> {
    let end = id.char_indices().nth(8).map_or(id.len(), |(at, _)| at);
    printable(&id[..end])
}

/// `1 session`, `2 sessions`.
pub fn count(number: u64, one: &str) -> String {
    let s = if number == 1 { "" } else { "s" };
    format!("{number} {one}{s}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_comes_through() {
        let shown = printable("a\u{1b}[2Jb\r\n\u{9b}1m\u{202e}c\u{7f}");
        assert!(
            !shown.contains(|c: char| c.is_control() || is_bidi(c)),
            "{shown}"
        );
        assert_eq!(printable("ä → 漢"), "ä → 漢");
        assert_eq!(printable_lines("a\n\tb\u{1b}"), "a\n\tb\\u{1b}");
    }

    #[test]
    fn spans_have_two_units_at_most() {
        let second = 1_000;
        for (ms, text) in [
            (7, "7 ms"),
            (59 * second, "59 s"),
            (60 * second, "1 min"),
            (3_600 * second, "1 h"),
            (3_720 * second, "1 h 2 min"),
            (90_000 * second, "1 d 1 h"),
            (86_400 * second, "1 d"),
        ] {
            assert_eq!(span(ms), text);
        }
        assert_eq!(ago(5, 9), "now");
        assert_eq!(ago(120_000, 0), "2 min ago");
    }

    #[test]
    fn cutting_counts_characters() {
        assert_eq!(cut("äöü", 3), "äöü");
        assert_eq!(cut("äöüß", 3), "äö…");
        assert_eq!(short_id("äöüß567890"), "äöüß5678");
    }
}
