//! A command as people see it: all of it, and nothing in it that changes how the rest looks.

/// The text with every character visible: control characters, those that change the direction of
/// writing, and those without width are written as `\u{…}`; blanks at the end too.
pub fn shown(text: &str) -> String {
    let end = text.trim_end_matches(' ').len();
    let mut out = String::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        if at >= end || is_hidden(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

fn is_hidden(c: char) -> bool {
    let is_blank = c.is_whitespace() && c != ' ';
    is_blank
        || c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_hidden_and_nothing_is_left_out() {
        assert_eq!(shown("ls -l 'ä'"), "ls -l 'ä'");
        assert_eq!(shown("ls\nrm\r\x1b[2K"), r"ls\u{a}rm\u{d}\u{1b}[2K");
        assert_eq!(shown("ls \u{202e}fr- mr"), r"ls \u{202e}fr- mr");
        assert_eq!(
            shown("a\u{200b}b\u{a0}c\u{e0041}"),
            r"a\u{200b}b\u{a0}c\u{e0041}"
        );
        assert_eq!(shown("ls  "), r"ls\u{20}\u{20}");
        let long = format!("{}\nend", "x".repeat(64 * 1024));
        assert!(shown(&long).ends_with(r"x\u{a}end"));
    }
}
