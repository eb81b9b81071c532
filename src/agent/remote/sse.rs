//! A stream of server-sent events (WHATWG HTML 9.2), of which only the data counts.

use super::failed;
use crate::agent::{FailureKind, StepError, StepSink};
use crate::limits::{MODEL_EVENT_BYTES_MAX, MODEL_STREAM_BYTES_MAX};
use std::io::Read;

const CHUNK_BYTES: usize = 8 * 1024;

/// The events of a stream, one after the other.
pub struct Events<R> {
    stream: R,
    /// Bytes that are no whole line yet, from `at` on.
    held: Vec<u8>,
    at: usize,
    /// How many of them are known to hold no end of a line.
    looked: usize,
    data: String,
    has_data: bool,
    taken_len: usize,
    is_over: bool,
}

impl<R: Read> Events<R> {
    pub fn new(stream: R) -> Self {
        Self {
            stream,
            held: Vec::new(),
            at: 0,
            looked: 0,
            data: String::new(),
            has_data: false,
            taken_len: 0,
            is_over: false,
        }
    }

    /// The data of the next event; None at the end of the stream.
    ///
    /// # Errors
    ///
    /// The step was stopped; the stream broke off, is no text, or never ends.
    pub fn next(&mut self, out: &mut dyn StepSink) -> Result<Option<String>, StepError> {
        loop {
            while let Some(line) = self.line()? {
                if line.is_empty() {
                    if std::mem::take(&mut self.has_data) {
                        return Ok(Some(std::mem::take(&mut self.data)));
                    }
                } else if let Some(data) = line.strip_prefix("data:") {
                    if std::mem::replace(&mut self.has_data, true) {
                        self.data.push('\n');
                    }
                    self.data.push_str(data.strip_prefix(' ').unwrap_or(data));
                    if self.data.len() > MODEL_EVENT_BYTES_MAX {
                        return Err(too_long());
                    }
                }
            }
            if self.is_over {
                // Some servers forget the blank line behind the last event.
                let last = std::mem::take(&mut self.has_data);
                return Ok(last.then(|| std::mem::take(&mut self.data)));
            }
            self.fill(out)?;
        }
    }

    fn fill(&mut self, out: &mut dyn StepSink) -> Result<(), StepError> {
        self.held.drain(..self.at);
        self.at = 0;
        let from = self.held.len();
        if from > MODEL_EVENT_BYTES_MAX {
            return Err(too_long());
        }
        self.held.resize(from + CHUNK_BYTES, 0);
        let read = self.stream.read(&mut self.held[from..]);
        // An abort cuts the connection: what that looks like from here is no failure of its own.
        out.pause(0)?;
        let len = match read {
            Ok(len) => len,
            Err(error) if error.kind() == std::io::ErrorKind::TimedOut => {
                return Err(failed(
                    FailureKind::Network,
                    "it said nothing for too long".to_owned(),
                ));
            }
            Err(error) => {
                let text = format!("the stream broke off: {error}");
                return Err(failed(FailureKind::Network, text));
            }
        };
        self.held.truncate(from + len);
        self.taken_len += len;
        if self.taken_len > MODEL_STREAM_BYTES_MAX {
            let text = format!("it sent more than {MODEL_STREAM_BYTES_MAX} bytes without an end");
            return Err(failed(FailureKind::TooLong, text));
        }
        if len == 0 {
            self.is_over = true;
            // The last line may have no end.
            if !self.held.is_empty() {
                self.held.push(b'\n');
            }
        }
        Ok(())
    }

    fn line(&mut self) -> Result<Option<String>, StepError> {
        let rest = &self.held[self.at..];
        let end = rest[self.looked..].iter().position(|byte| *byte == b'\n');
        let Some(len) = end.map(|len| len + self.looked) else {
            self.looked = rest.len();
            return Ok(None);
        };
        self.looked = 0;
        let line = rest[..len].strip_suffix(b"\r").unwrap_or(&rest[..len]);
        let line = std::str::from_utf8(line).map_err(|_| {
            failed(
                FailureKind::Network,
                "it sent bytes that are no text".to_owned(),
            )
        })?;
        let line = line.to_owned();
        self.at += len + 1;
        Ok(Some(line))
    }
}

fn too_long() -> StepError {
    let text = format!("it sent an event of more than {MODEL_EVENT_BYTES_MAX} bytes");
    failed(FailureKind::TooLong, text)
}
