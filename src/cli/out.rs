//! Printing: plain by default, painted on a terminal, JSON when asked for.

use std::borrow::Cow;
use std::io::{self, BufWriter, IsTerminal, Write};

use serde_json::Value;

use super::hint::Hints;
use super::text::printable;

/// How a piece of text stands out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paint {
    Plain,
    Bold,
    Dim,
    Good,
    Warning,
    Bad,
}

/// Where a command prints.
pub struct Out {
    sink: BufWriter<Box<dyn Write>>,
    /// Paint, and show what is only for somebody who watches.
    terminal: bool,
    color: bool,
    json: bool,
    hints: Hints,
}

impl Out {
    /// Standard output. Colours only on a terminal, and not with `NO_COLOR` or `--no-color`.
    pub fn stdout(json: bool, no_color: bool, hints: Hints) -> Self {
        let terminal = io::stdout().is_terminal();
        Self {
            sink: BufWriter::new(Box::new(io::stdout())),
            terminal,
            color: terminal && !no_color && !color_unwanted(),
            json,
            hints,
        }
    }

    /// Whether JSON was asked for.
    pub fn wants_json(&self) -> bool {
        self.json
    }

    /// Whether a person watches.
    pub fn is_terminal(&self) -> bool {
        self.terminal && !self.json
    }

    /// `text`, painted where colours are wanted.
    pub fn paint<'a>(&self, paint: Paint, text: &'a str) -> Cow<'a, str> {
        match code(paint) {
            Some(code) if self.color && !text.is_empty() => {
                Cow::Owned(format!("\u{1b}[{code}m{text}\u{1b}[0m"))
            }
            _ => Cow::Borrowed(text),
        }
    }

    /// One line.
    pub fn line(&mut self, text: &str) -> io::Result<()> {
        self.sink.write_all(text.as_bytes())?;
        self.sink.write_all(b"\n")
    }

    /// A part of a line, at once.
    pub fn part(&mut self, text: &str) -> io::Result<()> {
        self.sink.write_all(text.as_bytes())?;
        self.flush()
    }

    /// `text`, its commands to paste made for the profile of this one.
    pub fn hinted<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.hints.of(text)
    }

    /// A line of advice.
    pub fn hint(&mut self, text: &str) -> io::Result<()> {
        let line = self.hinted(text);
        let line = self.paint(Paint::Dim, &line).into_owned();
        self.line(&line)
    }

    /// A good end.
    pub fn done(&mut self, text: &str) -> io::Result<()> {
        let line = format!("{} {}", self.paint(Paint::Good, "✓"), printable(text));
        self.line(&line)
    }

    /// A heading.
    pub fn heading(&mut self, text: &str) -> io::Result<()> {
        let text = self.paint(Paint::Bold, text).into_owned();
        self.line(&text)
    }

    /// `name` in a column of its own, then what it is.
    pub fn field(&mut self, name: &str, paint: Paint, value: &str) -> io::Result<()> {
        const NAME_WIDTH: usize = 11;
        let value = printable(value);
        let line = format!(
            "  {}  {}",
            self.paint(Paint::Dim, &format!("{name:<NAME_WIDTH$}")),
            self.paint(paint, &value)
        );
        self.line(&line)
    }

    /// A value as JSON.
    pub fn json(&mut self, value: &Value) -> io::Result<()> {
        serde_json::to_writer_pretty(&mut self.sink, value)?;
        self.sink.write_all(b"\n")
    }

    /// A value as JSON on one line.
    pub fn json_line(&mut self, value: &Value) -> io::Result<()> {
        serde_json::to_writer(&mut self.sink, value)?;
        self.sink.write_all(b"\n")
    }

    /// Everything printed so far becomes visible.
    pub fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
    }
}

/// Whether the environment asks for no colours (`NO_COLOR` set to anything but nothing).
pub fn color_unwanted() -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    set("NO_COLOR") || std::env::var_os("TERM").is_some_and(|term| term == "dumb")
}

/// The SGR code of a paint.
pub fn code(paint: Paint) -> Option<&'static str> {
    match paint {
        Paint::Plain => None,
        Paint::Bold => Some("1"),
        Paint::Dim => Some("2"),
        Paint::Good => Some("32"),
        Paint::Warning => Some("33"),
        Paint::Bad => Some("31"),
    }
}

#[cfg(test)]
pub use buffer::Buffer;

#[cfg(test)]
mod buffer {
    use super::*;
    use std::sync::{Arc, Mutex};

    /// What a test printed.
    #[derive(Clone, Default)]
    pub struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl Buffer {
        /// As text.
        pub fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Out {
        /// A place for a test to print to.
        pub fn buffer(color: bool) -> (Self, Buffer) {
            let buffer = Buffer::default();
            let out = Self {
                sink: BufWriter::new(Box::new(buffer.clone())),
                terminal: color,
                color,
                json: false,
                hints: Hints::default(),
            };
            (out, buffer)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_only_where_they_are_wanted() {
        let (plain, _) = Out::buffer(false);
        assert_eq!(plain.paint(Paint::Bad, "x"), "x");
        let (painted, _) = Out::buffer(true);
        assert_eq!(painted.paint(Paint::Bad, "x"), "\u{1b}[31mx\u{1b}[0m");
        assert_eq!(painted.paint(Paint::Plain, "x"), "x");
    }
}
