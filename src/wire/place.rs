//! A number that is filled in after the JSON around it was written.

/// Digits of a place that is written first and filled later, such as an event's `seq`.
///
/// RFC 8259 2 allows blanks before a value, so a number shorter than the place stays valid.
pub const PLACE_DIGITS: usize = 16;

/// Writes `value` into a place made by [`Writer::place`](super::json::Writer::place), right-aligned and blank-padded; its
/// lowest digits where it has more than fit.
#[inline(always)]
pub fn fill_place(place: &mut [u8; PLACE_DIGITS], mut value: u64) {
    // Blanks in one store, then as few digits as there are, two at a time.
    *place = [b' '; PLACE_DIGITS];
    for pair in place.as_chunks_mut::<2>().0.iter_mut().rev() {
        if value < 100 {
            *pair = FIRST_PAIRS[value as usize];
            return;
        }
        *pair = PAIRS[(value % 100) as usize];
        value /= 100;
    }
}

/// "00" to "99".
const PAIRS: [[u8; 2]; 100] = pairs(b'0');
/// " 0" to "99", for the pair that a number begins with.
const FIRST_PAIRS: [[u8; 2]; 100] = pairs(b' ');

const fn pairs(before_one_digit: u8) -> [[u8; 2]; 100] {
    let mut pairs = [[before_one_digit; 2]; 100];
    let mut number = 0;
    while number < 100 {
        if number >= 10 {
            pairs[number][0] = b'0' + number as u8 / 10;
        }
        pairs[number][1] = b'0' + number as u8 % 10;
        number += 1;
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_every_length_fill_a_place() {
        for value in (0..=15).flat_map(|power| [10_u64.pow(power), 10_u64.pow(power) - 1, 7]) {
            let mut place = [b'x'; PLACE_DIGITS];
            fill_place(&mut place, value);
            let expected = format!("{value:>width$}", width = PLACE_DIGITS);
            assert_eq!(std::str::from_utf8(&place), Ok(expected.as_str()));
        }
    }
}
