//! Updates of the Bot API as messages of any channel. What is missing or odd is left out.

use crate::channels::{Bot, Chat, FileRef, Incoming, Place, Quote, Sender, Update};
use crate::limits::{CHANNEL_QUOTE_BYTES_MAX, CHANNEL_TEXT_BYTES_MAX, CONTACT_NAME_CHARS_MAX};
use serde_json::Value;
use std::sync::Arc;

/// None for what has no number.
pub fn read(update: &Value, bot: &Bot) -> Option<Update> {
    Some(Update {
        id: update["update_id"].as_u64()?,
        message: message(&update["message"], bot),
        moved: moved(&update["message"]),
    })
}

fn message(message: &Value, bot: &Bot) -> Option<Incoming> {
    let from = &message["from"];
    let sender = sender(from).filter(|_| from["is_bot"] != true)?;
    let chat = &message["chat"];
    let chat_id = chat["id"].as_i64()?;
    let kind = chat["type"].as_str()?;
    let thread = message["message_thread_id"]
        .as_i64()
        .filter(|_| message["is_topic_message"] == true);
    let written = [&message["text"], &message["caption"]];
    let mut written = written.into_iter().filter_map(Value::as_str);
    let written = written.find(|text| !text.is_empty()).unwrap_or("");
    let (written, is_named) = without_name(written, &bot.username);
    let files = files(message);
    let text = match (written.is_empty(), location(message)) {
        (true, Some(location)) => location,
        _ => written,
    };
    if text.is_empty() && files.is_empty() {
        return None;
    }
    let answered = &message["reply_to_message"];
    let answered_id = answered["from"]["id"].as_i64();
    let answers_us = answered_id.is_some() && answered_id == bot.id.parse().ok();
    Some(Incoming {
        chat: Chat {
            place: Place {
                chat: chat_id.to_string().into(),
                thread: thread.map(|thread| thread.to_string().into()),
            },
            is_group: kind != "private",
            title: chat["title"].as_str().map(short),
        },
        sender,
        message_id: message["message_id"].as_i64()?.to_string().into(),
        text: cut(&text, CHANNEL_TEXT_BYTES_MAX).to_owned(),
        unix_ms: message["date"].as_u64().unwrap_or(0).saturating_mul(1_000),
        is_for_us: is_named || answers_us,
        quote: quote(answered),
        files,
    })
}

/// A group became a supergroup: told in the one or in the other.
fn moved(message: &Value) -> Option<(Arc<str>, Arc<str>)> {
    let chat = message["chat"]["id"].as_i64()?;
    let (from, to) = match message["migrate_to_chat_id"].as_i64() {
        Some(to) => (chat, to),
        None => (message["migrate_from_chat_id"].as_i64()?, chat),
    };
    (from != to).then(|| (from.to_string().into(), to.to_string().into()))
}

fn sender(from: &Value) -> Option<Sender> {
    let names = [&from["first_name"], &from["last_name"]];
    let names: Vec<&str> = names.into_iter().filter_map(Value::as_str).collect();
    Some(Sender {
        id: from["id"].as_i64()?.to_string().into(),
        username: from["username"].as_str().map(short),
        name: short(&names.join(" ")),
    })
}

/// The text without the account's name where that only says who is meant, and whether it is there.
fn without_name(text: &str, username: &str) -> (String, bool) {
    let text = text.trim();
    if username.is_empty() {
        return (text.to_owned(), false);
    }
    let name = format!("@{}", username.to_ascii_lowercase());
    let lower = text.to_ascii_lowercase();
    let is_end = |at: usize| {
        let next = lower[at..].chars().next();
        next.is_none_or(|c| !c.is_alphanumeric() && c != '_')
    };
    let mut starts = lower.match_indices(&name).map(|(at, _)| at);
    let Some(at) = starts.find(|at| is_end(at + name.len())) else {
        return (text.to_owned(), false);
    };
    let is_command = text.starts_with('/') && !text[..at].contains(char::is_whitespace);
    let meant = match at == 0 || is_command {
        true => format!("{}{}", &text[..at], &text[at + name.len()..]),
        false => text.to_owned(),
    };
    (
        meant
            .trim()
            .trim_start_matches([',', ':'])
            .trim()
            .to_owned(),
        true,
    )
}

fn quote(answered: &Value) -> Option<Quote> {
    let text = [&answered["text"], &answered["caption"]];
    let text = text.into_iter().find_map(Value::as_str)?;
    Some(Quote {
        name: sender(&answered["from"]).map_or_else(|| "".into(), |sender| sender.name),
        text: cut(text, CHANNEL_QUOTE_BYTES_MAX).to_owned(),
    })
}

/// Kinds of files that a message may hold one of.
const FILES: [&str; 6] = [
    "animation",
    "voice",
    "document",
    "audio",
    "video",
    "video_note",
];

fn files(message: &Value) -> Vec<FileRef> {
    // One photo in several sizes.
    let photo = message["photo"].as_array().and_then(|sizes| sizes.last());
    let photo = photo.map(|file| ("photo", file));
    let others = FILES.into_iter().map(|kind| (kind, &message[kind]));
    let read = |(kind, file): (&'static str, &Value)| {
        Some(FileRef {
            kind,
            name: file["file_name"].as_str().map(short),
            id: file["file_id"]
                .as_str()
                .filter(|id| id.len() <= 256)?
                .into(),
            media_type: file["mime_type"].as_str().map(short),
            bytes: file["file_size"].as_u64(),
        })
    };
    // A message holds one; an animation is there under its older name as well.
    photo
        .into_iter()
        .chain(others)
        .find_map(read)
        .into_iter()
        .collect()
}

fn location(message: &Value) -> Option<String> {
    let place = &message["location"];
    let (latitude, longitude) = (place["latitude"].as_f64()?, place["longitude"].as_f64()?);
    Some(format!("[location: {latitude}, {longitude}]"))
}

fn short(text: &str) -> Arc<str> {
    let shown = text.chars().filter(|c| !c.is_control());
    shown
        .take(CONTACT_NAME_CHARS_MAX)
        .collect::<String>()
        .into()
}

fn cut(text: &str, bytes_max: usize) -> &str {
    let end = (0..=bytes_max.min(text.len())).rfind(|at| text.is_char_boundary(*at));
    &text[..end.unwrap_or(0)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn bot() -> Bot {
        Bot {
            id: "99".into(),
            username: "Claw_Bot".into(),
        }
    }

    fn incoming(message: Value) -> Option<Incoming> {
        read(&json!({"update_id": 5, "message": message}), &bot())?.message
    }

    fn text(chat: Value, text: &str) -> Value {
        let from = json!({"id": 7, "is_bot": false, "first_name": "Al", "username": "al"});
        json!({"message_id": 3, "date": 1_700_000_000, "chat": chat, "from": from, "text": text})
    }

    fn private() -> Value {
        json!({"id": 7, "type": "private"})
    }

    #[test]
    fn a_private_text_is_read_whole() {
        let read = incoming(text(private(), "hi")).unwrap();
        assert_eq!(&*read.chat.place.chat, "7");
        assert!(!read.chat.is_group && !read.is_for_us);
        assert_eq!((&*read.sender.id, &*read.sender.name), ("7", "Al"));
        assert_eq!(read.unix_ms, 1_700_000_000_000);
        assert_eq!(read.text, "hi");
    }

    #[test]
    fn a_group_message_is_for_us_where_it_names_or_answers_us() {
        let group = json!({"id": -100, "type": "supergroup", "title": "G"});
        for (written, is_for_us, meant) in [
            ("hello all", false, "hello all"),
            ("@claw_bot, hello", true, "hello"),
            ("/status@Claw_Bot", true, "/status"),
            ("ask @claw_bot now", true, "ask @claw_bot now"),
            ("@claw_bots", false, "@claw_bots"),
        ] {
            let read = incoming(text(group.clone(), written)).unwrap();
            assert_eq!((read.is_for_us, read.text.as_str()), (is_for_us, meant));
            assert!(read.chat.is_group);
        }
        let mut other = text(group.clone(), "yes");
        other["reply_to_message"] = json!({"from": {"id": 98, "is_bot": true}, "text": "ok?"});
        assert!(
            !incoming(other).unwrap().is_for_us,
            "another bot was answered"
        );
        let mut answer = text(group, "yes");
        answer["reply_to_message"] = json!({"from": {"id": 99, "first_name": "C"}, "text": "ok?"});
        let read = incoming(answer).unwrap();
        assert!(read.is_for_us);
        assert_eq!(read.quote.unwrap().text, "ok?");
    }

    #[test]
    fn files_are_named() {
        let mut message = text(private(), "");
        message["caption"] = json!("look");
        message["photo"] = json!([{"file_id": "s"}, {"file_id": "l", "file_size": 9}]);
        let read = incoming(message).unwrap();
        assert_eq!((read.text.as_str(), read.files[0].kind), ("look", "photo"));
        let mut file = text(private(), "");
        file["document"] = json!({"file_id": "d", "file_name": "a.pdf"});
        let read = incoming(file).unwrap();
        assert_eq!(read.files[0].name.as_deref(), Some("a.pdf"));
    }

    #[test]
    fn a_group_that_became_a_supergroup_is_told_from_both_sides() {
        for message in [
            json!({"message_id": 1, "chat": {"id": -5}, "migrate_to_chat_id": -1005}),
            json!({"message_id": 1, "chat": {"id": -1005}, "migrate_from_chat_id": -5}),
        ] {
            let update = json!({"update_id": 5, "message": message});
            let moved = super::read(&update, &bot()).unwrap().moved;
            assert_eq!(moved, Some(("-5".into(), "-1005".into())));
        }
    }

    #[test]
    fn what_is_no_message_of_a_person_still_counts_as_an_update() {
        for message in [
            json!(null),
            json!({"message_id": 1}),
            json!({"message_id": 1, "chat": {"id": 1, "type": "private"}, "from": {"id": 1, "is_bot": true}, "text": "x"}),
            text(private(), " "),
        ] {
            let update = json!({"update_id": 5, "message": message});
            let read = super::read(&update, &bot()).unwrap();
            assert_eq!((read.id, read.message), (5, None));
        }
        assert_eq!(super::read(&json!({"update_id": -1}), &bot()), None);
    }
}
