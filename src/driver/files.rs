//! Files that exist in a map only.

use super::{Driver, config};
use crate::gateway::{Fetch, FetchResult};
use crate::log::Tail;

/// Where the log would be.
pub const LOG_PATH: &str = "/state/logs/clawdia.log";

impl Driver {
    /// What the disk would answer.
    pub(super) fn answer_fetch(&mut self, fetch: Fetch) -> FetchResult {
        match fetch {
            Fetch::LogTail { cursor, limit, .. } => FetchResult::LogTail(self.tail(cursor, limit)),
            Fetch::Config => match config::load(&self.config) {
                Ok(loaded) => FetchResult::Config(Box::new(loaded)),
                Err(fault) => FetchResult::Failed(fault),
            },
            Fetch::WriteConfig { base_hash, text } => self.write_config(&base_hash, text),
            Fetch::StaticFile { path, .. } => match self.files.get(&path) {
                Some((media_type, bytes)) => FetchResult::File {
                    media_type,
                    bytes: bytes.clone(),
                },
                None => FetchResult::Missing,
            },
        }
    }

    fn write_config(&mut self, base_hash: &str, text: String) -> FetchResult {
        let current = crate::config::document::Document::new(config::PATH, self.config.clone());
        if current.hash() != base_hash {
            return FetchResult::ConfigChanged;
        }
        match config::load(&text) {
            Ok(loaded) => {
                self.config = text;
                FetchResult::ConfigWritten(Box::new(loaded))
            }
            Err(fault) => FetchResult::Failed(fault),
        }
    }

    /// A line of the log is one unit of the cursor here.
    fn tail(&self, cursor: Option<u64>, limit: usize) -> Tail {
        let size = self.log.len() as u64;
        let reset = cursor.is_some_and(|cursor| cursor > size);
        let from = match cursor {
            Some(cursor) if !reset => cursor as usize,
            _ => 0,
        };
        let lines = &self.log[from..];
        let skipped = lines.len().saturating_sub(limit);
        let line = |line: &crate::log::LogLine| {
            format!(
                "{} {} {}",
                line.level.as_str(),
                line.subsystem,
                line.message
            )
        };
        Tail {
            file: LOG_PATH.into(),
            cursor: size,
            size,
            lines: lines[skipped..].iter().map(line).collect(),
            truncated: skipped > 0,
            reset,
        }
    }
}
