//! UTF-8 checked piece by piece: a character may be cut anywhere, a bad byte is noticed at once.

/// A byte sequence that no UTF-8 text can contain or continue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadUtf8;

/// What a text checked so far left unfinished: the first bytes of one character.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Utf8 {
    begun: [u8; 4],
    begun_len: u8,
}

impl Utf8 {
    /// Checks the next piece of the text; the pieces before it were good.
    pub fn push(&mut self, mut piece: &[u8]) -> Result<(), BadUtf8> {
        while self.begun_len > 0 {
            let Some((&byte, rest)) = piece.split_first() else {
                return Ok(());
            };
            self.push_byte(byte)?;
            piece = rest;
        }
        if piece.is_ascii() {
            return Ok(());
        }
        let Err(error) = std::str::from_utf8(piece) else {
            return Ok(());
        };
        if error.error_len().is_some() {
            return Err(BadUtf8);
        }
        let tail = &piece[error.valid_up_to()..];
        self.begun[..tail.len()].copy_from_slice(tail);
        self.begun_len = tail.len() as u8;
        Ok(())
    }

    /// True when the text may end here: no character is unfinished.
    pub fn is_whole(self) -> bool {
        self.begun_len == 0
    }

    fn push_byte(&mut self, byte: u8) -> Result<(), BadUtf8> {
        let len = usize::from(self.begun_len);
        self.begun[len] = byte;
        match std::str::from_utf8(&self.begun[..=len]) {
            Ok(_) => self.begun_len = 0,
            Err(error) if error.error_len().is_none() => self.begun_len += 1,
            Err(_) => return Err(BadUtf8),
        }
        Ok(())
    }
}

/// Checks a whole text.
pub fn check(text: &[u8]) -> Result<(), BadUtf8> {
    std::str::from_utf8(text).map(|_| ()).map_err(|_| BadUtf8)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The index of the byte that was refused when pushed one at a time, or the verdict at the end.
    fn bytewise(text: &[u8]) -> Result<bool, usize> {
        let mut state = Utf8::default();
        for (index, byte) in text.iter().enumerate() {
            state.push(&[*byte]).map_err(|_| index)?;
        }
        Ok(state.is_whole())
    }

    #[test]
    fn a_character_may_be_cut_anywhere() {
        let text = "κόσμε € 𝄞 \u{10ffff} \u{d7ff} \u{e000} a".as_bytes();
        for cut in 0..=text.len() {
            let mut state = Utf8::default();
            assert_eq!(state.push(&text[..cut]), Ok(()));
            assert_eq!(state.push(&text[cut..]), Ok(()));
            assert!(state.is_whole());
        }
        assert_eq!(bytewise(text), Ok(true));
    }

    #[test]
    fn the_first_bad_byte_is_refused_not_the_last() {
        let cases: [(&[u8], usize); 9] = [
            (b"\x80", 0),
            (b"ab\xff", 2),
            (b"\xc0\x80", 0),
            (b"\xe0\x80\x80", 1),
            (b"\xed\xa0\x80", 1),
            (b"\xf4\x90\x80\x80", 1),
            (b"\xf5\x80\x80\x80", 0),
            (b"\xf0\x80\x80\x80", 1),
            (b"\xce\xba\xe1\xbd\x41", 4),
        ];
        for (text, bad) in cases {
            assert_eq!(bytewise(text), Err(bad), "{text:02x?}");
            assert_eq!(Utf8::default().push(text), Err(BadUtf8), "{text:02x?}");
        }
    }

    #[test]
    fn agrees_with_the_standard_library_however_a_text_is_cut() {
        let mut seed = 7_u64;
        for _ in 0..20_000 {
            seed = seed
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            let text = [0xc3, 0xa9, 0xf0, 0x9d, 0x84, 0x9e, 0xed, 0x9f].map(|byte: u8| {
                if seed >> (byte % 61) & 7 == 0 {
                    byte ^ 0x21
                } else {
                    byte
                }
            });
            let cut = (seed >> 33) as usize % 9;
            let mut state = Utf8::default();
            let pieces = state
                .push(&text[..cut])
                .and_then(|()| state.push(&text[cut..]));
            let whole = pieces.is_ok() && state.is_whole();
            assert_eq!(
                whole,
                std::str::from_utf8(&text).is_ok(),
                "{text:02x?} cut at {cut}"
            );
        }
    }
}
