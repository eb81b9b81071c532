//! The text of a page: what a reader would see of it, roughly.

/// Tags whose content nobody reads.
const SILENT: &[&str] = &["script", "style", "noscript", "template", "svg", "iframe"];
/// Tags that stand on lines of their own.
const BLOCKS: &[&str] = &[
    "address",
    "article",
    "aside",
    "blockquote",
    "br",
    "dd",
    "div",
    "dl",
    "dt",
    "footer",
    "form",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "header",
    "hr",
    "li",
    "main",
    "nav",
    "ol",
    "p",
    "pre",
    "section",
    "table",
    "title",
    "tr",
    "ul",
];

/// The text of an HTML page. Anything is some page: nothing fails.
pub fn text(html: &str) -> String {
    let mut out = String::new();
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        say(&mut out, &rest[..at]);
        rest = &rest[at..];
        if let Some(comment) = rest.strip_prefix("<!--") {
            rest = comment.find("-->").map_or("", |end| &comment[end + 3..]);
            continue;
        }
        let Some(end) = rest.find('>') else { break };
        let tag = rest[1..end].trim_start_matches('/');
        let name = tag
            .split(|c: char| !c.is_ascii_alphanumeric())
            .next()
            .unwrap_or("");
        let name = name.to_ascii_lowercase();
        let opens = !rest.starts_with("</") && !tag.ends_with('/');
        rest = &rest[end + 1..];
        if SILENT.contains(&name.as_str()) && opens {
            rest = behind(rest, &name);
        } else if BLOCKS.contains(&name.as_str()) {
            end_line(&mut out, &name);
        }
    }
    say(&mut out, rest);
    out.trim().to_owned()
}

/// What follows the end of a tag's content.
fn behind<'a>(rest: &'a str, name: &str) -> &'a str {
    let end = format!("</{name}");
    let bytes = rest.as_bytes();
    let at = bytes
        .windows(end.len())
        .position(|window| window.eq_ignore_ascii_case(end.as_bytes()));
    // The tag's name is ASCII, so the place is a boundary of characters.
    at.map_or("", |at| &rest[at..])
}

fn end_line(out: &mut String, name: &str) {
    let wanted = match name {
        "br" | "li" | "tr" | "dd" | "dt" | "div" => "\n",
        _ => "\n\n",
    };
    let kept = out.trim_end().len();
    if kept == 0 {
        return out.clear();
    }
    let breaks = out[kept..].matches('\n').count().max(wanted.len()).min(2);
    out.truncate(kept);
    out.push_str(&"\n".repeat(breaks));
    if name == "li" {
        out.push_str("- ");
    }
}

/// Adds a text with its blanks as a browser shows them.
fn say(out: &mut String, text: &str) {
    let text = unescaped(text);
    for c in text.chars() {
        match c.is_whitespace() {
            true if out.is_empty() || out.ends_with([' ', '\n']) => {}
            true => out.push(' '),
            false => out.push(c),
        }
    }
}

fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let end = rest.bytes().take(12).position(|byte| byte == b';');
        match end.and_then(|end| Some((entity(&rest[1..end])?, end))) {
            Some((c, end)) => {
                out.push(c);
                rest = &rest[end + 1..];
            }
            None => {
                out.push('&');
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
    out
}

fn entity(name: &str) -> Option<char> {
    Some(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => ' ',
        "ndash" => '–',
        "mdash" => '—',
        "hellip" => '…',
        "copy" => '©',
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16),
                None => number.parse(),
            };
            char::from_u32(code.ok()?).filter(|c| !c.is_control())?
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_reader_sees_is_left() {
        let html = "<!DOCTYPE html><title>A</title><style>p{}</style><!-- x > y -->\n<p>one\n \
                    two<br>three <b>bold</b></p><ul><li>x<li>y</ul><SCRIPT>if(a<b)</SCRIPT>end";
        assert_eq!(text(html), "A\n\none two\nthree bold\n\n- x\n- y\n\nend");
    }

    #[test]
    fn nonsense_is_a_page_too() {
        for odd in [
            "",
            "<",
            "<>",
            "</",
            "<script>",
            "a < b",
            "&",
            "&#xd800;",
            "&#99999999999;",
            "é<é>é",
        ] {
            text(odd);
        }
        assert_eq!(
            text("1 &lt; 2 &#x26; &#51; &unknown; &"),
            "1 < 2 & 3 &unknown; &"
        );
        assert_eq!(text("<p>a</p><script>x"), "a");
    }
}
