//! Questions to the disk, files and transcripts: a ticket each, and what to do with the answer.

use super::{Effect, Fetch, FetchResult, Gateway};
use crate::agent::{Act, Acted, CancelToken};
use crate::now::Now;
use crate::state::{Page, PageEnd, Pruned, StoreAnswer, StoreFault, StoreRequest, Text};
use std::collections::BTreeMap;

type ThenFile = Box<dyn FnOnce(&mut Gateway, Now, FetchResult) + Send>;
/// Gets the ticket too.
type ThenActed = Box<dyn FnOnce(&mut Gateway, u64, Acted) + Send>;
type ThenPages = Box<dyn FnOnce(&mut Gateway, Now, Result<Vec<Page>, StoreFault>) + Send>;

/// Questions that were asked and not answered.
#[derive(Default)]
pub struct Tickets {
    files: BTreeMap<u64, ThenFile>,
    acts: BTreeMap<u64, ThenActed>,
    pages: BTreeMap<u64, ThenPages>,
    given: u64,
}

impl Tickets {
    fn next(&mut self) -> u64 {
        self.given += 1;
        self.given
    }

    /// Whether nobody waits for a file or a page of a transcript.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty() && self.pages.is_empty()
    }
}

impl Gateway {
    /// Asks the disk; `then` gets the answer.
    pub(super) fn fetch(
        &mut self,
        fetch: Fetch,
        then: impl FnOnce(&mut Gateway, Now, FetchResult) + Send + 'static,
    ) {
        let ticket = self.tickets.next();
        self.tickets.files.insert(ticket, Box::new(then));
        self.effects.push_back(Effect::Fetch { ticket, fetch });
    }

    pub(super) fn on_fetched(&mut self, now: Now, ticket: u64, result: FetchResult) {
        if let Some(then) = self.tickets.files.remove(&ticket) {
            then(self, now, result);
        }
        self.drain();
    }

    /// Has something done on this machine; `then` gets what came of it. Names it.
    pub(super) fn act(
        &mut self,
        act: Act,
        cancel: &CancelToken,
        then: impl FnOnce(&mut Gateway, u64, Acted) + Send + 'static,
    ) -> u64 {
        let ticket = self.tickets.next();
        self.tickets.acts.insert(ticket, Box::new(then));
        self.effects.push_back(Effect::Act {
            ticket,
            act: Box::new(act),
            cancel: cancel.clone(),
        });
        ticket
    }

    pub(super) fn on_acted(&mut self, ticket: u64, acted: Acted) {
        if let Acted::Printed(printed) = acted {
            self.processes.printed(ticket, printed);
        } else if let Some(then) = self.tickets.acts.remove(&ticket) {
            then(self, ticket, acted);
        }
        self.drain();
    }

    /// Asks for messages of one transcript, with so many bytes of them and of their pictures.
    pub(super) fn read_messages(
        &mut self,
        session_id: Text,
        before_seq: Option<u64>,
        limit: usize,
        bytes: (usize, usize),
        then: impl FnOnce(&mut Gateway, Now, Result<Page, StoreFault>) + Send + 'static,
    ) {
        self.read_rows(session_id, false, before_seq, limit, bytes, then);
    }

    /// The same of the transcript, or of what summaries took the place of.
    pub(super) fn read_rows(
        &mut self,
        session_id: Text,
        archived: bool,
        before_seq: Option<u64>,
        limit: usize,
        (bytes_max, pictures_bytes_max): (usize, usize),
        then: impl FnOnce(&mut Gateway, Now, Result<Page, StoreFault>) + Send + 'static,
    ) {
        let ticket = self.tickets.next();
        self.tickets.pages.insert(
            ticket,
            Box::new(move |gateway, now, pages| {
                let page = pages.map(|mut pages| pages.pop().unwrap_or_default());
                then(gateway, now, page);
            }),
        );
        self.effects
            .push_back(Effect::Store(StoreRequest::ReadMessages {
                ticket,
                session_id,
                archived,
                before_seq,
                limit,
                bytes_max,
                pictures_bytes_max,
            }));
    }

    /// Asks for the ends of several transcripts, one page each.
    pub(super) fn read_previews(
        &mut self,
        session_ids: Vec<Text>,
        end: PageEnd,
        limit: usize,
        bytes_max: usize,
        then: impl FnOnce(&mut Gateway, Now, Result<Vec<Page>, StoreFault>) + Send + 'static,
    ) {
        let ticket = self.tickets.next();
        self.tickets.pages.insert(ticket, Box::new(then));
        self.effects
            .push_back(Effect::Store(StoreRequest::ReadPreviews {
                ticket,
                session_ids,
                end,
                limit,
                bytes_max,
            }));
    }

    /// Takes an answer of the store.
    pub(super) fn on_store(&mut self, now: Now, answer: StoreAnswer) {
        match answer {
            StoreAnswer::Committed {
                batch,
                records,
                result,
            } => self.on_committed(now, batch, &records, result),
            StoreAnswer::Messages { ticket, result } => {
                self.on_pages(now, ticket, result.map(|page| vec![page]));
            }
            StoreAnswer::Previews { ticket, result } => self.on_pages(now, ticket, result),
            StoreAnswer::Pruned(result) => self.on_pruned(result),
        }
    }

    fn on_pages(&mut self, now: Now, ticket: u64, result: Result<Vec<Page>, StoreFault>) {
        if let Some(then) = self.tickets.pages.remove(&ticket) {
            then(self, now, result);
        }
        self.drain();
    }

    /// What the store forgot is forgotten here.
    fn on_pruned(&mut self, result: Result<Pruned, StoreFault>) {
        if let Ok(pruned) = result {
            for record in &pruned.records {
                self.state.apply(record);
            }
            if pruned.has_more {
                self.prune();
            }
        }
    }
}
