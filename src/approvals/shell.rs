//! A shell's text, taken apart as far as that is certain.
//!
//! Only words, quotes, pipes and chains are understood. Everything by which a shell makes other
//! text out of text, redirects or nests is refused, so what is found is all that the shell starts.

use super::programs::is_shell_word;

/// Why a text is not certain to start only what was found in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShellFault {
    /// A character that the shell acts upon.
    Acts(char),
    /// A quote or backslash without its end.
    Open,
    /// Nothing between two chain signs, or nothing at all.
    Empty,
    /// A program named by something else than plain characters, such as `A=1` before it.
    OddProgram,
    /// A word that the shell takes itself.
    Word,
}

/// The words of each program that the text starts.
pub fn programs(text: &str) -> Result<Vec<Vec<String>>, ShellFault> {
    let mut found = Vec::new();
    let mut words = Vec::new();
    // None between words; a quoted empty word is Some.
    let mut word: Option<String> = None;
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            ' ' | '\t' => words.extend(word.take()),
            ';' | '|' | '&' => {
                // `&&`, `||`, `|` and `;` chain; a lone `&` or `|&` does more.
                let doubled = rest.next_if_eq(&c).is_some();
                let chains = match c {
                    '&' => doubled,
                    '|' => rest.peek() != Some(&'&'),
                    _ => !doubled,
                };
                if !chains {
                    return Err(ShellFault::Acts(c));
                }
                words.extend(word.take());
                found.push(program(std::mem::take(&mut words))?);
            }
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match rest.next().ok_or(ShellFault::Open)? {
                        '\'' => break,
                        c => word.push(plain(c)?),
                    }
                }
            }
            '"' => quoted(&mut rest, word.get_or_insert_default())?,
            '\\' => {
                let c = rest.next().ok_or(ShellFault::Open)?;
                word.get_or_insert_default().push(plain(c)?);
            }
            '$' | '`' | '<' | '>' | '(' | ')' | '{' | '}' | '#' | '!' => {
                return Err(ShellFault::Acts(c));
            }
            c => word.get_or_insert_default().push(plain(c)?),
        }
    }
    words.extend(word);
    found.push(program(words)?);
    Ok(found)
}

/// What stands between double quotes; the opening one was taken.
fn quoted(
    rest: &mut std::iter::Peekable<std::str::Chars<'_>>,
    word: &mut String,
) -> Result<(), ShellFault> {
    loop {
        match rest.next().ok_or(ShellFault::Open)? {
            '"' => return Ok(()),
            c @ ('$' | '`' | '!') => return Err(ShellFault::Acts(c)),
            '\\' => match rest.next().ok_or(ShellFault::Open)? {
                c @ ('"' | '\\' | '$' | '`') => word.push(c),
                c => {
                    word.push('\\');
                    word.push(plain(c)?);
                }
            },
            c => word.push(plain(c)?),
        }
    }
}

/// A line's end ends a command too, and no other control character has a place in one.
fn plain(c: char) -> Result<char, ShellFault> {
    if c.is_control() && c != '\t' {
        return Err(ShellFault::Acts(c));
    }
    Ok(c)
}

/// The words of one program, if its name is a name.
fn program(words: Vec<String>) -> Result<Vec<String>, ShellFault> {
    let name = words.first().ok_or(ShellFault::Empty)?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_./+-,:@%".contains(c);
    if name.is_empty() || !name.chars().all(is_plain) {
        return Err(ShellFault::OddProgram);
    }
    if is_shell_word(name) {
        return Err(ShellFault::Word);
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        let found = programs(text).unwrap_or_else(|fault| panic!("{text}: {fault:?}"));
        found.into_iter().map(|words| words.join("|")).collect()
    }

    #[test]
    fn words_quotes_pipes_and_chains_are_taken_apart() {
        assert_eq!(names("uptime"), ["uptime"]);
        assert_eq!(names("  ls  -l\t/tmp "), ["ls|-l|/tmp"]);
        assert_eq!(names("a 'b c' \"d e\" f\\ g ''"), ["a|b c|d e|f g|"]);
        assert_eq!(names("a|b&&c||d;e"), ["a", "b", "c", "d", "e"]);
        assert_eq!(names("a ';' \"&&\" \\|"), ["a|;|&&||"]);
        assert_eq!(names(r#"a "\"" b"#), [r#"a|"|b"#]);
        assert_eq!(names(r#"a "\x" '$HOME'"#), [r"a|\x|$HOME"]);
    }

    /// The reference's reader takes the quote behind a backslash for the end of the text.
    #[test]
    fn a_quoted_quote_hides_nothing() {
        assert_eq!(names(r#"echo "\"; rm -rf /; \"""#).len(), 1);
        assert_eq!(names(r#"echo "\\"; rm"#), [r"echo|\", "rm"]);
    }

    #[test]
    fn what_makes_other_text_or_does_more_is_refused() {
        for text in [
            "ls $(rm x)",
            "ls `rm x`",
            "ls \"$(rm x)\"",
            "ls \"`rm`\"",
            "ls $HOME",
            "ls > /etc/x",
            "ls < x",
            "ls <(rm)",
            "(ls)",
            "{ ls; }",
            "ls & rm",
            "ls &",
            "ls |& rm",
            "ls\nrm",
            "ls\rrm",
            "ls\\\nx",
            "ls 'a\nb'",
            "ls \0",
            "ls ;; rm",
            "!ls",
            "ls # x",
        ] {
            assert!(programs(text).is_err(), "{text:?}");
        }
        for text in ["ls 'x", "ls \"x", "ls x\\"] {
            assert_eq!(programs(text), Err(ShellFault::Open), "{text}");
        }
        for text in ["", "  ", "ls &&", "| ls", "ls || ; rm", "ls ;"] {
            assert_eq!(programs(text), Err(ShellFault::Empty), "{text}");
        }
    }

    #[test]
    fn a_program_has_a_plain_name_that_the_shell_does_not_take() {
        for text in [
            "A=1 ls",
            "~/x",
            "l*",
            "l?",
            "[ls]",
            "'ls '",
            "\u{202e}ls",
            "''",
            "=ls",
        ] {
            assert_eq!(programs(text), Err(ShellFault::OddProgram), "{text}");
        }
        for text in [
            "eval ls",
            "cd /tmp && ./ls",
            ". x",
            "exec rm",
            "if ls",
            "e'v'al x",
        ] {
            assert_eq!(programs(text), Err(ShellFault::Word), "{text}");
        }
    }
}
