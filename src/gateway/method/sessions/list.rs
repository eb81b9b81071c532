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

#[cfg(test)]
mod tests {
    use super::super::testing::{fill, refusal, start};
    use crate::driver::Driver;
    use crate::ids::ConnId;
    use crate::state::{Record, Session, SessionKind};
    use serde_json::{Value, json};
    use std::sync::Arc;

    fn keys(driver: &mut Driver, operator: ConnId, params: Value) -> Vec<String> {
        let list = driver.ok(operator, "sessions.list", params);
        let rows = list["sessions"].as_array().cloned().unwrap_or_default();
        assert_eq!(list["count"], rows.len());
        rows.iter()
            .map(|row| row["key"].as_str().unwrap_or("").to_owned())
            .collect()
    }

    #[test]
    fn sessions_come_newest_first_and_filtered() {
        let (mut driver, operator) = start();
        for (key, label) in [("one", "First"), ("two", "Second"), ("three", "Third")] {
            let params = json!({"key": key, "label": label});
            driver.ok(operator, "sessions.patch", params);
            driver.advance(61_000);
        }
        let [one, two, three] = ["one", "two", "three"].map(|key| format!("agent:main:{key}"));
        let all = [three.clone(), two.clone(), one];
        for (params, expected) in [
            (json!({}), &all[..]),
            (json!({"limit": 2}), &all[..2]),
            (json!({"limit": 1e15}), &all[..]),
            (json!({"search": "SECOND"}), &all[1..2]),
            (json!({"search": "main:th"}), &all[..1]),
            (json!({"search": "nothing like it"}), &[]),
            (json!({"label": "Second"}), &all[1..2]),
            (json!({"label": "second"}), &[]),
            (json!({"activeMinutes": 2}), &all[..1]),
            (json!({"activeMinutes": 3}), &all[..2]),
            (json!({"agentId": "main"}), &all[..]),
            (json!({"agentId": "nobody"}), &[]),
            (json!({"spawnedBy": "agent:main:main"}), &[]),
        ] {
            assert_eq!(
                keys(&mut driver, operator, params.clone()),
                expected,
                "{params}"
            );
        }
    }

    #[test]
    fn faults_of_parameters_are_told() {
        let (mut driver, operator) = start();
        for (params, text) in [
            (json!({"limit": 0}), "at /limit: must be >= 1"),
            (json!({"foo": 1}), "at root: unexpected property 'foo'"),
            (
                json!({"label": ""}),
                "at /label: must NOT have fewer than 1 characters",
            ),
        ] {
            let told = refusal(&mut driver, operator, "sessions.list", params);
            assert_eq!(told, format!("invalid sessions.list params: {text}"));
        }
    }

    #[test]
    fn what_is_of_nobody_is_hidden_unless_asked_for() {
        let (mut driver, _) = start();
        for (key, kind) in [
            ("global", SessionKind::Global),
            ("unknown", SessionKind::Unknown),
        ] {
            driver.store.write(&[Record::SessionPut(Arc::new(Session {
                key: key.into(),
                session_id: key.into(),
                kind,
                ..Session::default()
            }))]);
        }
        let mut driver = driver.crash(0);
        let operator = driver.operator();
        assert!(keys(&mut driver, operator, json!({})).is_empty());
        let global = keys(&mut driver, operator, json!({"includeGlobal": true}));
        assert_eq!(global, ["global"]);
        let unknown = keys(&mut driver, operator, json!({"includeUnknown": true}));
        assert_eq!(unknown, ["unknown"]);
    }

    #[test]
    fn a_row_has_what_clients_read_and_no_null() {
        let (mut driver, operator) = start();
        driver.ok(
            operator,
            "sessions.patch",
            json!({"key": "main", "label": "Home"}),
        );
        let list = driver.ok(operator, "sessions.list", json!({}));
        let row = &list["sessions"][0];
        assert_eq!(row["key"], "agent:main:main");
        assert_eq!(row["kind"], "direct");
        assert_eq!(row["displayName"], "Home");
        assert_eq!(row["totalTokens"], 0);
        assert_eq!(row["modelProvider"], "builtin");
        assert!(row["updatedAt"].is_u64() && row["sessionId"].is_string());
        let members = row.as_object().unwrap();
        assert!(members.values().all(|value| !value.is_null()), "{row}");
        assert!(list["defaults"]["contextTokens"].is_u64());
    }

    #[test]
    fn a_title_is_how_the_user_began_and_a_preview_how_it_ended() {
        let (mut driver, operator) = start();
        let long = format!("tell  me\nabout {}", "x".repeat(80));
        for text in [&*long, "and then?"] {
            driver.ok(
                operator,
                "chat.send",
                json!({"sessionKey": "main", "message": text, "idempotencyKey": text}),
            );
        }
        fill(&mut driver, operator, "main", &["the end"]);
        fill(&mut driver, operator, "blank", &[]);
        let both = json!({"includeDerivedTitles": true, "includeLastMessage": true});
        let list = driver.ok(operator, "sessions.list", both);
        let find = |key: &str| {
            let mut rows = list["sessions"].as_array().unwrap().iter();
            rows.find(|row| row["key"] == key).unwrap().clone()
        };
        let main = find("agent:main:main");
        let title = main["derivedTitle"].as_str().unwrap();
        assert!(title.starts_with("tell me about xx") && title.ends_with('…'));
        assert_eq!(title.chars().count(), 60);
        assert_eq!(main["lastMessagePreview"], "the end");
        let blank = find("agent:main:blank");
        let id = blank["sessionId"].as_str().unwrap();
        let title = blank["derivedTitle"].as_str().unwrap();
        assert!(
            title.starts_with(&id[..8]) && title.ends_with("-18)"),
            "{title}"
        );
        assert!(blank.get("lastMessagePreview").is_none());
        let last = driver.ok(
            operator,
            "sessions.list",
            json!({"includeLastMessage": true}),
        );
        assert!(last["sessions"][0].get("derivedTitle").is_none());
    }
}
