//! A store in memory: what was committed, what waits, and the faults that a test asks for.

use crate::limits::PAGE_MESSAGES_MAX;
use crate::state::{
    Page, PageEnd, Pruned, Record, Room, State, StoreAnswer, StoreFault, StoreFaultKind,
    StoreRequest, StoredMessage, Text,
};
use std::collections::{BTreeMap, VecDeque};

/// Rows as the database would hold them, and requests on their way.
#[derive(Default)]
pub struct Store {
    state: State,
    messages: BTreeMap<Text, Vec<StoredMessage>>,
    /// What summaries took the place of.
    archived: BTreeMap<Text, Vec<StoredMessage>>,
    waiting: VecDeque<StoreRequest>,
    /// Requests wait until [`super::Driver::release`] is called.
    pub held: bool,
    /// This many of the next batches fail as on a full disk.
    pub failing: usize,
    /// Batches that were committed.
    pub batches: u64,
}

impl Store {
    /// The tables as they were committed.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The transcript of a session id, oldest first.
    pub fn messages(&self, session_id: &str) -> &[StoredMessage] {
        self.messages.get(session_id).map_or(&[], Vec::as_slice)
    }

    /// The messages of all transcripts.
    pub fn all_messages(&self) -> impl Iterator<Item = &StoredMessage> {
        self.messages.values().flatten()
    }

    /// Requests that wait.
    pub fn waiting_len(&self) -> usize {
        self.waiting.len()
    }

    /// What a new process loads.
    pub(super) fn committed(&self) -> State {
        self.state.clone()
    }

    /// Of the batches that wait the first `committed` reach the disk; the rest is lost.
    pub(super) fn die(&mut self, committed: usize) {
        let batches = self.waiting.drain(..).filter_map(|request| match request {
            StoreRequest::Commit { records, .. } => Some(records),
            _ => None,
        });
        let batches: Vec<_> = batches.take(committed).collect();
        for records in batches {
            self.write(&records);
        }
        self.held = false;
        self.failing = 0;
    }

    pub(super) fn ask(&mut self, request: StoreRequest) {
        self.waiting.push_back(request);
    }

    /// Does the next thing that was asked for.
    pub(super) fn answer_next(&mut self) -> Option<StoreAnswer> {
        let answer = match self.waiting.pop_front()? {
            StoreRequest::Commit { batch, records, .. } => {
                let result = if self.failing > 0 {
                    self.failing -= 1;
                    Err(StoreFault {
                        kind: StoreFaultKind::Full,
                        message: "the disk is full".into(),
                    })
                } else {
                    self.write(&records);
                    Ok(())
                };
                StoreAnswer::Committed {
                    batch,
                    records,
                    result,
                }
            }
            StoreRequest::ReadMessages {
                ticket,
                session_id,
                archived,
                before_seq,
                limit,
                bytes_max,
                pictures_bytes_max,
            } => {
                let before_seq = before_seq.unwrap_or(u64::MAX);
                let room = Room::new(bytes_max, pictures_bytes_max);
                let rows = match archived {
                    true => self
                        .archived
                        .get(&session_id)
                        .map_or(&[][..], Vec::as_slice),
                    false => self.messages(&session_id),
                };
                let page = page(rows, before_seq, limit, room);
                StoreAnswer::Messages {
                    ticket,
                    result: Ok(page),
                }
            }
            StoreRequest::ReadPreviews {
                ticket,
                session_ids,
                end,
                limit,
                bytes_max,
            } => {
                let end_of = |id: &Text| match end {
                    PageEnd::Newest => {
                        page(self.messages(id), u64::MAX, limit, Room::new(bytes_max, 0))
                    }
                    PageEnd::Oldest => self.oldest(id, limit, Room::new(bytes_max, 0)),
                };
                StoreAnswer::Previews {
                    ticket,
                    result: Ok(session_ids.iter().map(end_of).collect()),
                }
            }
            // Nothing is old in a made-up world.
            StoreRequest::Prune(_) => StoreAnswer::Pruned(Ok(Pruned::default())),
        };
        Some(answer)
    }

    /// Commits records that the core never asked for, as an earlier process would have.
    pub fn write(&mut self, records: &[Record]) {
        for record in records {
            self.write_messages(record);
            self.state.apply(record);
        }
        self.state.check_invariants();
        self.batches += 1;
    }

    fn write_messages(&mut self, record: &Record) {
        match record {
            Record::MessageAppend {
                session_id,
                message,
            } => {
                let seq = self.state.transcript(session_id).append();
                self.messages
                    .entry(session_id.clone())
                    .or_default()
                    .push(StoredMessage {
                        seq,
                        message: message.clone(),
                    });
            }
            Record::MessagesArchive {
                session_id,
                up_to_seq,
                summary,
                ..
            } => {
                let mut transcript = self.state.transcript(session_id);
                let Some((_, last)) = transcript.archive(*up_to_seq, summary.is_some()) else {
                    return;
                };
                let messages = self.messages.entry(session_id.clone()).or_default();
                let (gone, stay) = messages.drain(..).partition(|message| message.seq <= last);
                *messages = stay;
                if summary.is_some() {
                    let gone: Vec<StoredMessage> = gone;
                    self.archived
                        .entry(session_id.clone())
                        .or_default()
                        .extend(gone);
                }
                if let Some(summary) = summary {
                    let message = summary.clone();
                    messages.insert(0, StoredMessage { seq: last, message });
                }
            }
            _ => {}
        }
    }

    fn oldest(&self, session_id: &str, limit: usize, mut room: Room) -> Page {
        let messages = self.messages(session_id).iter().take(limit).enumerate();
        let fits = messages.map_while(|(at, stored)| room.take(stored, at == 0));
        Page {
            messages: fits.collect(),
            has_older: false,
        }
    }
}

/// The newest of these rows below a number.
fn page(rows: &[StoredMessage], before_seq: u64, limit: usize, mut room: Room) -> Page {
    let mut page = Page::default();
    let limit = limit.min(PAGE_MESSAGES_MAX);
    let older = rows.iter().rev();
    for stored in older.filter(|stored| stored.seq < before_seq) {
        let fitting = room.take(stored, page.messages.is_empty());
        let Some(fitting) = fitting.filter(|_| page.messages.len() < limit) else {
            page.has_older = true;
            break;
        };
        page.messages.push(fitting);
    }
    page.messages.reverse();
    page
}
