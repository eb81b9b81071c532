//! What an agent said at a heartbeat: nothing to do, or something.

/// The agreed word for "nothing to do".
const TOKEN: &str = "HEARTBEAT_OK";

#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// No word at all.
    Empty,
    /// Nothing to do.
    Nothing,
    Says(String),
}

/// Reads an answer. With the token at its start or end, and no more than `ack_chars_max` besides,
/// it says nothing.
pub fn read(text: &str, ack_chars_max: usize) -> Answer {
    let whole = text.trim();
    if whole.is_empty() {
        return Answer::Empty;
    }
    // Some write it as **HEARTBEAT_OK** or `HEARTBEAT_OK`.
    let is_mark = |c: char| c.is_whitespace() || "*`_~".contains(c);
    let bare = whole.trim_matches(is_mark);
    let rest = bare
        .strip_prefix(TOKEN)
        .or_else(|| bare.trim_end_matches(['.', '!']).strip_suffix(TOKEN));
    match rest.map(|rest| rest.trim_matches(|c| is_mark(c) || ".!:-–—".contains(c))) {
        None => Answer::Says(whole.to_owned()),
        Some(rest) if rest.chars().count() <= ack_chars_max => Answer::Nothing,
        Some(rest) => Answer::Says(rest.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_agreed_word_says_nothing_however_it_is_dressed() {
        for text in [
            "HEARTBEAT_OK",
            " **HEARTBEAT_OK** ",
            "`HEARTBEAT_OK`.",
            "HEARTBEAT_OK — all is quiet",
            "Nothing to do. HEARTBEAT_OK",
            "HEARTBEAT_OK!",
        ] {
            assert_eq!(read(text, 300), Answer::Nothing, "{text}");
        }
        assert_eq!(read(" \n", 300), Answer::Empty);
    }

    #[test]
    fn what_is_more_than_a_nod_is_said() {
        let long = "x".repeat(301);
        assert_eq!(
            read(&format!("HEARTBEAT_OK {long}"), 300),
            Answer::Says(long)
        );
        let alarm = "The disk is full; HEARTBEAT_OK was the last answer before.";
        assert_eq!(read(alarm, 300), Answer::Says(alarm.into()));
    }
}
