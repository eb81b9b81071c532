//! The file that comes with a message: fetched from the service, kept in the agent's workspace, and read
//! with the message. Only then is the message stored and the update taken, so a crash at any point
//! fetches it again, under the same name.

use super::Phase;
use crate::agent::{Act, Acted, Below, CancelToken, Image};
use crate::channels::{Fault, FileRef, Job, Update};
use crate::config::types::DEFAULT_ACCOUNT;
use crate::gateway::Gateway;
use crate::gateway::attachments::{Attached, picture_type};
use crate::gateway::timers::Timer;
use crate::limits::{CHANNEL_FILE_BYTES_MAX, CHANNEL_FILE_TRIES, MEDIA_NAME_CHARS_MAX};
use std::sync::Arc;

/// What became of a message's file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Loaded {
    /// What the agent reads of it.
    pub note: String,
    pub images: Vec<Image>,
}

/// The file of the update that is being taken.
#[derive(Debug)]
pub(super) struct Loading {
    pub update: u64,
    tries: u32,
    /// None until it is over.
    pub done: Option<Loaded>,
}

impl Gateway {
    /// What became of the file of an update, if that is known; else it is being fetched from now on.
    pub(super) fn file_of(&mut self, slot: u64, update: &Update, agent: &str) -> Option<Loaded> {
        let file = update.message.as_ref().and_then(|it| it.files.first());
        let Some(file) = file else {
            return Some(Loaded::default());
        };
        let link = self.channels.links.get_mut(&slot)?;
        let bytes_max = file_bytes_max(link.account.media_max_mb);
        let loading = link.loading.take().filter(|it| it.update == update.id);
        let mut loading = loading.unwrap_or(Loading {
            update: update.id,
            tries: 0,
            done: None,
        });
        let is_long = file.bytes.is_some_and(|bytes| bytes > bytes_max);
        if is_long && loading.done.is_none() {
            loading.done = Some(not_loaded(file, &too_long(bytes_max)));
        }
        let done = loading.done.clone();
        link.loading = Some(loading);
        if done.is_some() {
            return done;
        }
        link.inbox.push_front(update.clone());
        let job = Job::Fetch {
            file: file.clone(),
            bytes_max,
        };
        let agent = agent.to_owned();
        if let Some(link) = self.channels.links.get_mut(&slot) {
            link.file_agent = agent;
        }
        let ticket = self.call_channel(slot, job);
        self.wait_for_call(slot, Phase::Fetching(ticket));
        None
    }

    /// The service gave the file, or did not.
    pub(super) fn on_file(&mut self, slot: u64, result: Result<Arc<[u8]>, Fault>) {
        let Some(link) = self.channels.links.get_mut(&slot) else {
            return;
        };
        let update = link.inbox.front().cloned();
        let file = update
            .as_ref()
            .and_then(|it| it.message.as_ref()?.files.first());
        let (Some(update), Some(file), Some(loading)) = (&update, file, &mut link.loading) else {
            return self.take_next(slot);
        };
        link.phase = Phase::Taking;
        let bytes = match result {
            Ok(bytes) => bytes,
            Err(Fault::Closed) => return,
            Err(Fault::Refused(why) | Fault::Unauthorized(why)) => {
                loading.done = Some(not_loaded(file, &why));
                return self.take_next(slot);
            }
            Err(fault) => {
                loading.tries += 1;
                let tries = loading.tries;
                if tries >= CHANNEL_FILE_TRIES {
                    loading.done = Some(not_loaded(file, &fault.to_string()));
                    return self.take_next(slot);
                }
                link.phase = Phase::Resting;
                let wait_ms = match fault {
                    Fault::Busy { retry_after_ms, .. } => retry_after_ms,
                    _ => self.channel_backoff_ms(tries),
                };
                return self
                    .timers
                    .set(self.now.mono_ms + wait_ms, Timer::Link(slot));
            }
        };
        let bot = link.bot.as_ref().map_or("", |bot| &bot.id);
        let path = path_of(bot, &link.account.id, update.id, &safe_name(file, &bytes));
        let at = Below {
            workspace: self.workspace_of(&self.channels.links[&slot].file_agent),
            path,
        };
        let act = Act::Keep {
            at,
            bytes: bytes.clone(),
        };
        let (id, file) = (update.id, file.clone());
        self.act(act, &CancelToken::new(), move |gateway, _, acted| {
            let kept = match acted {
                Acted::Text(path) => Ok(path),
                Acted::Failed(why) => Err(why),
                _ => Err("it was not kept".to_owned()),
            };
            gateway.on_file_kept(slot, id, &read(&file, &bytes, kept));
        });
    }

    fn on_file_kept(&mut self, slot: u64, update: u64, loaded: &Loaded) {
        let Some(link) = self.channels.links.get_mut(&slot) else {
            return;
        };
        let Some(loading) = link.loading.as_mut().filter(|it| it.update == update) else {
            return;
        };
        loading.done = Some(loaded.clone());
        self.take_next(slot);
    }
}

/// Where a file is kept: under a name that no other one has. Accounts may share a bot.
fn path_of(bot: &str, account: &str, update: u64, name: &str) -> String {
    let account = match account {
        DEFAULT_ACCOUNT => String::new(),
        other => format!("-{}", other.chars().map(safe_char).collect::<String>()),
    };
    format!("media/inbound/{bot}{account}-{update}-{name}")
}

fn safe_char(c: char) -> char {
    match c.is_alphanumeric() || ".-_".contains(c) {
        true => c,
        false => '_',
    }
}

/// The longest file that an account loads.
fn file_bytes_max(media_max_mb: Option<u64>) -> u64 {
    let configured = media_max_mb.map(|mb| mb.saturating_mul(1_000_000));
    let (usual, most) = CHANNEL_FILE_BYTES_MAX;
    configured.unwrap_or(usual).min(most)
}

fn too_long(bytes_max: u64) -> String {
    let mb = bytes_max / 1_000_000;
    format!("it is longer than {mb} MB (channels.telegram.mediaMaxMb, 20 at most)")
}

fn not_loaded(file: &FileRef, why: &str) -> Loaded {
    let name = file.name.as_deref().unwrap_or("without a name");
    Loaded {
        note: format!("\n[{}, {name}: not loaded: {why}]", file.kind),
        images: Vec::new(),
    }
}

/// What the agent reads of a file: a picture, a text, or that it is there.
fn read(file: &FileRef, bytes: &[u8], kept: Result<String, String>) -> Loaded {
    let mut note = match kept {
        Ok(path) => format!("\n[{}: in your workspace as {path}]", file.kind),
        Err(why) => format!("\n[{}: not kept: {why}]", file.kind),
    };
    let mut attached = Attached::default();
    let name = file.name.as_deref().unwrap_or(file.kind);
    let kind = file.media_type.as_deref().unwrap_or("file");
    let is_seen = matches!(file.kind, "photo" | "document" | "sticker");
    // What is neither a picture nor a text is named alone.
    if is_seen && attached.add_bytes(name, kind, bytes).is_ok() {
        note += &attached.text;
    }
    Loaded {
        note,
        images: attached.images,
    }
}

/// A name that is no path, hidden or long, with an ending that says what it is.
fn safe_name(file: &FileRef, bytes: &[u8]) -> String {
    let ending = match (file.kind, picture_type(bytes)) {
        (_, Some("image/png")) => "png",
        (_, Some("image/webp")) => "webp",
        (_, Some("image/gif")) => "gif",
        (_, Some(_)) | ("photo", None) => "jpg",
        ("voice", None) => "ogg",
        ("audio", None) => "mp3",
        ("video" | "video_note" | "animation", None) => "mp4",
        _ => "bin",
    };
    let name = file.name.as_deref().unwrap_or("").trim();
    let name: Vec<char> = name.chars().map(safe_char).collect();
    // The ending counts, so the start is cut.
    let start = name.len().saturating_sub(MEDIA_NAME_CHARS_MAX);
    let name: String = name[start..].iter().collect();
    match name.trim_matches('.') {
        "" => format!("{}.{ending}", file.kind),
        name => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(kind: &'static str, name: Option<&str>, media_type: Option<&str>) -> FileRef {
        FileRef {
            kind,
            name: name.map(Arc::from),
            id: "f".into(),
            media_type: media_type.map(Arc::from),
            bytes: None,
        }
    }

    #[test]
    fn accounts_of_one_bot_share_no_file() {
        assert_eq!(
            path_of("9", DEFAULT_ACCOUNT, 5, "a.png"),
            "media/inbound/9-5-a.png"
        );
        assert_eq!(
            path_of("9", "../b", 5, "a.png"),
            "media/inbound/9-.._b-5-a.png"
        );
    }

    #[test]
    fn a_name_is_no_path() {
        for (name, safe) in [
            (Some("../../etc/passwd"), "_.._etc_passwd"),
            (Some("a b\u{202e}c.pdf"), "a_b_c.pdf"),
            (Some("..."), "document.bin"),
            (Some(""), "document.bin"),
            (None, "document.bin"),
        ] {
            let safe_of = safe_name(&file("document", name, None), b"x");
            assert_eq!(safe_of, safe);
        }
        let long = "é".repeat(1_000) + ".txt";
        let cut = safe_name(&file("document", Some(&long), None), b"x");
        assert!(cut.ends_with(".txt") && cut.chars().count() <= MEDIA_NAME_CHARS_MAX);
        assert_eq!(safe_name(&file("voice", None, None), b"x"), "voice.ogg");
    }

    #[test]
    fn a_picture_is_seen_a_text_is_read_and_anything_else_is_named() {
        let png = [0x89, b'P', b'N', b'G', 0];
        let seen = read(&file("photo", None, None), &png, Ok("media/a.png".into()));
        assert_eq!(seen.images.len(), 1);
        assert_eq!(seen.note, "\n[photo: in your workspace as media/a.png]");
        let text = file("document", Some("n.txt"), Some("text/plain"));
        assert!(
            read(&text, b"hello", Ok("p".into()))
                .note
                .contains("[file \"n.txt\"]\nhello\n")
        );
        let voice = read(
            &file("voice", None, Some("audio/ogg")),
            b"OggS",
            Err("full".into()),
        );
        assert_eq!(
            (voice.note.as_str(), voice.images.len()),
            ("\n[voice: not kept: full]", 0)
        );
    }
}
