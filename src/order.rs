//! Sorting by one sort for all types. The standard library's is some 6 KB of the program for each type that is
//! sorted, which pays where lists are long and often sorted: these are not.

use std::cmp::Ordering;

/// Sorts as [`slice::sort_by`] does: equal ones keep their order.
pub fn sort_by<T>(items: &mut [T], compare: impl Fn(&T, &T) -> Ordering) {
    let mut places: Vec<usize> = (0..items.len()).collect();
    sort_places(&mut places, &|a, b| compare(&items[a], &items[b]));
    // Each place says whose item belongs there: round by round, until the first is reached again.
    for start in 0..items.len() {
        let mut at = start;
        loop {
            let from = std::mem::replace(&mut places[at], at);
            if from == start {
                break;
            }
            items.swap(at, from);
            at = from;
        }
    }
}

/// Sorts as [`slice::sort_by_key`] does.
pub fn sort_by_key<T, K: Ord>(items: &mut [T], key: impl Fn(&T) -> K) {
    sort_by(items, |a, b| key(a).cmp(&key(b)));
}

fn sort_places(places: &mut [usize], compare: &dyn Fn(usize, usize) -> Ordering) {
    places.sort_by(|a, b| compare(*a, *b));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_sorts_as_the_standard_library_does() {
        let mut seed = 7u64;
        for len in 0..60 {
            let mut items: Vec<(u64, usize)> = Vec::new();
            for n in 0..len {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                items.push((seed >> 61, n));
            }
            let mut expected = items.clone();
            expected.sort_by_key(|item| item.0);
            let mut reversed = items.clone();
            sort_by_key(&mut items, |item| item.0);
            assert_eq!(items, expected);
            expected.sort_by(|a, b| b.cmp(a));
            sort_by(&mut reversed, |a, b| b.cmp(a));
            assert_eq!(reversed, expected);
        }
    }
}
