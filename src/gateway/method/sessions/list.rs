//! `sessions.list`: sessions newest first, filtered, with a glimpse of their transcripts.

use super::rows::Shown;
use crate::gateway::dispatch::{Call, Handled, KeptCall, Outcome};
use crate::gateway::params::Params;
use crate::gateway::transcript::{cut_chars, text_of};
use crate::gateway::{Gateway, Refusal};
use crate::limits::{
    PREVIEW_BYTES_MAX, PREVIEW_CHARS, SESSION_TITLE_CHARS_MAX, SESSIONS_LISTED_MAX,
    SESSIONS_TITLED_MAX,
};
use crate::log::iso::iso_utc;
use crate::now::Now;
use crate::state::{Page, PageEnd, Session, SessionKind, Text};
use crate::wire::json::Writer;
use std::sync::Arc;

/// Messages at the beginning among which the first one of the user is looked for, and at the
/// end the last one with a text.
const GLIMPSE_MESSAGES: usize = 5;

/// `sessions.list`.
pub fn list(gateway: &mut Gateway, now: Now, call: Call<'_>, params: Params<'_, '_>) -> Handled {
    let rows = gateway.select_sessions(now, params);
    let titles = params.bool("includeDerivedTitles") == Some(true);
    let last_messages = params.bool("includeLastMessage") == Some(true);
    if !titles && !last_messages {
        gateway.reply(call, |gateway, w| gateway.write_list(w, &rows, &[]));
        return Ok(Outcome::Done);
    }
    let listing = Listing {
        shown: rows.iter().map(|_| Shown::default()).collect(),
        rows,
        call: call.keep(),
        last_messages,
    };
    if titles {
        gateway.read_titles(listing);
    } else {
        gateway.read_last_messages(listing);
    }
    Ok(Outcome::Later)
}

/// A list whose transcripts are being looked at.
struct Listing {
    call: KeptCall,
    rows: Vec<Arc<Session>>,
    /// One for each row.
    shown: Vec<Shown>,
    last_messages: bool,
}

impl Listing {
    /// Transcripts that are worth a look.
    fn session_ids(&self) -> Vec<Text> {
        let rows = self.rows.iter().take(SESSIONS_TITLED_MAX);
        rows.map(|session| session.session_id.clone()).collect()
    }
}

impl Gateway {
    fn select_sessions(&self, now: Now, params: Params<'_, '_>) -> Vec<Arc<Session>> {
        let limit = params.u64("limit").unwrap_or(u64::MAX);
        let limit = usize::try_from(limit)
            .map_or(SESSIONS_LISTED_MAX, |limit| limit.min(SESSIONS_LISTED_MAX));
        let filter = Filter::new(now, params);
        let rows = self.sessions_newest_first(params.text("agentId"));
        let rows = rows.into_iter().filter(|session| filter.lets(session));
        rows.take(limit).cloned().collect()
    }

    fn read_titles(&mut self, mut listing: Listing) {
        let ids = listing.session_ids();
        let then = move |gateway: &mut Gateway, _: Now, pages: Result<Vec<Page>, _>| {
            let pages = match pages {
                Ok(pages) => pages,
                Err(fault) => return gateway.refuse_kept(&listing.call, &Refusal::unread(&fault)),
            };
            for ((session, shown), page) in listing.rows.iter().zip(&mut listing.shown).zip(&pages)
            {
                shown.title = Some(title(session, page));
            }
            if listing.last_messages {
                gateway.read_last_messages(listing);
            } else {
                gateway.answer_listing(&listing);
            }
        };
        let end = PageEnd::Oldest;
        self.read_previews(ids, end, GLIMPSE_MESSAGES, PREVIEW_BYTES_MAX, then);
    }

    fn read_last_messages(&mut self, mut listing: Listing) {
        let ids = listing.session_ids();
        let then = move |gateway: &mut Gateway, _: Now, pages: Result<Vec<Page>, _>| {
            let pages = match pages {
                Ok(pages) => pages,
                Err(fault) => return gateway.refuse_kept(&listing.call, &Refusal::unread(&fault)),
            };
            for (shown, page) in listing.shown.iter_mut().zip(&pages) {
                shown.last_message = last_text(page);
            }
            gateway.answer_listing(&listing);
        };
        let end = PageEnd::Newest;
        self.read_previews(ids, end, GLIMPSE_MESSAGES, PREVIEW_BYTES_MAX, then);
    }

    fn answer_listing(&mut self, listing: &Listing) {
        self.reply_kept(&listing.call, |gateway, w| {
            gateway.write_list(w, &listing.rows, &listing.shown);
        });
    }

    /// Writes the answer; rows without an entry in `shown` show nothing of their transcript.
    fn write_list(&self, w: &mut Writer<'_>, rows: &[Arc<Session>], shown: &[Shown]) {
        let model = self.default_model();
        let nothing = Shown::default();
        w.object(|w| {
            w.field_u64("ts", self.now.unix_ms);
            w.field_str("path", &self.database_path());
            w.field_u64("count", rows.len() as u64);
            w.key("defaults");
            w.object(|w| {
                w.field_str("modelProvider", model.provider());
                w.field_str("model", model.model());
                w.field_u64("contextTokens", self.context_tokens_of(&model));
            });
            w.key("sessions");
            w.array(|w| {
                for (at, session) in rows.iter().enumerate() {
                    self.write_session_row(w, session, shown.get(at).unwrap_or(&nothing));
                }
            });
        });
    }
}

/// Which sessions the caller wants to see.
struct Filter<'a> {
    include_global: bool,
    include_unknown: bool,
    updated_from_ms: u64,
    label: Option<&'a str>,
    spawned_by: Option<&'a str>,
    /// Lower case.
    search: String,
}

impl<'a> Filter<'a> {
    fn new(now: Now, params: Params<'_, 'a>) -> Self {
        const MINUTE_MS: u64 = 60_000;
        let active_ms = params
            .u64("activeMinutes")
            .map_or(u64::MAX, |minutes| minutes.saturating_mul(MINUTE_MS));
        Self {
            include_global: params.bool("includeGlobal") == Some(true),
            include_unknown: params.bool("includeUnknown") == Some(true),
            updated_from_ms: now.unix_ms.saturating_sub(active_ms),
            label: params.text("label").map(str::trim),
            spawned_by: params.text("spawnedBy"),
            search: params.text("search").unwrap_or("").trim().to_lowercase(),
        }
    }

    fn lets(&self, session: &Session) -> bool {
        let kind = match session.kind {
            SessionKind::Global => self.include_global,
            SessionKind::Unknown => self.include_unknown,
            SessionKind::Direct | SessionKind::Group => true,
        };
        let spawned_by = session.settings.get("spawnedBy").map(|key| &**key);
        kind && session.updated_at_ms >= self.updated_from_ms
            && (self.label.is_none() || session.label.as_deref() == self.label)
            && (self.spawned_by.is_none() || spawned_by == self.spawned_by)
            && self.finds(session)
    }

    fn finds(&self, session: &Session) -> bool {
        if self.search.is_empty() {
            return true;
        }
        [
            session.display_name.as_deref(),
            session.label.as_deref(),
            Some(&*session.session_id),
            Some(&*session.key),
        ]
        .into_iter()
        .flatten()
        .any(|text| text.to_lowercase().contains(&self.search))
    }
}

/// What a session is about: its stored name, how its user began, or at least which one it is.
fn title(session: &Session, oldest: &Page) -> String {
    if let Some(name) = session.display_name.as_deref() {
        return name.to_owned();
    }
    let mut users = oldest
        .messages
        .iter()
        .filter(|row| *row.message.role == *"user");
    if let Some(text) = users.find_map(|row| text_of(&row.message.body)) {
        let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
        return cut_chars(&line, SESSION_TITLE_CHARS_MAX).into_owned();
    }
    let id: String = session.session_id.chars().take(8).collect();
    let day: String = iso_utc(session.updated_at_ms).chars().take(10).collect();
    format!("{id} ({day})")
}

fn last_text(newest: &Page) -> Option<String> {
    let text = newest
        .messages
        .iter()
        .rev()
        .find_map(|row| text_of(&row.message.body))?;
    Some(cut_chars(&text, PREVIEW_CHARS.0).into_owned())
}
