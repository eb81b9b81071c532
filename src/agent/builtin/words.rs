//! Plain words out of what an operator typed, and whether two of them mean the same key.

/// Words of a text: lower case letters and digits, apostrophes dropped ("what's" is "whats").
pub(super) fn words(text: &str) -> Vec<String> {
    text.split(|c: char| !(c.is_alphanumeric() || is_apostrophe(c)))
        .map(|word| {
            word.chars()
                .filter(|c| !is_apostrophe(*c))
                .flat_map(char::to_lowercase)
                .collect()
        })
        .filter(|word: &String| !word.is_empty())
        .collect()
}

/// The parts of a text that may each ask something: cut at sentence marks that a blank or the
/// end follows (so that addresses stay whole), at line ends, and at the word "and".
pub(super) fn clauses(text: &str) -> Vec<Vec<String>> {
    let mut clauses = Vec::new();
    for line in text.lines() {
        for sentence in sentences(line) {
            clauses.extend(
                words(sentence)
                    .split(|word| word == "and")
                    .map(<[String]>::to_vec),
            );
        }
    }
    clauses.retain(|clause| !clause.is_empty());
    clauses
}

/// The likeness of a word that is the key, but for its ending.
pub(super) const SAME: u32 = 4;
/// The likeness of a word that is the key but for one slip of the finger.
const SLIP: u32 = 3;

/// How well `word` matches `key`: [`SAME`], [`SLIP`] if they have five letters or more, or 0.
pub(super) fn likeness(word: &str, key: &str) -> u32 {
    if word == key || stem(word) == stem(key) {
        return SAME;
    }
    let long_enough = key.chars().count() >= 5;
    let same_start = word.chars().next() == key.chars().next();
    if long_enough && same_start && one_slip(word, key) {
        SLIP
    } else {
        0
    }
}

fn is_apostrophe(c: char) -> bool {
    matches!(c, '\'' | '\u{2019}')
}

fn sentences(line: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut start = 0;
    for (at, c) in line.char_indices() {
        let next = at + c.len_utf8();
        let ends = line[next..].chars().next().is_none_or(char::is_whitespace);
        if ends && matches!(c, '.' | '!' | '?' | ';' | ',' | ':') {
            parts.push(&line[start..at]);
            start = next;
        }
    }
    parts.push(&line[start..]);
    parts
}

/// Without the plural's or the gerund's ending. Short words are left as they are.
fn stem(word: &str) -> &str {
    if word.len() > 3
        && let Some(rest) = word.strip_suffix('s')
        && !rest.ends_with(['s', 'u', 'i'])
    {
        return rest;
    }
    match word.strip_suffix("ing") {
        Some(rest) if rest.len() > 3 => rest,
        _ => word,
    }
}

/// One letter too many, too few, another, or two swapped.
fn one_slip(a: &str, b: &str) -> bool {
    let a: Vec<char> = a.chars().collect();
    let b: Vec<char> = b.chars().collect();
    let (short, long) = if a.len() <= b.len() {
        (&a, &b)
    } else {
        (&b, &a)
    };
    let same = short
        .iter()
        .zip(long.iter())
        .take_while(|(x, y)| x == y)
        .count();
    match long.len() - short.len() {
        0 => {
            let swapped = same + 1 < long.len()
                && short[same] == long[same + 1]
                && short[same + 1] == long[same]
                && short[same + 2..] == long[same + 2..];
            swapped || short.get(same + 1..) == long.get(same + 1..)
        }
        1 => short[same..] == long[same + 1..],
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_lower_case_without_marks() {
        assert_eq!(words("What's the  STATUS?!"), ["whats", "the", "status"]);
        assert_eq!(words("What\u{2019}s up"), ["whats", "up"]);
        assert!(words(" -- ?! ").is_empty());
    }

    #[test]
    fn clauses_end_at_marks_and_at_and_but_not_inside_addresses() {
        assert_eq!(
            clauses("Status, please. And who is here?\nok"),
            [
                vec!["status"],
                vec!["please"],
                vec!["who", "is", "here"],
                vec!["ok"],
            ]
        );
        assert_eq!(clauses("ws://10.0.0.1:18789").len(), 1);
        assert!(clauses("").is_empty());
    }

    #[test]
    fn endings_and_single_slips_are_forgiven() {
        for (word, key) in [
            ("sessions", "session"),
            ("status", "status"),
            ("pairing", "pair"),
            ("nodes", "node"),
        ] {
            assert_eq!(likeness(word, key), SAME, "{word} {key}");
        }
        for word in ["statsu", "staus", "statuss", "stztus"] {
            assert_eq!(likeness(word, "status"), SLIP, "{word}");
        }
        for (word, key) in [
            ("wealth", "health"),
            ("tine", "time"),
            ("stat", "status"),
            ("satus", "statue"),
            ("", "status"),
        ] {
            assert_eq!(likeness(word, key), 0, "{word} {key}");
        }
    }
}
