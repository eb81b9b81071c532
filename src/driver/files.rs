//! Files that exist in a map only.

use super::{Driver, config};
use crate::agent::{Act, Acted};
use crate::config::document::Document;
use crate::config::payload::{get_payload, written_payload};
use crate::config::plan::{WriteRequest, plan_write};
use crate::gateway::{Fetch, FetchResult, Input, Load};
use crate::log::Tail;

/// Where the log would be.
pub const LOG_PATH: &str = "/state/logs/clawdia.log";

impl Driver {
    /// What the disk would answer.
    pub(super) fn answer_fetch(&mut self, fetch: Fetch) -> FetchResult {
        match fetch {
            Fetch::LogTail { cursor, limit, .. } => FetchResult::LogTail(self.tail(cursor, limit)),
            Fetch::Config => FetchResult::Config(get_payload(&self.document(), &|_| None)),
            Fetch::WriteConfig {
                kind,
                raw,
                base_hash,
            } => self.write_config(WriteRequest {
                kind,
                raw: &raw,
                base_hash: base_hash.as_deref(),
            }),
            Fetch::Zone { name } => match self.zones.get(&name.unwrap_or_default()) {
                Some(bytes) => FetchResult::Zone(bytes.clone()),
                None => FetchResult::Missing,
            },
            Fetch::StaticFile { path, .. } => match self.files.get(&path) {
                Some((media_type, bytes)) => FetchResult::File {
                    media_type,
                    bytes: bytes.clone(),
                },
                None => FetchResult::Missing,
            },
            Fetch::Load => FetchResult::Load(Load::default()),
            Fetch::Person { ip } => FetchResult::Person(self.persons.get(&ip).cloned()),
        }
    }

    /// Notes are there at once; everything else waits in [`Driver::acts`] for [`Driver::acted`].
    pub(super) fn take_act(&mut self, ticket: u64, act: Act) {
        let Act::Notes { names, .. } = act else {
            return self.acts.push_back((ticket, act));
        };
        let text = |name: &&'static str| Some((*name, self.notes.get(name)?.clone()));
        let found = names.iter().filter_map(text).collect();
        self.acted(ticket, Acted::Notes(found));
    }

    /// Reports what came of something.
    pub fn acted(&mut self, ticket: u64, acted: Acted) {
        self.handle(Input::Acted { ticket, acted });
    }

    fn document(&self) -> Document {
        Document::new(config::PATH, self.config.clone())
    }

    fn write_config(&mut self, request: WriteRequest<'_>) -> FetchResult {
        let before = self.document();
        let plan = match plan_write(&before, request, &|_| None) {
            Ok(plan) => plan,
            Err(refusal) => return FetchResult::ConfigRefused(refusal),
        };
        match config::load(plan.text()) {
            Ok(loaded) => {
                self.config = plan.text().to_owned();
                FetchResult::ConfigWritten {
                    payload: written_payload(&loaded.document),
                    at_next_start: plan.at_next_start(&before, &|_| None),
                    loaded: Box::new(loaded),
                }
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
