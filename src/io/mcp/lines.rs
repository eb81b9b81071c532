//! A stream of bytes as lines, none longer than a bound.

/// Bytes that are no whole line yet.
pub struct Lines {
    held: Vec<u8>,
    /// How many of them are known to hold no end of a line.
    looked: usize,
    bytes_max: usize,
}

impl Lines {
    pub fn new(bytes_max: usize) -> Self {
        Self {
            held: Vec::new(),
            looked: 0,
            bytes_max,
        }
    }

    /// Takes what was read.
    pub fn push(&mut self, bytes: &[u8]) {
        self.held.extend_from_slice(bytes);
    }

    /// The next whole line, without its end; what is no text in it is replaced.
    pub fn next(&mut self) -> Option<String> {
        let end = self.held[self.looked..].iter().position(|it| *it == b'\n');
        let Some(len) = end.map(|len| self.looked + len) else {
            self.looked = self.held.len();
            return None;
        };
        self.looked = 0;
        let line: Vec<u8> = self.held.drain(..=len).collect();
        let text = String::from_utf8_lossy(&line);
        Some(text.trim_end_matches(['\r', '\n']).to_owned())
    }

    /// Whether the line that has begun is longer than any may be.
    pub fn is_too_long(&self) -> bool {
        self.held.len() > self.bytes_max
    }

    /// What there is, as if it were a whole line.
    pub fn cut(&mut self) -> String {
        self.looked = 0;
        let held = std::mem::take(&mut self.held);
        String::from_utf8_lossy(&held).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_whole_however_they_were_cut() {
        let text = "one\r\ntwo\n\nthré\n";
        for size in 1..text.len() {
            let mut lines = Lines::new(8);
            let mut heard = Vec::new();
            for piece in text.as_bytes().chunks(size) {
                lines.push(piece);
                heard.extend(std::iter::from_fn(|| lines.next()));
            }
            assert_eq!(heard, ["one", "two", "", "thré"], "{size}");
            assert!(!lines.is_too_long());
        }
    }

    #[test]
    fn a_line_without_an_end_is_too_long() {
        let mut lines = Lines::new(8);
        lines.push(b"123456789");
        assert_eq!(lines.next(), None);
        assert!(lines.is_too_long());
        assert_eq!(lines.cut(), "123456789");
        assert!(!lines.is_too_long());
    }
}
