//! Masked text in pieces, against the standard library and a loop over bytes.

use crate::wire::mask::{rotate, unmask};
use crate::wire::utf8::{Utf8, check};

/// The first five bytes are the length of a piece and a key; the rest is unmasked and checked.
///
/// # Panics
///
/// When a byte, or the verdict on the text, is another one than theirs.
pub fn text(bytes: &[u8]) {
    let Some(([cut, key @ ..], masked)) = bytes.split_first_chunk::<5>() else {
        return;
    };
    let expected: Vec<u8> = masked
        .iter()
        .zip(key.iter().cycle())
        .map(|(byte, key)| byte ^ key)
        .collect();
    let theirs = str::from_utf8(&expected);
    assert_eq!(check(&expected).is_ok(), theirs.is_ok());

    let (mut plain, mut key) = (masked.to_vec(), *key);
    let (mut state, mut done) = (Utf8::default(), 0);
    let mut bad_until = None;
    for piece in plain.chunks_mut(usize::from(*cut).max(1)) {
        let is_ascii = unmask(piece, key);
        key = rotate(key, piece.len());
        assert_eq!(is_ascii, piece.is_ascii(), "at {done}");
        done += piece.len();
        if bad_until.is_none() && state.push(piece).is_err() {
            bad_until = Some(done);
        }
    }
    assert_eq!(plain, expected);
    match (theirs, bad_until) {
        (Ok(_), None) => assert!(state.is_whole()),
        // The bytes of a character that never came to its end.
        (Err(error), None) => assert!(error.error_len().is_none() && !state.is_whole()),
        (theirs, Some(until)) => {
            let error = theirs.expect_err("refused here alone");
            let len = error.error_len().expect("refused before its end");
            let first_bad = error.valid_up_to() + len;
            let cut = usize::from(*cut).max(1);
            assert!(
                first_bad <= until && until <= first_bad + cut,
                "noticed late"
            );
        }
    }
}
