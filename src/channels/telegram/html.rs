//! Markdown as the HTML that Telegram reads (Bot API, "HTML style").

use crate::channels::markdown::{Span, Style, parse, split};

/// UTF-16 units of one message, counted without markup.
const UNITS_MAX: usize = 4_096;

/// A text as messages that Telegram takes.
pub fn render(text: &str) -> Vec<String> {
    let pieces = split(&parse(text), UNITS_MAX);
    pieces.iter().map(|piece| html(piece)).collect()
}

fn html(spans: &[Span]) -> String {
    let mut out = String::new();
    for Span { text, style } in spans {
        let (open, close) = tags(style);
        out += &open;
        escape(text, &mut out);
        out += &close;
    }
    out
}

fn tags(style: &Style) -> (String, String) {
    let (mut open, mut close) = (String::new(), String::new());
    let mut wrap = |start: String, end: &str| {
        open += &start;
        close.insert_str(0, end);
    };
    if let Some(url) = &style.link {
        let mut start = String::from("<a href=\"");
        escape(url, &mut start);
        wrap(start + "\">", "</a>");
    }
    for (is_set, name) in [
        (style.bold, "b"),
        (style.italic, "i"),
        (style.strike, "s"),
        (style.code, "code"),
    ] {
        if is_set {
            wrap(format!("<{name}>"), &format!("</{name}>"));
        }
    }
    match style.pre.as_deref() {
        None => {}
        Some("") => wrap("<pre>".into(), "</pre>"),
        Some(language) => {
            let mut start = String::from("<pre><code class=\"language-");
            escape(language, &mut start);
            wrap(start + "\">", "</code></pre>");
        }
    }
    (open, close)
}

fn escape(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // XML has no place for them, and no reader a use.
            c if c.is_control() && c != '\n' && c != '\t' => {}
            c => out.push(c),
        }
    }
}

/// What [`render`] made, without its markup.
pub fn plain(html: &str) -> String {
    let mut out = String::with_capacity(html.len());
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        out += &rest[..at];
        rest = rest[at..].split_once('>').map_or("", |(_, behind)| behind);
    }
    out += rest;
    out.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_is_html_and_text_is_escaped() {
        for (text, expected) in [
            ("a < b & \"c\"", "a &lt; b &amp; &quot;c&quot;"),
            ("**x** _y_", "<b>x</b> <i>y</i>"),
            ("`<b>`", "<code>&lt;b&gt;</code>"),
            (
                "```sh\nls > x\n```",
                "<pre><code class=\"language-sh\">ls &gt; x</code></pre>",
            ),
            (
                "[a](https://b.c/?d=\"e\"&f)",
                "<a href=\"https://b.c/?d=&quot;e&quot;&amp;f\">a</a>",
            ),
            ("a\u{1}b", "ab"),
        ] {
            assert_eq!(render(text), [expected], "{text}");
        }
        assert!(render(" \n").is_empty());
    }

    #[test]
    fn markup_comes_off_again() {
        let text = "a < b & \"c\" **bold** `x<y>`";
        assert_eq!(plain(&render(text)[0]), "a < b & \"c\" bold x<y>");
    }

    #[test]
    fn a_long_answer_is_several_messages_whose_markup_is_whole() {
        let text = format!(
            "**{}**\n```\n{}\n```",
            "word ".repeat(1_500).trim(),
            "x\n".repeat(4_000)
        );
        let pieces = render(&text);
        assert!(pieces.len() >= 4, "{}", pieces.len());
        for piece in &pieces {
            for tag in ["b", "pre"] {
                let count = |what: &str| piece.matches(what).count();
                assert_eq!(count(&format!("<{tag}>")), count(&format!("</{tag}>")));
            }
            let units = plain(piece).encode_utf16().count();
            assert!(units <= UNITS_MAX, "{units}");
        }
    }
}
