//! `send`: a message to somebody in a channel.

use super::chat::{Repeat, fingerprint};
use crate::agent::{Act, Acted, Below, CancelToken};
use crate::channels;
use crate::gateway::channels::{Letter, Receiver};
use crate::gateway::commit::Key;
use crate::gateway::dispatch::{Call, Handled, KeptCall, Outcome, Stop};
use crate::gateway::params::Params;
use crate::gateway::{Gateway, Refusal};
use crate::limits::{CHANNEL_FILE_SENT_BYTES_MAX, IDEMPOTENCY_TTL_MS};
use crate::now::Now;
use crate::state::{Idempotency, IdempotencyState, OutgoingFile, Record, Text};
use std::sync::Arc;

/// A message on its way into the store, with the key of its call.
struct Sending {
    to: Receiver,
    text: Text,
    media_url: Option<Text>,
    file: Option<OutgoingFile>,
    key: Text,
    mark: [u8; 32],
}

/// Stores the message, sends it, and answers with what became of it. A repeat of the key gets the
/// same answer and sends nothing. A file that could not be sent is refused before anything is stored.
pub fn send(gateway: &mut Gateway, _: Now, call: Call<'_>, params: Params<'_, '_>) -> Handled {
    let text = params.text("message").unwrap_or("");
    let media = params.text("mediaUrl").filter(|url| !url.is_empty());
    let media: Vec<&str> = params.texts("mediaUrls").chain(media).collect();
    let receiver = gateway.receiver_of_call(params)?;
    check_content(text, &media)?;
    let key = params.required_text("idempotencyKey");
    let mark = fingerprint(&[&receiver.channel, &receiver.chat, text]);
    match gateway.repeated("send", key, &mark)? {
        Repeat::Fresh => {}
        Repeat::InFlight => {
            gateway.wait_for_sent(key, call.keep());
            return Ok(Outcome::Later);
        }
        Repeat::Done(response) => {
            gateway.answer_repeat(call, &response);
            return Ok(Outcome::Done);
        }
    }
    let media = media.first().copied();
    let (media_url, path) = media.map_or((None, None), |it| match it.starts_with("https://") {
        true => (Some(it), None),
        false => (None, Some(it)),
    });
    let file = path.map(|path| OutgoingFile {
        workspace: gateway.workspace_of(gateway.default_agent()).into(),
        path: path.into(),
        is_document: params.bool("forceDocument").unwrap_or(false),
    });
    let sending = Sending {
        to: receiver,
        text: text.into(),
        media_url: media_url.map(Text::from),
        file: file.clone(),
        key: key.into(),
        mark,
    };
    match file {
        Some(file) => gateway.check_file(&file, sending, call.keep()),
        None => {
            let rows = gateway.rows_of(&sending)?;
            gateway.send_stored(&sending.key, rows, call.keep());
        }
    }
    Ok(Outcome::Later)
}

fn check_content(text: &str, media: &[&str]) -> Result<(), Refusal> {
    if text.trim().is_empty() && media.is_empty() {
        return Err(Refusal::invalid("invalid send params: message is empty"));
    }
    match media {
        [] => Ok(()),
        [it] if it.starts_with("https://") || !it.contains("://") => Ok(()),
        [_] => Err(Refusal::invalid(
            "invalid send params: mediaUrl has to be an https address, or a path in the agent's workspace",
        )),
        _ => Err(Refusal::invalid(
            "invalid send params: one mediaUrl at a time",
        )),
    }
}

impl Gateway {
    /// Whom a call of `send` means.
    fn receiver_of_call(&self, params: Params<'_, '_>) -> Result<Receiver, Refusal> {
        let only = || channels::KINDS.first().map_or("", |kind| kind.name);
        let channel = params.text("channel").unwrap_or_else(only);
        self.receiver_named(
            channel,
            params.required_text("to"),
            params.text("accountId"),
        )
    }

    /// Whom somebody means by a channel, a receiver and maybe an account.
    ///
    /// # Errors
    ///
    /// Says what there is no such thing as.
    pub(in crate::gateway) fn receiver_named(
        &self,
        channel: &str,
        to: &str,
        account_id: Option<&str>,
    ) -> Result<Receiver, Refusal> {
        let name = channel.trim().to_lowercase();
        let Some(kind) = channels::find(&name) else {
            return Err(Refusal::invalid(format!("unsupported channel: {name}")));
        };
        let Some(place) = (kind.target)(to) else {
            let text = format!("{to:?} is no receiver on {name}: use a chat's number or @name");
            return Err(Refusal::invalid(text));
        };
        let account = account_id.map(Text::from);
        let account = account.or_else(|| self.default_account(&name));
        let account = account.filter(|id| self.channels.link(&name, id).is_some());
        let Some(account_id) = account else {
            let what = match account_id {
                Some(id) => format!("{name} has no account {id:?} at work"),
                None => format!("{name} is not configured"),
            };
            let text = format!("{what} (run: clawdia channels status)");
            return Err(Refusal::unavailable(text));
        };
        Ok(Receiver {
            channel: name.into(),
            account_id,
            chat: place.chat,
            thread: place.thread,
            reply_to: None,
        })
    }

    /// Sends the message if its file is there; what may have happened to its key meanwhile counts.
    fn check_file(&mut self, file: &OutgoingFile, sending: Sending, call: KeptCall) {
        let act = Act::Check {
            at: Below {
                workspace: file.workspace.to_string(),
                path: file.path.to_string(),
            },
            bytes_max: CHANNEL_FILE_SENT_BYTES_MAX,
        };
        self.act(act, &CancelToken::new(), |gateway, _, acted| match acted {
            Acted::Failed(why) => {
                let text = format!("the message is not sent: {why}");
                gateway.refuse_kept(&call, &Refusal::invalid(text));
            }
            _ => gateway.send_checked(sending, call),
        });
    }

    fn send_checked(&mut self, sending: Sending, call: KeptCall) {
        match self.repeated("send", &sending.key, &sending.mark) {
            Ok(Repeat::InFlight) => self.wait_for_sent(&sending.key, call),
            Ok(Repeat::Done(response)) => {
                self.end_in_flight(&call);
                let (conn, method) = (call.conn, call.method);
                let id = &call.id;
                self.answer_repeat(Call { conn, id, method }, &response);
            }
            Ok(Repeat::Fresh) => match self.rows_of(&sending) {
                Ok(rows) => self.send_stored(&sending.key, rows, call),
                Err(refusal) => self.refuse_kept(&call, &refusal),
            },
            Err(Stop::Refuse(refusal)) => self.refuse_kept(&call, &refusal),
            Err(Stop::Busy) => {
                let job = |gateway: &mut Gateway, _| gateway.send_checked(sending, call);
                self.commits.wait(Box::new(job));
            }
        }
    }

    /// What is stored of the message, and the number of its last part.
    fn rows_of(&mut self, sending: &Sending) -> Result<(Vec<Record>, u64), Refusal> {
        let letter = Letter {
            media_url: sending.media_url.as_deref(),
            file: sending.file.clone(),
            key: Some(sending.key.clone()),
            ..Letter::text(&sending.text)
        };
        let entry = Idempotency {
            method: "send".into(),
            key: sending.key.clone(),
            fingerprint: sending.mark,
            run_id: None,
            state: IdempotencyState::InFlight,
            response: Text::from(""),
            expires_at_ms: self.now.unix_ms + IDEMPOTENCY_TTL_MS,
        };
        let Some(mut records) = self.state.idempotency().make_room(1, 0) else {
            let text = "too many requests are in flight; try again later";
            return Err(Refusal::unavailable(text));
        };
        let letters = self.letters(&sending.to, &letter);
        let number = letters.iter().rev().find_map(|record| match record {
            Record::OutgoingPut(row) => Some(row.number),
            _ => None,
        });
        let Some(number) = number else {
            let text = "too many messages wait for their channel; try again later";
            return Err(Refusal::unavailable(text));
        };
        records.push(Record::IdempotencyPut(Arc::new(entry)));
        records.extend(letters);
        Ok((records, number))
    }

    fn send_stored(&mut self, key: &Text, (records, number): (Vec<Record>, u64), call: KeptCall) {
        let lock = Key::Idempotency("send", key.as_ref().into());
        self.commit(
            vec![lock],
            records,
            move |gateway, _, result| match result {
                Ok(()) => {
                    gateway.wait_for_number(number, call);
                    gateway.offer_outgoing();
                }
                Err(fault) => gateway.refuse_kept(&call, &Refusal::not_stored(&fault)),
            },
        );
    }
}
