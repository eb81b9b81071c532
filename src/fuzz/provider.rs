//! The stream of a model's server.

use super::INPUT_BYTES_MAX;
use crate::agent::remote::read_stream;
use crate::agent::{Api, Reply, StepError, StepSink, Stop};
use std::io::Read;

/// The first byte says in what pieces the stream arrives: what is understood does not depend on it.
///
/// # Panics
///
/// When two ways of reading differ, or a call has no id of its own.
pub fn provider(bytes: &[u8]) {
    let Some((cut, stream)) = bytes.split_first() else {
        return;
    };
    if stream.len() > INPUT_BYTES_MAX {
        return;
    }
    for api in Api::ALL {
        let whole = understood(api, stream, stream.len());
        let cut = usize::from(*cut);
        assert_eq!(understood(api, stream, cut), whole, "cut every {cut}");
        if let Ok(reply) = whole.0 {
            for (at, call) in reply.calls.iter().enumerate() {
                let is_same = |other: &crate::agent::ToolCall| other.id == call.id;
                assert!(!call.id.is_empty());
                assert!(!reply.calls[..at].iter().any(is_same), "{:?}", call.id);
            }
        }
    }
}

/// The answer and its text.
fn understood(api: Api, stream: &[u8], cut: usize) -> (Result<Reply, StepError>, String) {
    let mut text = Text(String::new());
    let pieces = Pieces {
        rest: stream,
        cut: cut.max(1),
    };
    (read_stream(api, pieces, 1, &mut text), text.0)
}

struct Pieces<'s> {
    rest: &'s [u8],
    cut: usize,
}

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let len = self.cut.min(self.rest.len()).min(buffer.len());
        let (piece, rest) = self.rest.split_at(len);
        buffer[..len].copy_from_slice(piece);
        self.rest = rest;
        Ok(len)
    }
}

struct Text(String);

impl StepSink for Text {
    fn delta(&mut self, text: &str) -> Result<(), Stop> {
        self.0.push_str(text);
        Ok(())
    }

    fn pause(&mut self, _: u64) -> Result<(), Stop> {
        Ok(())
    }

    fn remaining_ms(&self) -> u64 {
        1_000
    }
}
