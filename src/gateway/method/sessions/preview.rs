//! `sessions.preview`: the ends of several transcripts, as text.

use crate::gateway::Gateway;
use crate::gateway::dispatch::{Call, Handled, Outcome};
use crate::gateway::params::Params;
use crate::gateway::transcript::{cut_chars, text_of};
use crate::limits::{PREVIEW_BYTES_MAX, PREVIEW_CHARS, PREVIEW_KEYS_MAX, PREVIEW_MESSAGES};
use crate::now::Now;
use crate::state::{Page, PageEnd, StoreFault, Text};
use crate::wire::json::Writer;

/// A session that the caller named.
struct Asked {
    /// As the caller wrote it.
    shown_key: Box<str>,
    /// None where there is no such session.
    session_id: Option<Text>,
}

/// `sessions.preview`.
pub fn preview(gateway: &mut Gateway, _: Now, call: Call<'_>, params: Params<'_, '_>) -> Handled {
    let bounded = |name: &str, (default, most): (usize, usize)| {
        let asked = params.u64(name).map(usize::try_from);
        asked.map_or(default, |asked| asked.map_or(most, |asked| asked.min(most)))
    };
    let limit = bounded("limit", PREVIEW_MESSAGES);
    let chars_max = bounded("maxChars", PREVIEW_CHARS);
    let asked: Vec<Asked> = params
        .texts("keys")
        .filter(|key| !key.trim().is_empty())
        .take(PREVIEW_KEYS_MAX)
        .map(|key| Asked {
            shown_key: key.into(),
            session_id: gateway.session_id_of(key),
        })
        .collect();
    let ids: Vec<Text> = asked
        .iter()
        .filter_map(|it| it.session_id.clone())
        .collect();
    let call = call.keep();
    gateway.read_previews(
        ids,
        PageEnd::Newest,
        limit,
        PREVIEW_BYTES_MAX,
        move |gateway, _, pages| {
            gateway.reply_kept(&call, |gateway, w| {
                w.object(|w| {
                    w.field_u64("ts", gateway.now.unix_ms);
                    w.key("previews");
                    w.array(|w| write_previews(w, &asked, &pages, chars_max));
                });
            });
        },
    );
    Ok(Outcome::Later)
}

impl Gateway {
    /// The transcript of what may be a session's key.
    fn session_id_of(&self, key: &str) -> Option<Text> {
        let key = self.session_key(key).ok()?;
        self.session(&key).map(|session| session.session_id.clone())
    }
}

fn write_previews(
    w: &mut Writer<'_>,
    asked: &[Asked],
    pages: &Result<Vec<Page>, StoreFault>,
    chars_max: usize,
) {
    let mut pages = pages.as_ref().map(|pages| pages.iter());
    for it in asked {
        let (status, items) = match (&it.session_id, &mut pages) {
            (None, _) => ("missing", Vec::new()),
            (Some(_), Err(_)) => ("error", Vec::new()),
            (Some(_), Ok(pages)) => {
                let items = pages.next().map(items).unwrap_or_default();
                (if items.is_empty() { "empty" } else { "ok" }, items)
            }
        };
        w.object(|w| {
            w.field_str("key", &it.shown_key);
            w.field_str("status", status);
            w.key("items");
            w.array(|w| {
                for (role, text) in &items {
                    w.object(|w| {
                        w.field_str("role", role);
                        w.field_str("text", &cut_chars(text, chars_max));
                    });
                }
            });
        });
    }
}

/// Roles and texts of the messages that have a text.
fn items(page: &Page) -> Vec<(&'static str, String)> {
    let item = |row: &crate::state::StoredMessage| {
        let role = match &*row.message.role {
            "user" => "user",
            "assistant" => "assistant",
            "system" => "system",
            "toolResult" | "tool" => "tool",
            _ => "other",
        };
        text_of(&row.message.body).map(|text| (role, text))
    };
    page.messages.iter().filter_map(item).collect()
}
