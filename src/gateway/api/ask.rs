//! What a request of OpenAI's kind asks for: an agent, a session, a message.

use super::Fault;
use crate::agent::Image;
use crate::gateway::Gateway;
use crate::gateway::attachments::Attached;
use crate::gateway::auth::secret::sha256;
use crate::limits::CHAT_TEXT_BYTES_MAX;
use crate::state::Text;
use crate::wire::http::Head;
use serde_json::Value;
use std::ops::Range;

/// Names that this program and its ecosystem go by, in headers and models.
const BRANDS: [&str; 4] = ["clawdia", "clawdbot", "moltbot", "openclaw"];

/// Who is asked, where.
pub(super) struct Place {
    pub session_key: Text,
    /// The session is for this request alone and goes with its answer.
    pub is_one_off: bool,
    /// What the client calls the model; answers repeat it.
    pub model: String,
}

/// One part of a conversation.
struct Said {
    who: &'static str,
    text: String,
    /// Which of all pictures came with it.
    images: Range<usize>,
}

/// The conversation that a client sends as a whole each time.
#[derive(Default)]
pub(super) struct Conversation {
    system: Vec<String>,
    said: Vec<Said>,
    attached: Attached,
}

impl Conversation {
    /// Takes one message of `messages` or `input`.
    ///
    /// # Errors
    ///
    /// A part that nothing here reads: dropping it would be a lie.
    pub(super) fn add(&mut self, role: &str, content: &Value) -> Result<(), Fault> {
        let first = self.attached.images.len();
        let text = self.text_of(content)?;
        let images = first..self.attached.images.len();
        let who = match role {
            "system" | "developer" => {
                self.instruct(&text);
                return Ok(());
            }
            "assistant" => "Assistant",
            "user" => "User",
            "tool" | "function" => "Tool",
            other => {
                return Err(Fault::invalid(format!(
                    "a message has the unknown role {other:?}"
                )));
            }
        };
        if !text.trim().is_empty() || !images.is_empty() {
            self.said.push(Said { who, text, images });
        }
        Ok(())
    }

    /// The text of a message's content: a string, or a list of parts. Pictures go to the others.
    fn text_of(&mut self, content: &Value) -> Result<String, Fault> {
        match content {
            Value::Null => Ok(String::new()),
            Value::String(text) => Ok(text.clone()),
            Value::Array(parts) => {
                let mut texts = Vec::new();
                for part in parts {
                    match part["text"].as_str() {
                        Some(text) if is_text(part) => texts.push(text.to_owned()),
                        _ => self.attach(part)?,
                    }
                }
                texts.extend(
                    Some(std::mem::take(&mut self.attached.text)).filter(|it| !it.is_empty()),
                );
                Ok(texts.join("\n"))
            }
            _ => Err(Fault::invalid("content must be a text or a list of parts")),
        }
    }

    /// A picture or file, as both protocols have them: within the request, never an address.
    fn attach(&mut self, part: &Value) -> Result<(), Fault> {
        let kind = part["type"].as_str().unwrap_or("");
        let source = &part["source"];
        let url = match kind {
            "image_url" => &part["image_url"]["url"],
            "input_image" if source.is_null() => &part["image_url"],
            "input_file" if source.is_null() => &part["file_data"],
            "input_image" | "input_file" => &source["data"],
            _ => {
                return Err(Fault::invalid(format!(
                    "a part of the kind {kind:?} is not read here: send a text or a picture"
                )));
            }
        };
        let data = url.as_str().filter(|url| !url.contains("://"));
        let Some(data) = data else {
            return Err(Fault::invalid(format!(
                "a part of the kind {kind:?} has to hold its content as a data: URL; no address is \
                 loaded"
            )));
        };
        let named = data
            .strip_prefix("data:")
            .and_then(|it| it.split(';').next());
        let media_type = source["media_type"].as_str().or(named).unwrap_or("");
        let name = part["filename"].as_str().or(source["filename"].as_str());
        self.attached
            .add(name.unwrap_or(kind), media_type, data)
            .map_err(Fault::invalid)
    }

    /// The pictures of the message that is to be answered; with those before it, unless the session knows
    /// them.
    pub(super) fn images(&self, session_knows: bool) -> Vec<Image> {
        let Some(at) = self.asked() else {
            return Vec::new();
        };
        let first = if session_knows { at } else { 0 };
        let said = self.said[first..=at].iter();
        said.flat_map(|it| self.attached.images[it.images.clone()].iter().cloned())
            .collect()
    }

    /// The last message that is not the agent's own.
    fn asked(&self) -> Option<usize> {
        self.said.iter().rposition(|said| said.who != "Assistant")
    }

    /// More for the system prompt.
    pub(super) fn instruct(&mut self, text: &str) {
        if !text.trim().is_empty() {
            self.system.push(text.trim().to_owned());
        }
    }

    /// The message that is to be answered; with what was said before it, unless the session
    /// knows that.
    ///
    /// # Errors
    ///
    /// There is none, or it is too long.
    pub(super) fn message(&self, session_knows: bool) -> Result<String, Fault> {
        let Some(at) = self.asked() else {
            return Err(Fault::invalid("there is no message of the user"));
        };
        let asked = &self.said[at].text;
        let message = match at {
            0 => asked.clone(),
            _ if session_knows => asked.clone(),
            _ => {
                let lines: Vec<String> = self.said[..at]
                    .iter()
                    .map(|said| format!("{}: {}", said.who, said.text))
                    .collect();
                format!(
                    "[What was said before, for context]\n{}\n\n[The message to answer]\n{asked}",
                    lines.join("\n")
                )
            }
        };
        match message.len() > CHAT_TEXT_BYTES_MAX {
            true => Err(Fault {
                status: 413,
                ..Fault::invalid(format!(
                    "the messages are longer than {CHAT_TEXT_BYTES_MAX} bytes together"
                ))
            }),
            false => Ok(message),
        }
    }

    pub(super) fn extra_prompt(&self) -> Option<Text> {
        (!self.system.is_empty()).then(|| self.system.join("\n\n").into())
    }
}

impl Gateway {
    /// The agent and the session that a request means. `prefix` keeps the endpoints apart.
    pub(super) fn api_place(
        &mut self,
        head: &Head<'_>,
        prefix: &str,
        body: &Value,
    ) -> Result<Place, Fault> {
        let model = body["model"].as_str().unwrap_or("clawdia").trim();
        let agent = self.api_agent(head, model)?;
        let explicit = header(head, &["session-key"])?;
        let user = body["user"]
            .as_str()
            .map(str::trim)
            .filter(|it| !it.is_empty());
        let (key, is_one_off) = match (explicit, user) {
            (Some(key), _) => (key.to_owned(), false),
            (None, Some(user)) => (
                format!("agent:{agent}:{prefix}-user:{}", plain(user)),
                false,
            ),
            (None, None) => (format!("agent:{agent}:{prefix}:{}", self.uuid()), true),
        };
        let invalid = |refusal: crate::gateway::Refusal| Fault::invalid(refusal.message);
        let session_key = self.session_key(&key).map_err(invalid)?;
        self.check_may_speak(&session_key).map_err(invalid)?;
        Ok(Place {
            session_key,
            is_one_off,
            model: model.to_owned(),
        })
    }

    /// A header names the agent, else the model does; any other model means the default agent.
    fn api_agent(&self, head: &Head<'_>, model: &str) -> Result<String, Fault> {
        let of_model = || {
            let (brand, agent) = model.split_once([':', '/'])?;
            (BRANDS.contains(&brand) || brand == "agent").then_some(agent)
        };
        let Some(agent) = header(head, &["agent-id", "agent"])?.or_else(of_model) else {
            return Ok(self.default_agent().to_owned());
        };
        let agent = agent.to_ascii_lowercase();
        let known = self.check_agent(&agent);
        known.map_err(|refusal| Fault::not_found(refusal.message))?;
        Ok(agent)
    }

    /// Whether a session has messages of its own.
    pub(super) fn session_speaks(&self, key: &str) -> bool {
        let session = self.session(key);
        session.is_some_and(|it| self.state.transcript(&it.session_id).message_count() > 0)
    }
}

/// `x-<brand>-<name>`.
fn header<'a>(head: &Head<'a>, names: &[&str]) -> Result<Option<&'a str>, Fault> {
    for name in names {
        for brand in BRANDS {
            let value = head
                .only(&format!("x-{brand}-{name}"))
                .map_err(|refusal| Fault::invalid(refusal.why))?;
            if let Some(value) = value.map(str::trim).filter(|value| !value.is_empty()) {
                return Ok(Some(value));
            }
        }
    }
    Ok(None)
}

/// A user's name as part of a session key: as it is where it may be one, else its hash.
fn plain(user: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.@+".contains(c);
    if user.len() <= 64 && user.chars().all(fits) && !user.contains("..") {
        return user.to_owned();
    }
    let hash = sha256(user.as_bytes());
    hash[..16]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn is_text(part: &Value) -> bool {
    let kind = part["type"].as_str().unwrap_or("");
    matches!(kind, "text" | "input_text" | "output_text")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn conversation(messages: &[(&str, Value)]) -> Conversation {
        let mut conversation = Conversation::default();
        for (role, content) in messages {
            conversation.add(role, content).unwrap();
        }
        conversation
    }

    #[test]
    fn what_was_said_before_comes_along_unless_the_session_knows_it() {
        let said = conversation(&[
            ("system", json!("be kind")),
            ("user", json!("one")),
            ("assistant", json!([{"type": "output_text", "text": "two"}])),
            ("user", json!([{"type": "text", "text": "three"}])),
        ]);
        assert_eq!(said.extra_prompt().as_deref(), Some("be kind"));
        assert_eq!(said.message(true).unwrap(), "three");
        let whole = said.message(false).unwrap();
        assert!(whole.contains("User: one\nAssistant: two\n") && whole.ends_with("three"));
        assert!(
            conversation(&[("assistant", json!("x"))])
                .message(true)
                .is_err()
        );
    }

    #[test]
    fn what_cannot_be_read_is_refused_and_not_dropped() {
        let mut said = Conversation::default();
        for (part, why) in [
            (
                json!({"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}),
                "data: URL",
            ),
            (
                json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,!"}}),
                "base64",
            ),
            (
                json!({"type": "input_audio", "input_audio": {}}),
                "input_audio",
            ),
            (json!({"type": "input_image"}), "data: URL"),
        ] {
            let fault = said.add("user", &json!([part])).unwrap_err();
            assert!(fault.message.contains(why), "{fault:?}");
        }
        assert!(said.add("robot", &json!("x")).is_err());
        assert!(said.add("user", &json!(7)).is_err());
    }

    #[test]
    fn pictures_come_with_the_messages_that_they_belong_to() {
        let png = "data:image/png;base64,iVBORw0KGgo=";
        let part = json!({"type": "image_url", "image_url": {"url": png}});
        let other = json!({"type": "input_image", "source": {"type": "base64", "data": "/9j/"}});
        let text = json!({"type": "input_file", "filename": "a.txt", "file_data": "data:text/plain;base64,aGk="});
        let said = conversation(&[
            ("user", json!([part])),
            ("assistant", json!("a dot")),
            (
                "user",
                json!([{"type": "text", "text": "and this?"}, other, text]),
            ),
        ]);
        assert_eq!(said.images(false).len(), 2);
        let asked = said.images(true);
        assert_eq!((asked.len(), asked[0].media_type), (1, "image/jpeg"));
        assert!(said.message(true).unwrap().contains("[file \"a.txt\"]\nhi"));
    }

    #[test]
    fn every_user_has_a_key_of_his_own() {
        assert_eq!(plain("ann@example.org"), "ann@example.org");
        assert_ne!(plain("../x"), plain("../y"));
        assert_eq!(plain("a b").len(), 32);
    }
}
