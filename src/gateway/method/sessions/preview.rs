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

#[cfg(test)]
mod tests {
    use super::super::testing::{fill, refusal, start};
    use crate::gateway::Input;
    use crate::limits::{PREVIEW_CHARS, PREVIEW_KEYS_MAX, PREVIEW_MESSAGES};
    use crate::state::{StoreAnswer, StoreFault, StoreFaultKind};
    use serde_json::json;

    #[test]
    fn each_key_is_answered_as_it_was_written() {
        let (mut driver, operator) = start();
        fill(&mut driver, operator, "main", &["one", "two"]);
        fill(&mut driver, operator, "empty", &[]);
        let keys = json!(["agent:main:empty", "main", " ", "nope", "../../etc/passwd"]);
        let previews = driver.ok(operator, "sessions.preview", json!({"keys": keys}));
        let two =
            json!([{"role": "assistant", "text": "one"}, {"role": "assistant", "text": "two"}]);
        assert_eq!(
            previews["previews"],
            json!([
                {"key": "agent:main:empty", "status": "empty", "items": []},
                {"key": "main", "status": "ok", "items": two},
                {"key": "nope", "status": "missing", "items": []},
                {"key": "../../etc/passwd", "status": "missing", "items": []},
            ])
        );
        let blank = driver.ok(operator, "sessions.preview", json!({"keys": [" "]}));
        assert_eq!(blank["previews"], json!([]));
    }

    #[test]
    fn a_preview_is_bounded_in_every_direction() {
        let (mut driver, operator) = start();
        let long = "é".repeat(PREVIEW_CHARS.1 + 10);
        let many = vec![&*long; PREVIEW_MESSAGES.1 + 5];
        fill(&mut driver, operator, "main", &many);
        let mut ask = |params| driver.ok(operator, "sessions.preview", params)["previews"].take();
        for (params, items, chars) in [
            (
                json!({"keys": ["main"]}),
                PREVIEW_MESSAGES.0,
                PREVIEW_CHARS.0,
            ),
            (json!({"keys": ["main"], "limit": 1, "maxChars": 20}), 1, 20),
            (
                json!({"keys": ["main"], "limit": 1e9, "maxChars": 1e9}),
                PREVIEW_MESSAGES.1,
                PREVIEW_CHARS.1,
            ),
        ] {
            let previews = ask(params);
            let shown = previews[0]["items"].as_array().unwrap();
            assert_eq!(shown.len(), items);
            let text = shown[0]["text"].as_str().unwrap();
            assert_eq!(text.chars().count(), chars);
        }
        let keys = vec!["nope"; PREVIEW_KEYS_MAX + 1];
        let previews = ask(json!({"keys": keys}));
        assert_eq!(previews.as_array().unwrap().len(), PREVIEW_KEYS_MAX);
    }

    #[test]
    fn faults_of_parameters_are_told() {
        let (mut driver, operator) = start();
        for (params, text) in [
            (json!({}), "must have required property 'keys'"),
            (
                json!({"keys": []}),
                "at /keys: must NOT have fewer than 1 items",
            ),
            (
                json!({"keys": ["a"], "maxChars": 5}),
                "at /maxChars: must be >= 20",
            ),
        ] {
            let told = refusal(&mut driver, operator, "sessions.preview", params);
            assert_eq!(told, format!("invalid sessions.preview params: {text}"));
        }
    }

    #[test]
    fn transcripts_that_cannot_be_read_are_marked() {
        let (mut driver, operator) = start();
        fill(&mut driver, operator, "main", &["one"]);
        driver.store.held = true;
        let params = json!({"keys": ["main", "nope"]});
        let id = driver.request(operator, "sessions.preview", params);
        driver.settle();
        // Whichever ticket it got.
        for ticket in 1..10 {
            let fault = StoreFault {
                kind: StoreFaultKind::Io,
                message: "bad sector".into(),
            };
            driver.handle(Input::Store(StoreAnswer::Previews {
                ticket,
                result: Err(fault),
            }));
        }
        driver.settle();
        let response = driver.response(operator, &id).expect("an answer");
        let previews = &response["payload"]["previews"];
        assert_eq!(previews[0]["status"], "error");
        assert_eq!(previews[1]["status"], "missing");
    }
}
