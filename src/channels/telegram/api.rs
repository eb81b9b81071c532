//! One call of the Bot API: JSON out, JSON in, and what a failure means.

use super::form;
use crate::agent::CancelToken;
use crate::channels::http::Call;
use crate::channels::{Fault, File};
use crate::config::types::ChannelAccount;
use crate::limits::{
    CHANNEL_ANSWER_BYTES_MAX, CHANNEL_FILE_MS, CHANNEL_FILE_SEND_MS, CHANNEL_RETRY_AFTER_MS_MAX,
};
use serde_json::Value;
use std::io::Read;
use std::sync::Arc;

const ROOT: &str = "https://api.telegram.org";
/// Where Telegram is too busy to say for how long.
const BUSY_S: u64 = 5;
/// Characters of Telegram's words that are told.
const SAID_CHARS_MAX: usize = 300;

pub struct Api {
    account: Arc<ChannelAccount>,
    cancel: CancelToken,
}

impl Api {
    pub const fn new(account: Arc<ChannelAccount>, cancel: CancelToken) -> Self {
        Self { account, cancel }
    }

    pub fn account(&self) -> &ChannelAccount {
        &self.account
    }

    fn token(&self) -> &str {
        let token = self.account.bot_token.as_ref();
        token.map_or("", |token| token.expose())
    }

    fn root(&self) -> &str {
        let root = self.account.api_root.as_deref().unwrap_or(ROOT);
        root.trim_end_matches('/')
    }

    /// Calls a method; its `result`.
    ///
    /// # Errors
    ///
    /// What may be done about it; no text holds the token.
    pub fn call(
        &self,
        method: &'static str,
        params: &Value,
        timeout_ms: u64,
    ) -> Result<Value, Fault> {
        let body = params.to_string().into_bytes();
        self.post(method, "application/json", body, timeout_ms)
    }

    /// The same with a file as the parameter `field`.
    ///
    /// # Errors
    ///
    /// As above.
    pub fn upload(
        &self,
        method: &'static str,
        params: &Value,
        (field, file): (&str, &File),
    ) -> Result<Value, Fault> {
        let form = form::write(params, field, file);
        self.post(method, &form.content_type, form.body, CHANNEL_FILE_SEND_MS)
    }

    fn post(
        &self,
        method: &'static str,
        content_type: &str,
        body: Vec<u8>,
        timeout_ms: u64,
    ) -> Result<Value, Fault> {
        if self.cancel.is_cancelled() {
            return Err(Fault::Closed);
        }
        let url = format!("{}/bot{}/{method}", self.root(), self.token());
        let call = Call::new(&url, timeout_ms, &self.cancel);
        let request = call.agent.post(&url).content_type(content_type);
        let response = request.send(&body[..]);
        let response = response.map_err(|error| call.fault(method, &error))?;
        let status = response.status().as_u16();
        let mut bytes = Vec::new();
        let body = response.into_body().into_reader();
        let read = body.take(CHANNEL_ANSWER_BYTES_MAX).read_to_end(&mut bytes);
        if self.cancel.is_cancelled() {
            return Err(Fault::Closed);
        }
        let answer: Value = match read {
            Ok(_) => serde_json::from_slice(&bytes).unwrap_or_default(),
            Err(_) => Value::Null,
        };
        if status == 200 && answer["ok"] == true {
            let mut answer = answer;
            return Ok(answer["result"].take());
        }
        Err(self.refusal(method, status, &answer))
    }

    /// The whole of a file at a path that `getFile` gave.
    ///
    /// # Errors
    ///
    /// As above; the path is none, or the file is longer than `bytes_max`.
    pub fn download(&self, path: &str, bytes_max: u64) -> Result<Arc<[u8]>, Fault> {
        let what = "the file";
        let fits = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
        if path.is_empty()
            || path.starts_with('/')
            || path.contains("..")
            || !path.chars().all(fits)
        {
            return Err(Fault::Refused(
                "Telegram named no path of the file".to_owned(),
            ));
        }
        if self.cancel.is_cancelled() {
            return Err(Fault::Closed);
        }
        let url = format!("{}/file/bot{}/{path}", self.root(), self.token());
        let call = Call::new(&url, CHANNEL_FILE_MS.1, &self.cancel);
        let response = call.agent.get(&url).call();
        let response = response.map_err(|error| call.fault(what, &error))?;
        let status = response.status().as_u16();
        if status != 200 {
            return Err(self.refusal("file", status, &Value::Null));
        }
        let mut bytes = Vec::new();
        let body = response.into_body().into_reader();
        let read = body.take(bytes_max + 1).read_to_end(&mut bytes);
        match read {
            _ if self.cancel.is_cancelled() => Err(Fault::Closed),
            // Reading changes nothing: it may be read again.
            Err(error) => Err(Fault::Later(format!("{what}: {}", error.kind()))),
            Ok(_) if bytes.len() as u64 > bytes_max => Err(Fault::Refused(format!(
                "it is longer than {bytes_max} bytes"
            ))),
            Ok(_) => Ok(bytes.into()),
        }
    }

    fn refusal(&self, method: &str, status: u16, answer: &Value) -> Fault {
        let said = answer["description"].as_str().unwrap_or("without a word");
        let said = without(said, self.token());
        let said: String = said.chars().take(SAID_CHARS_MAX).collect();
        let text = format!("{method}: Telegram answered {status}: {said}");
        match status {
            401 | 404 => Fault::Unauthorized(format!("{text} (is the bot token right?)")),
            409 => Fault::Conflict(text),
            429 => {
                let seconds = answer["parameters"]["retry_after"]
                    .as_u64()
                    .unwrap_or(BUSY_S);
                Fault::Busy {
                    retry_after_ms: (seconds.saturating_mul(1_000)).min(CHANNEL_RETRY_AFTER_MS_MAX),
                    text,
                }
            }
            400 if answer["parameters"]["migrate_to_chat_id"].is_i64() => Fault::Moved {
                to: answer["parameters"]["migrate_to_chat_id"].to_string(),
                text,
            },
            300..=499 => Fault::Refused(text),
            // It came so far that it may have been done.
            _ => Fault::Unknown(text),
        }
    }
}

/// A text without a secret that it may repeat.
fn without(text: &str, secret: &str) -> String {
    match secret.is_empty() {
        true => text.to_owned(),
        false => text.replace(secret, "…"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;
    use serde_json::json;

    fn api() -> Api {
        let account = ChannelAccount {
            bot_token: Some(Secret::new("12:secret")),
            ..ChannelAccount::default()
        };
        Api::new(Arc::new(account), CancelToken::new())
    }

    #[test]
    fn a_refusal_says_whether_something_may_have_been_done() {
        let busy = json!({"ok": false, "parameters": {"retry_after": 7}});
        let Fault::Busy { retry_after_ms, .. } = api().refusal("sendMessage", 429, &busy) else {
            panic!("429 is busy");
        };
        assert_eq!(retry_after_ms, 7_000);
        let said = json!({"description": "no 12:secret here"});
        for (status, is_it) in [
            (
                400,
                (|it: &Fault| matches!(it, Fault::Refused(_))) as fn(&Fault) -> bool,
            ),
            (401, |it| matches!(it, Fault::Unauthorized(_))),
            (409, |it| matches!(it, Fault::Conflict(_))),
            (500, |it| matches!(it, Fault::Unknown(_))),
            (502, |it| matches!(it, Fault::Unknown(_))),
            (200, |it| matches!(it, Fault::Unknown(_))),
        ] {
            let fault = api().refusal("sendMessage", status, &said);
            assert!(is_it(&fault), "{status}: {fault:?}");
            assert!(!fault.to_string().contains("secret"), "{fault}");
        }
    }
}
