//! Markdown as models write it, read into styled pieces and cut to the length that a service takes.
//!
//! Only what chat services can show is read: bold, italic, strike-through, code, links, headings and
//! lists. What is not closed is text. A cut never falls into a character, and a style that goes over
//! a cut is closed before it and opened again behind it, since each piece carries its own.

/// How a piece of text is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Style {
    pub bold: bool,
    pub italic: bool,
    pub strike: bool,
    pub code: bool,
    /// A block of code, with its language, maybe empty.
    pub pre: Option<String>,
    pub link: Option<String>,
}

/// A text of one style.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    pub text: String,
    pub style: Style,
}

/// Reads a text.
pub fn parse(text: &str) -> Vec<Span> {
    let mut spans = Spans::default();
    let mut lines = text.lines().peekable();
    let mut is_first = true;
    while let Some(line) = lines.next() {
        if !std::mem::take(&mut is_first) {
            spans.push("\n", &Style::default());
        }
        let start = line.trim_start();
        if let Some(language) = start.strip_prefix("```")
            && !language.contains('`')
        {
            let mut body = Vec::new();
            for line in lines.by_ref() {
                if line.trim_start().starts_with("```") {
                    break;
                }
                body.push(line);
            }
            let style = Style {
                pre: Some(language.trim().to_owned()),
                ..Style::default()
            };
            spans.push(&body.join("\n"), &style);
            continue;
        }
        block(line, &mut spans);
    }
    spans.0
}

/// One line outside of code: a heading, an entry of a list, or plain.
fn block(line: &str, spans: &mut Spans) {
    let start = line.trim_start();
    let indent = &line[..line.len() - start.len()];
    let hashes = start.chars().take_while(|c| *c == '#').count();
    let mut style = Style::default();
    let rest = match start.get(hashes..).and_then(|it| it.strip_prefix(' ')) {
        Some(heading) if (1..=6).contains(&hashes) => {
            style.bold = true;
            heading.trim_start()
        }
        _ => match ["- ", "* ", "+ "]
            .iter()
            .find_map(|mark| start.strip_prefix(mark))
        {
            Some(entry) => {
                spans.push(indent, &style);
                spans.push("• ", &style);
                entry
            }
            None => line,
        },
    };
    inline(rest, &style, spans);
}

/// Bytes from a mark to where it closes.
const REACH_BYTES_MAX: usize = 1_024;
/// The marks within a line, the longest first.
const MARKS: [&str; 5] = ["**", "__", "~~", "*", "_"];

fn inline(text: &str, style: &Style, spans: &mut Spans) {
    let mut plain = 0;
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        match special(text, at, style) {
            Some((inner, inner_style, end)) => {
                spans.push(&text[plain..at], style);
                match inner_style.code {
                    true => spans.push(inner, &inner_style),
                    false => inline(inner, &inner_style, spans),
                }
                (plain, at) = (end, end);
            }
            None if c == '\\' && text[at + 1..].starts_with(is_mark) => {
                spans.push(&text[plain..at], style);
                plain = at + 1;
                at += 2;
            }
            None => at += c.len_utf8(),
        }
    }
    spans.push(&text[plain..], style);
}

fn is_mark(c: char) -> bool {
    "\\`*_~[]()#-".contains(c)
}

/// What begins at `at`: its inner text, its style, and where it ends.
fn special<'a>(text: &'a str, at: usize, style: &Style) -> Option<(&'a str, Style, usize)> {
    let rest = window(&text[at..]);
    if rest.starts_with('`') {
        let ticks = rest.bytes().take_while(|byte| *byte == b'`').count();
        let fence = &rest[..ticks];
        let len = rest[ticks..].find(fence)?;
        let inner = rest[ticks..ticks + len].trim();
        let code = Style {
            code: true,
            ..style.clone()
        };
        return (!inner.is_empty()).then_some((inner, code, at + 2 * ticks + len));
    }
    if rest.starts_with('[') && style.link.is_none() {
        let (inner, behind) = rest[1..].split_once("](")?;
        let (url, _) = behind.split_once(')')?;
        let is_link = ["https://", "http://", "tg://", "mailto:"]
            .iter()
            .any(|scheme| url.starts_with(scheme));
        let link = Style {
            link: Some(url.to_owned()),
            ..style.clone()
        };
        let fits = is_link && !inner.is_empty() && !inner.contains('[');
        return fits.then_some((inner, link, at + inner.len() + url.len() + 4));
    }
    let mark = MARKS.into_iter().find(|mark| rest.starts_with(mark))?;
    let before = text[..at].chars().next_back();
    // snake_case is a name, not emphasis.
    if mark.starts_with('_') && before.is_some_and(char::is_alphanumeric) {
        return None;
    }
    let body = &rest[mark.len()..];
    let len = end_of(body, mark)?;
    let inner = &body[..len];
    let mut inner_style = style.clone();
    match mark {
        "**" | "__" => inner_style.bold = true,
        "~~" => inner_style.strike = true,
        _ => inner_style.italic = true,
    }
    Some((inner, inner_style, at + 2 * mark.len() + len))
}

/// As much of a text as a mark may reach over: what a text costs grows with its length alone.
fn window(text: &str) -> &str {
    let end = text.len().min(REACH_BYTES_MAX);
    let end = (0..=end).rfind(|at| text.is_char_boundary(*at));
    &text[..end.unwrap_or(0)]
}

/// Where a mark closes: not right behind its opening, not after a blank, not within a longer mark.
fn end_of(body: &str, mark: &str) -> Option<usize> {
    if body.starts_with(char::is_whitespace) {
        return None;
    }
    let mut from = 0;
    loop {
        let len = from + body[from..].find(mark)?;
        let behind = &body[len + mark.len()..];
        let sign = &mark[..1];
        let is_longer =
            mark.len() == 1 && (behind.starts_with(sign) || body[..len].ends_with(sign));
        let in_word = sign == "_" && behind.starts_with(char::is_alphanumeric);
        if len > 0 && !body[..len].ends_with(char::is_whitespace) && !is_longer && !in_word {
            return Some(len);
        }
        from = len + mark.len();
    }
}

#[derive(Default)]
struct Spans(Vec<Span>);

impl Spans {
    fn push(&mut self, text: &str, style: &Style) {
        if text.is_empty() {
            return;
        }
        match self.0.last_mut() {
            Some(last) if last.style == *style => last.text.push_str(text),
            _ => self.0.push(Span {
                text: text.to_owned(),
                style: style.clone(),
            }),
        }
    }
}

/// Cuts a text into pieces of at most `units_max` UTF-16 units each: at an empty line, else at the
/// end of a line, else between words, else between characters. Blanks at a cut are left out.
pub fn split(spans: &[Span], units_max: usize) -> Vec<Vec<Span>> {
    let text: String = spans.iter().map(|span| span.text.as_str()).collect();
    let mut pieces = Vec::new();
    let mut from = 0;
    while from < text.len() {
        let end = from + cut_at(&text[from..], units_max);
        let piece = slice(spans, from, end);
        if piece.iter().any(|span| !span.text.trim().is_empty()) {
            pieces.push(piece);
        }
        let rest = &text[end..];
        // A new line keeps its indentation.
        let blank: &[char] = match rest.starts_with('\n') {
            true => &['\n', '\r'],
            false => &[' '],
        };
        from = text.len() - rest.trim_start_matches(blank).len();
    }
    pieces
}

/// Bytes of the first piece of a text.
fn cut_at(text: &str, units_max: usize) -> usize {
    let mut units = 0;
    let whole = text
        .char_indices()
        .find(|(_, c)| {
            units += c.len_utf16();
            units > units_max
        })
        .map_or(text.len(), |(at, _)| at);
    if whole == text.len() {
        return whole;
    }
    let head = &text[..whole];
    // A cut far to the left would make many short messages.
    let found = [head.rfind("\n\n"), head.rfind('\n'), head.rfind(' ')];
    let cut = found.into_iter().flatten().find(|at| *at > whole / 2);
    let first_len = text.chars().next().map_or(1, char::len_utf8);
    cut.unwrap_or(whole).max(first_len)
}

fn slice(spans: &[Span], from: usize, end: usize) -> Vec<Span> {
    let mut out = Vec::new();
    let mut at = 0;
    for span in spans {
        let (start, stop) = (at, at + span.text.len());
        at = stop;
        let (first, last) = (from.max(start), end.min(stop));
        if first < last {
            out.push(Span {
                text: span.text[first - start..last - start].to_owned(),
                style: span.style.clone(),
            });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let mark = |span: Span| {
            let Style {
                bold,
                italic,
                strike,
                code,
                pre,
                link,
            } = span.style;
            let mut text = span.text;
            for (is_set, name) in [(code, "c"), (strike, "s"), (italic, "i"), (bold, "b")] {
                if is_set {
                    text = format!("<{name}>{text}</{name}>");
                }
            }
            let pre = pre.map(|language| format!("pre {language}"));
            match pre.or(link) {
                Some(what) => format!("<{what}>{text}</>"),
                None => text,
            }
        };
        parse(text).into_iter().map(mark).collect()
    }

    #[test]
    fn marks_are_styles_and_what_is_not_closed_is_text() {
        for (text, expected) in [
            ("plain", "plain"),
            ("a **b** c", "a <b>b</b> c"),
            ("a *b* _c_ __d__", "a <i>b</i> <i>c</i> <b>d</b>"),
            ("~~no~~", "<s>no</s>"),
            ("**a *b* c**", "<b>a </b><b><i>b</i></b><b> c</b>"),
            ("`x*y*z`", "<c>x*y*z</c>"),
            ("``a`b``", "<c>a`b</c>"),
            ("[site](https://a.b/c_d)", "<https://a.b/c_d>site</>"),
            ("[x](javascript:1)", "[x](javascript:1)"),
            ("snake_case_name", "snake_case_name"),
            ("2 * 3 * 4", "2 * 3 * 4"),
            ("**open", "**open"),
            ("a \\*b\\*", "a *b*"),
            ("# Title", "<b>Title</b>"),
            ("- one\n  * two", "• one\n  • two"),
            ("#hash", "#hash"),
            (
                "```rust\nlet a = *b*;\n```\nx",
                "<pre rust>let a = *b*;</>\nx",
            ),
            ("```\nnever closed", "<pre >never closed</>"),
            ("`", "`"),
            ("", ""),
        ] {
            assert_eq!(shown(text), expected, "{text:?}");
        }
    }

    fn texts(text: &str, max: usize) -> Vec<String> {
        let pieces = split(&parse(text), max);
        let text = |piece: Vec<Span>| piece.into_iter().map(|span| span.text).collect();
        pieces.into_iter().map(text).collect()
    }

    #[test]
    fn a_cut_prefers_paragraphs_lines_and_words() {
        assert_eq!(texts("one two\n\nthree", 12), ["one two", "three"]);
        assert_eq!(texts("one two\nthree", 12), ["one two", "three"]);
        assert_eq!(texts("one two three", 9), ["one two", "three"]);
        assert_eq!(texts("abcdefghij", 4), ["abcd", "efgh", "ij"]);
        assert_eq!(texts("  \n ", 4), Vec::<String>::new());
    }

    #[test]
    fn length_is_counted_in_utf_16_units_and_no_character_is_cut() {
        assert_eq!(texts("😀😀😀", 4), ["😀😀", "😀"]);
        assert_eq!(texts("😀😀", 3), ["😀", "😀"]);
        for (seed, max) in (0..200u32).zip([2, 3, 5, 8, 13].into_iter().cycle()) {
            let letters = ["a", " ", "\n", "é", "😀", "**", "`", "_", "- "];
            let text: String = (0..60)
                .map(|at| letters[(seed.wrapping_mul(31) ^ (at * 7 + seed * at)) as usize % 9])
                .collect();
            for piece in texts(&text, max) {
                assert!(piece.encode_utf16().count() <= max, "{piece:?} of {text:?}");
            }
        }
    }

    #[test]
    fn a_style_goes_on_behind_a_cut() {
        let pieces = split(&parse("**aaaa bbbb**"), 5);
        assert_eq!(pieces.len(), 2);
        assert!(pieces.iter().flatten().all(|span| span.style.bold));
    }
}
