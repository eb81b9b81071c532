//! Pictures in rows of transcripts. They stand there as Base64 and are by far the longest part of a
//! row, so a page of rows has a bound of its own for them.
//!
//! A row is looked at as text, as this program wrote it: Base64 holds no quote, and a quote within a
//! text is escaped, so what is found is a member of that name.

use std::borrow::Cow;

const DATA: &str = "\"data\":\"";
/// What stands before it: in a tool's result, in a person's message.
const BARE: &str = "{\"type\":\"image\",";
const SOURCE: &str = "{\"type\":\"image\",\"source\":{\"type\":\"base64\",\"media_type\":\"image/";

/// Bytes of all pictures' data in a row.
pub fn picture_bytes(body: &str) -> usize {
    spans(body).map(|(from, to)| to - from).sum()
}

/// How many pictures a row holds.
pub fn picture_count(body: &str) -> usize {
    spans(body).count()
}

/// The row with a note in the place of each picture's data.
pub fn without_pictures(body: &str) -> Cow<'_, str> {
    let mut out = String::new();
    let mut copied = 0;
    for (from, to) in spans(body) {
        out += &body[copied..from - DATA.len()];
        // Four characters of Base64 are three bytes.
        out += &format!("\"omitted\":true,\"bytes\":{}", (to - from) / 4 * 3);
        copied = to + 1;
    }
    match copied {
        0 => Cow::Borrowed(body),
        _ => Cow::Owned(out + &body[copied..]),
    }
}

/// Where the data of each picture begins and ends.
fn spans(body: &str) -> impl Iterator<Item = (usize, usize)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let from = at + body.get(at..)?.find(DATA)? + DATA.len();
            let to = from + body[from..].find('"')?;
            at = to + 1;
            if is_picture(&body[..from - DATA.len()]) {
                return Some((from, to));
            }
        }
    })
}

fn is_picture(before: &str) -> bool {
    if before.ends_with(BARE) {
        return true;
    }
    let kind = before.strip_suffix("\",").and_then(|it| {
        let slash = it.rfind('/')?;
        Some(&it[..=slash])
    });
    kind.is_some_and(|it| it.ends_with(SOURCE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn pictures_are_found_counted_and_left_out_and_nothing_else_is() {
        let row = json!({"role": "user", "content": [
            {"type": "text", "text": "{\"type\":\"image\",\"data\":\"no\"} é"},
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAABBBB"}},
            {"type": "image", "data": "CCCC", "mimeType": "image/jpeg"},
            {"type": "toolCall", "arguments": {"data": "kept"}},
        ]});
        let body = row.to_string();
        assert_eq!(picture_bytes(&body), 12);
        let left: Value = serde_json::from_str(&without_pictures(&body)).unwrap();
        assert_eq!(left["content"][0], row["content"][0]);
        let source =
            json!({"type": "base64", "media_type": "image/png", "omitted": true, "bytes": 6});
        assert_eq!(left["content"][1]["source"], source);
        assert_eq!(left["content"][2]["bytes"], 3);
        assert_eq!(left["content"][3], row["content"][3]);
        for plain in [
            "",
            "{}",
            "{\"type\":\"image\",\"data\":\"cut",
            "\"data\":\"",
        ] {
            assert_eq!(
                (picture_bytes(plain), without_pictures(plain).as_ref()),
                (0, plain)
            );
        }
    }
}
