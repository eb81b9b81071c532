//! What a person probably meant.

use super::table::{ROWS, STRICT_SECTION};

/// The known name that is nearest to a mistyped one, if any is near.
pub fn nearest<'a>(typed: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let folded = typed.to_lowercase();
    let bound = 1 + typed.chars().count() / 4;
    known
        .map(|name| (distance(&folded, &name.to_lowercase()), name))
        .filter(|(d, _)| *d <= bound)
        .min_by_key(|(d, _)| *d)
        .map(|(_, name)| name)
}

/// The path in the strict section whose last key is this one.
pub fn elsewhere(key: &str) -> Option<&'static str> {
    ROWS.iter()
        .map(|row| row.path)
        .filter(|path| path.split('.').next() == Some(STRICT_SECTION))
        .find(|path| path.rsplit('.').next() == Some(key))
}

/// Letters to insert, remove, change or swap with their neighbour.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().take(64).collect();
    let b: Vec<char> = b.chars().take(64).collect();
    let mut before = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let change = usize::from(a[i - 1] != b[j - 1]);
            row[j] = (last[j] + 1).min(row[j - 1] + 1).min(last[j - 1] + change);
            let swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if swapped {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = last;
        last = row;
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typing_errors_find_their_key() {
        let known = ["port", "bind", "auth", "trustedProxies", "controlUi"];
        let near = |typed| nearest(typed, known.into_iter());
        assert_eq!(near("prot"), Some("port"));
        assert_eq!(near("trustedProxy"), Some("trustedProxies"));
        assert_eq!(near("controlUI"), Some("controlUi"));
        assert_eq!(near("zebra"), None);
    }

    #[test]
    fn a_key_in_the_wrong_place_finds_its_place() {
        assert_eq!(elsewhere("token"), Some("gateway.auth.token"));
        assert_eq!(elsewhere("nothing"), None);
    }
}
