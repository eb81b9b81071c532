//! Telegram, by its Bot API (core.telegram.org/bots/api).

mod api;
mod form;
pub mod html;
pub mod update;

use super::{Bot, Fault, File, FileRef, Kind, Line, Outbound, Place, Update};
use crate::agent::CancelToken;
use crate::config::types::ChannelAccount;
use crate::limits::{
    CHANNEL_CALL_MS, CHANNEL_FILE_MS, CHANNEL_POLL_GRACE_MS, CHANNEL_POLL_MS, CHANNEL_UPDATES_MAX,
};
use api::Api;
use serde_json::{Value, json};
use std::sync::Arc;

/// The row of the table.
pub const KIND: Kind = Kind {
    name: "telegram",
    label: "Telegram",
    open,
    render: html::render,
    target,
    read: update::read,
    edits_ms,
};

/// About one message a second in a chat, and twenty a minute in a group, whose ids are negative
/// (core.telegram.org/bots/faq).
fn edits_ms(chat: &str) -> u64 {
    match chat.starts_with(['-', '@']) {
        true => 3_500,
        false => 1_500,
    }
}

fn open(account: Arc<ChannelAccount>, cancel: CancelToken) -> Box<dyn Line> {
    Box::new(Telegram {
        api: Api::new(account, cancel),
    })
}

/// `123`, `-100123`, `@name`, each with an optional `telegram:` before and `:topic:7` behind.
fn target(text: &str) -> Option<Place> {
    let text = text.trim();
    let text = ["telegram:", "tg:"]
        .iter()
        .find_map(|prefix| text.strip_prefix(prefix))
        .unwrap_or(text);
    let (chat, thread) = match text.split_once(":topic:") {
        Some((chat, thread)) => (chat, Some(thread)),
        None => (text, None),
    };
    let is_id = chat.parse::<i64>().is_ok();
    let name = chat.strip_prefix('@').unwrap_or("");
    let is_name = !name.is_empty()
        && name
            .bytes()
            .all(|it| it.is_ascii_alphanumeric() || it == b'_');
    let is_thread = thread.is_none_or(|thread| thread.parse::<u64>().is_ok());
    ((is_id || is_name) && is_thread && chat.len() <= 64).then(|| Place {
        chat: chat.into(),
        thread: thread.map(Arc::from),
    })
}

struct Telegram {
    api: Api,
}

/// What of all that happens is told.
const UPDATES: [&str; 1] = ["message"];

impl Line for Telegram {
    fn identify(&mut self) -> Result<Bot, Fault> {
        let me = self.api.call("getMe", &json!({}), CHANNEL_CALL_MS)?;
        Ok(Bot {
            id: me["id"].to_string().into(),
            username: me["username"].as_str().unwrap_or("").into(),
        })
    }

    fn poll(&mut self, bot: &Bot, after: Option<u64>) -> Result<Vec<Update>, Fault> {
        let mut params = json!({
            "timeout": CHANNEL_POLL_MS / 1_000,
            "limit": CHANNEL_UPDATES_MAX,
            "allowed_updates": UPDATES,
        });
        if let Some(after) = after {
            params["offset"] = Value::from(after.saturating_add(1));
        }
        let timeout_ms = CHANNEL_POLL_MS + CHANNEL_POLL_GRACE_MS;
        let polled = self.api.call("getUpdates", &params, timeout_ms);
        let updates = match polled {
            // A webhook that was left behind keeps everybody from polling.
            Err(Fault::Conflict(text)) if text.to_lowercase().contains("webhook") => {
                self.api
                    .call("deleteWebhook", &json!({}), CHANNEL_CALL_MS)?;
                return Ok(Vec::new());
            }
            other => other?,
        };
        let rows = updates.as_array().map_or(&[][..], Vec::as_slice);
        let read = rows.iter().take(CHANNEL_UPDATES_MAX);
        Ok(read.filter_map(|row| update::read(row, bot)).collect())
    }

    fn hook(&mut self) -> Result<(), Fault> {
        let Some(hook) = self.api.account().webhook() else {
            return Ok(());
        };
        let params = json!({
            "url": hook.url,
            "secret_token": hook.secret.expose(),
            "allowed_updates": UPDATES,
            // An account takes one after the other.
            "max_connections": 1,
        });
        let done = self.api.call("setWebhook", &params, CHANNEL_CALL_MS);
        done.map(drop)
    }

    fn send(&mut self, message: &Outbound) -> Result<Arc<str>, Fault> {
        let mut params = place(&message.place);
        if let Some(reply_to) = message.reply_to.as_deref().and_then(number) {
            params["reply_parameters"] =
                json!({"message_id": reply_to, "allow_sending_without_reply": true});
        }
        let mut upload = None;
        let (method, text_key) = match (&message.media_url, &message.file) {
            (None, Some(file)) => {
                let (method, key) = match is_photo(file) {
                    true => ("sendPhoto", "photo"),
                    false => ("sendDocument", "document"),
                };
                upload = Some((key, file));
                (method, "caption")
            }
            (Some(url), _) => {
                let is_photo = [".jpg", ".jpeg", ".png", ".webp"]
                    .iter()
                    .any(|end| url.to_ascii_lowercase().ends_with(end));
                let (method, key) = match is_photo {
                    true => ("sendPhoto", "photo"),
                    false => ("sendDocument", "document"),
                };
                params[key] = Value::from(&**url);
                (method, "caption")
            }
            (None, None) => ("sendMessage", "text"),
        };
        let sent = self.with_markup(method, params, (text_key, &message.text), upload)?;
        let id = sent["message_id"].as_i64();
        // It was taken; only its name is not known.
        Ok(id.map_or_else(|| "0".into(), |id| id.to_string().into()))
    }

    fn edit(&mut self, message_id: &str, message: &Outbound) -> Result<(), Fault> {
        let mut params = place(&message.place);
        params["message_id"] = Value::from(number(message_id));
        let edited = self.with_markup("editMessageText", params, ("text", &message.text), None);
        match edited {
            // It stands there already.
            Err(Fault::Refused(why)) if why.contains("message is not modified") => Ok(()),
            Err(Fault::Refused(why))
                if why.contains("message to edit not found")
                    || why.contains("MESSAGE_ID_INVALID") =>
            {
                Err(Fault::Gone(why))
            }
            other => other.map(drop),
        }
    }

    fn fetch(&mut self, file: &FileRef, bytes_max: u64) -> Result<Arc<[u8]>, Fault> {
        let params = json!({"file_id": &*file.id});
        let told = self.api.call("getFile", &params, CHANNEL_FILE_MS.0)?;
        if told["file_size"]
            .as_u64()
            .is_some_and(|len| len > bytes_max)
        {
            return Err(Fault::Refused(format!(
                "it is longer than {bytes_max} bytes"
            )));
        }
        self.api
            .download(told["file_path"].as_str().unwrap_or(""), bytes_max)
    }

    fn typing(&mut self, at: &Place) -> Result<(), Fault> {
        let mut params = place(at);
        params["action"] = Value::from("typing");
        let done = self.api.call("sendChatAction", &params, CHANNEL_CALL_MS);
        done.map(drop)
    }
}

impl Telegram {
    /// A call with a text in HTML; where Telegram cannot read that, once more without markup: what it
    /// refused it did not do.
    fn with_markup(
        &mut self,
        method: &'static str,
        mut params: Value,
        (key, text): (&str, &str),
        upload: Option<(&str, &File)>,
    ) -> Result<Value, Fault> {
        let call = |params: &Value| match upload {
            Some(file) => self.api.upload(method, params, file),
            None => self.api.call(method, params, CHANNEL_CALL_MS),
        };
        params[key] = Value::from(text);
        params["parse_mode"] = Value::from("HTML");
        match call(&params) {
            Err(Fault::Refused(why)) if why.contains("can't parse entities") => {
                params[key] = Value::from(html::plain(text));
                params
                    .as_object_mut()
                    .and_then(|it| it.remove("parse_mode"));
                call(&params)
            }
            other => other,
        }
    }
}

/// Whether a file is shown as a picture: Telegram takes these as photos, up to 10 MB.
fn is_photo(file: &File) -> bool {
    const BYTES_MAX: usize = 10_000_000;
    let starts: [&[u8]; 2] = [&[0x89, b'P', b'N', b'G'], &[0xff, 0xd8, 0xff]];
    let is_picture = starts.iter().any(|start| file.bytes.starts_with(start));
    is_picture && !file.is_document && file.bytes.len() <= BYTES_MAX
}

/// The members that say where.
fn place(place: &Place) -> Value {
    let chat = number(&place.chat).map_or_else(|| Value::from(&*place.chat), Value::from);
    let mut params = json!({"chat_id": chat});
    if let Some(thread) = place.thread.as_deref().and_then(number) {
        params["message_thread_id"] = Value::from(thread);
    }
    params
}

fn number(text: &str) -> Option<i64> {
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receiver_is_a_number_or_a_name() {
        for (text, chat, thread) in [
            ("42", "42", None),
            (" telegram:42 ", "42", None),
            ("tg:-1001:topic:7", "-1001", Some("7")),
            ("@news_channel", "@news_channel", None),
        ] {
            let place = target(text).expect(text);
            assert_eq!((&*place.chat, place.thread.as_deref()), (chat, thread));
        }
        for bad in [
            "",
            "@",
            "alice",
            "42:topic:x",
            "1;2",
            "@a b",
            "99999999999999999999",
        ] {
            assert_eq!(target(bad), None, "{bad}");
        }
    }
}
