//! Reading pages of transcripts.

use super::fault::store_fault;
use super::guarded;
use super::load::text;
use super::write::int;
use crate::limits::PAGE_MESSAGES_MAX;
use crate::state::{
    Message, Page, PageEnd, Room, StoreAnswer, StoreFault, StoreRequest, StoredMessage, Text,
};
use rusqlite::{Connection, Result, Row, Statement};
use std::sync::Arc;

/// The connection that reads while batches are written.
pub(super) struct Reader<'c> {
    page: Statement<'c>,
    oldest: Statement<'c>,
    archived: Statement<'c>,
}

impl<'c> Reader<'c> {
    pub fn new(conn: &'c Connection) -> Result<Self> {
        let page = conn.prepare(
            "SELECT seq, ts, role, body FROM message WHERE session_id = ?1 AND seq < ?2 \
             ORDER BY seq DESC LIMIT ?3",
        )?;
        let oldest = conn.prepare(
            "SELECT seq, ts, role, body FROM message WHERE session_id = ?1 \
             ORDER BY seq LIMIT ?2",
        )?;
        let archived = conn.prepare(
            "SELECT seq, ts, role, body FROM message_archive WHERE session_id = ?1 AND seq < ?2 \
             ORDER BY seq DESC, id LIMIT ?3",
        )?;
        Ok(Self {
            page,
            oldest,
            archived,
        })
    }

    /// Answers a request to read; None for any other.
    pub fn answer(&mut self, request: StoreRequest) -> Option<StoreAnswer> {
        match request {
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
                let statement = match archived {
                    true => &mut self.archived,
                    false => &mut self.page,
                };
                let result = page(statement, &session_id, before_seq, limit, room);
                Some(StoreAnswer::Messages { ticket, result })
            }
            StoreRequest::ReadPreviews {
                ticket,
                session_ids,
                end,
                limit,
                bytes_max,
            } => {
                let pages = session_ids.iter().map(|id| match end {
                    PageEnd::Newest => {
                        let room = Room::new(bytes_max, 0);
                        page(&mut self.page, id, u64::MAX, limit, room)
                    }
                    PageEnd::Oldest => self.oldest_page(id, limit, Room::new(bytes_max, 0)),
                });
                let result = pages.collect();
                Some(StoreAnswer::Previews { ticket, result })
            }
            StoreRequest::Commit { .. } | StoreRequest::Prune(_) => None,
        }
    }

    fn oldest_page(
        &mut self,
        session_id: &Text,
        limit: usize,
        room: Room,
    ) -> Result<Page, StoreFault> {
        let limit = limit.min(PAGE_MESSAGES_MAX);
        guarded(|| {
            self.read_oldest(session_id, limit, room)
                .map_err(|fault| store_fault(&fault))
        })
    }

    fn read_oldest(&mut self, session_id: &Text, limit: usize, mut room: Room) -> Result<Page> {
        let mut rows = self.oldest.query((&**session_id, int(limit as u64)))?;
        let mut page = Page::default();
        while let Some(row) = rows.next()? {
            let Some(fitting) = room.take(&message(row)?, page.messages.is_empty()) else {
                break;
            };
            page.messages.push(fitting);
        }
        Ok(page)
    }
}

fn page(
    statement: &mut Statement<'_>,
    session_id: &Text,
    before_seq: u64,
    limit: usize,
    room: Room,
) -> Result<Page, StoreFault> {
    let limit = limit.min(PAGE_MESSAGES_MAX);
    guarded(|| {
        read_page(statement, session_id, before_seq, limit, room)
            .map_err(|fault| store_fault(&fault))
    })
}

fn read_page(
    statement: &mut Statement<'_>,
    session_id: &Text,
    before_seq: u64,
    limit: usize,
    mut room: Room,
) -> Result<Page> {
    // One more than asked for, to see whether there is an older one.
    let asked = (&**session_id, int(before_seq), int(limit as u64 + 1));
    let mut rows = statement.query(asked)?;
    let mut page = Page::default();
    while let Some(row) = rows.next()? {
        let stored = message(row)?;
        let fitting = room.take(&stored, page.messages.is_empty());
        let Some(fitting) = fitting.filter(|_| page.messages.len() < limit) else {
            page.has_older = true;
            break;
        };
        page.messages.push(fitting);
    }
    page.messages.reverse();
    Ok(page)
}

fn message(row: &Row<'_>) -> Result<StoredMessage> {
    let message = Message {
        ts: row.get(1)?,
        role: text(row, 2)?,
        body: text(row, 3)?,
    };
    Ok(StoredMessage {
        seq: row.get(0)?,
        message: Arc::new(message),
    })
}
