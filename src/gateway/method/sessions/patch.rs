//! `sessions.patch`: settings of one session; null takes one back.

use crate::agent::{ModelRef, Thinking};
use crate::gateway::commit::Key;
use crate::gateway::dispatch::{Call, Handled, Outcome, Stop};
use crate::gateway::params::Params;
use crate::gateway::sessions::{session_lock, touch};
use crate::gateway::{Gateway, Refusal};
use crate::limits::SESSION_SETTING_BYTES_MAX;
use crate::now::Now;
use crate::state::{Record, Session, Text};
use std::sync::Arc;

/// A setting with a fixed set of values.
struct Choice {
    name: &'static str,
    values: &'static [&'static str],
    /// The value that is the same as none.
    none: Option<&'static str>,
}

const fn choice(
    name: &'static str,
    values: &'static [&'static str],
    none: Option<&'static str>,
) -> Choice {
    Choice { name, values, none }
}

const CHOICES: &[Choice] = &[
    choice("verboseLevel", &["on", "off", "full"], None),
    choice("reasoningLevel", &["on", "off", "stream"], Some("off")),
    choice(
        "responseUsage",
        &["off", "tokens", "full", "on"],
        Some("off"),
    ),
    choice("elevatedLevel", &["on", "off", "ask", "full"], None),
    choice("execHost", &["sandbox", "gateway", "node"], None),
    choice("execSecurity", &["deny", "allowlist", "full"], None),
    choice("execAsk", &["off", "on-miss", "always"], None),
    choice("sendPolicy", &["allow", "deny"], None),
    choice("groupActivation", &["mention", "always"], None),
    choice(
        "queueMode",
        &["followup", "collect", "steer", "interrupt"],
        None,
    ),
];

/// Models that can think at level `xhigh`.
const XHIGH_MODELS: [&str; 3] = [
    "openai/gpt-5.2",
    "openai-codex/gpt-5.2-codex",
    "openai-codex/gpt-5.1-codex",
];

/// `sessions.patch`: makes the session where there is none.
pub fn patch(gateway: &mut Gateway, now: Now, call: Call<'_>, params: Params<'_, '_>) -> Handled {
    let key = gateway.session_key(params.required_text("key"))?;
    let lock = session_lock(&key);
    if gateway.commits.is_reserved(&lock) {
        return Err(Stop::Busy);
    }
    gateway.place_for_session(&key)?;
    let mut session = gateway.session_or_new(&key, now);
    let mut locks = vec![lock];
    gateway.patch_spawned_by(&mut session, params)?;
    locks.extend(gateway.patch_label(&mut session, params)?);
    gateway.patch_model(&mut session, params)?;
    gateway.patch_thinking(&mut session, params)?;
    for choice in CHOICES {
        patch_choice(&mut session, choice, params)?;
    }
    patch_exec_node(&mut session, params)?;
    touch(&mut session, now);
    let session = Arc::new(session);
    let record = Record::SessionPut(session.clone());
    let call = call.keep();
    gateway.commit(locks, vec![record], move |gateway, _, result| {
        if let Err(fault) = result {
            return gateway.refuse_kept(&call, &Refusal::not_stored(&fault));
        }
        gateway.touch_health();
        gateway.reply_kept(&call, |gateway, w| {
            w.object(|w| {
                w.field_bool("ok", true);
                w.field_str("path", &gateway.database_path());
                w.field_str("key", &session.key);
                w.key("entry");
                gateway.write_session_entry(w, &session);
            });
        });
    });
    Ok(Outcome::Later)
}

impl Gateway {
    fn patch_spawned_by(
        &self,
        session: &mut Session,
        params: Params<'_, '_>,
    ) -> Result<(), Refusal> {
        const NAME: &str = "spawnedBy";
        let old = session.settings.get(NAME).cloned();
        if params.is_null(NAME) && old.is_some() {
            return Err(Refusal::invalid("spawnedBy cannot be cleared once set"));
        }
        let Some(parent) = params.text(NAME) else {
            return Ok(());
        };
        let name = session.key.splitn(3, ':').nth(2).unwrap_or("");
        if !name.starts_with("subagent:") {
            let text = "spawnedBy is only supported for subagent:* sessions";
            return Err(Refusal::invalid(text));
        }
        let parent = self.session_key(parent)?;
        if old.is_some_and(|old| old != parent) {
            return Err(Refusal::invalid("spawnedBy cannot be changed once set"));
        }
        session.settings.insert(NAME.into(), parent);
        Ok(())
    }

    /// The lock of a label that is given to the session.
    fn patch_label(
        &self,
        session: &mut Session,
        params: Params<'_, '_>,
    ) -> Result<Option<Key>, Stop> {
        if params.is_null("label") {
            session.label = None;
        }
        let Some(label) = plain(params, "label")? else {
            return Ok(None);
        };
        let lock = self.claim_label(&session.key, label)?;
        session.label = Some(label.into());
        Ok(Some(lock))
    }

    fn patch_model(&self, session: &mut Session, params: Params<'_, '_>) -> Result<(), Refusal> {
        let own = self.model_of(&session.agent_id);
        let model = match plain(params, "model")? {
            Some(text) if text.contains('/') => ModelRef::parse(text)
                .ok_or_else(|| Refusal::invalid("invalid model: use provider/model"))?,
            Some(name) => ModelRef::new(own.provider(), name),
            None if params.is_null("model") => own.clone(),
            None => return Ok(()),
        };
        if !self.has_provider(model.provider()) {
            let text = format!("invalid model: no provider \"{}\"", model.provider());
            return Err(Refusal::invalid(text));
        }
        let differs = model != own;
        session.model_provider = differs.then(|| model.provider().into());
        session.model = differs.then(|| model.model().into());
        Ok(())
    }

    fn patch_thinking(&self, session: &mut Session, params: Params<'_, '_>) -> Result<(), Refusal> {
        const NAME: &str = "thinkingLevel";
        if params.is_null(NAME) {
            session.thinking_level = None;
        }
        let Some(text) = params.text(NAME) else {
            return Ok(());
        };
        let model = self.model_of_session(session);
        let has_xhigh = XHIGH_MODELS.contains(&model.to_string().to_lowercase().as_str());
        let level = match Thinking::parse(text) {
            Some(level) => level,
            None if text.trim().eq_ignore_ascii_case("on") => Thinking::Low,
            None => {
                let more = if has_xhigh { "|xhigh" } else { "" };
                let text = format!("invalid thinkingLevel (use off|minimal|low|medium|high{more})");
                return Err(Refusal::invalid(text));
            }
        };
        if level == Thinking::XHigh && !has_xhigh {
            let [one, two, three] = XHIGH_MODELS;
            return Err(Refusal::invalid(format!(
                "thinkingLevel \"xhigh\" is only supported for {one}, {two} or {three}"
            )));
        }
        session.thinking_level = self.kept_thinking(session, level);
        Ok(())
    }
}

fn patch_choice(
    session: &mut Session,
    choice: &Choice,
    params: Params<'_, '_>,
) -> Result<(), Refusal> {
    let name = choice.name;
    if params.is_null(name) {
        put(session, name, None);
    }
    let Some(text) = params.text(name) else {
        return Ok(());
    };
    let value = text.trim().to_ascii_lowercase();
    if !choice.values.contains(&&*value) {
        // The longer levels of detail are not told, as clients know it.
        let told = choice
            .values
            .iter()
            .filter(|it| name != "verboseLevel" || **it != "full");
        let told: Vec<String> = told.map(|it| format!("\"{it}\"")).collect();
        let text = format!("invalid {name} (use {})", told.join("|"));
        return Err(Refusal::invalid(text));
    }
    let value = match (name, &*value) {
        (_, value) if choice.none == Some(value) => None,
        ("responseUsage", "on") => Some("tokens"),
        (_, value) => Some(value),
    };
    put(session, name, value.map(Text::from));
    Ok(())
}

fn patch_exec_node(session: &mut Session, params: Params<'_, '_>) -> Result<(), Refusal> {
    const NAME: &str = "execNode";
    if params.is_null(NAME) {
        put(session, NAME, None);
    }
    if let Some(node) = plain(params, NAME)? {
        put(session, NAME, Some(node.into()));
    }
    Ok(())
}

fn put(session: &mut Session, name: &'static str, value: Option<Text>) {
    match (name, value) {
        ("verboseLevel", value) => session.verbose_level = value,
        ("reasoningLevel", value) => session.reasoning_level = value,
        (_, Some(value)) => {
            session.settings.insert(name.into(), value);
        }
        (_, None) => {
            session.settings.remove(name);
        }
    }
}

/// A text that people read and write, trimmed: one line without control characters.
fn plain<'i>(params: Params<'_, 'i>, name: &str) -> Result<Option<&'i str>, Refusal> {
    let Some(text) = params.text(name).map(str::trim) else {
        return Ok(None);
    };
    let fault = if text.is_empty() {
        "empty"
    } else if text.len() > SESSION_SETTING_BYTES_MAX {
        "too long"
    } else if text.chars().any(is_hidden) || text.contains("..") {
        "control characters or .."
    } else {
        return Ok(Some(text));
    };
    Err(Refusal::invalid(format!("invalid {name}: {fault}")))
}

/// Characters that a terminal or a page acts on instead of showing them.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests;
