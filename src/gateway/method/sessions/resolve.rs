//! `sessions.resolve`: the key of a session that is named by key, id or label.

use crate::gateway::dispatch::{Call, Handled, Outcome};
use crate::gateway::params::Params;
use crate::gateway::{Gateway, Refusal};
use crate::now::Now;
use crate::state::{Session, SessionKind, Text};
use std::sync::Arc;

/// Keys that an error names.
const NAMED_MAX: usize = 10;

/// `sessions.resolve`.
pub fn resolve(gateway: &mut Gateway, _: Now, call: Call<'_>, params: Params<'_, '_>) -> Handled {
    let given = |name: &str| params.text(name).map(str::trim).filter(|it| !it.is_empty());
    let key = match (given("key"), given("sessionId"), given("label")) {
        (Some(key), None, None) => gateway.resolve_key(key)?,
        (None, Some(id), None) => gateway.resolve_id(id)?,
        (None, None, Some(label)) => gateway.resolve_label(label, params)?,
        (None, None, None) => {
            return Err(Refusal::invalid("Either key, sessionId, or label is required").into());
        }
        _ => {
            let text = "Provide either key, sessionId, or label (not multiple)";
            return Err(Refusal::invalid(text).into());
        }
    };
    gateway.reply(call, |_, w| {
        w.object(|w| {
            w.field_bool("ok", true);
            w.field_str("key", &key);
        });
    });
    Ok(Outcome::Done)
}

impl Gateway {
    fn resolve_key(&self, key: &str) -> Result<Text, Refusal> {
        let full = self.session_key(key)?;
        let found = self.session(&full).map(|session| session.key.clone());
        found.ok_or_else(|| Refusal::invalid(format!("No session found: {full}")))
    }

    fn resolve_id(&self, id: &str) -> Result<Text, Refusal> {
        let mut sessions = self.state.sessions().values();
        let found = sessions.find(|session| *session.session_id == *id);
        let shown: String = id.chars().take(64).collect();
        found
            .map(|session| session.key.clone())
            .ok_or_else(|| Refusal::invalid(format!("No session found: {shown}")))
    }

    fn resolve_label(&self, label: &str, params: Params<'_, '_>) -> Result<Text, Refusal> {
        let sessions = self.state.sessions().values();
        let found: Vec<&Arc<Session>> = sessions
            .filter(|session| session.label.as_deref() == Some(label))
            .filter(|session| is_meant(session, params))
            .collect();
        match *found {
            [session] => Ok(session.key.clone()),
            [] => Err(Refusal::invalid(format!(
                "No session found with label: {label}"
            ))),
            _ => {
                let keys: Vec<&str> = found.iter().take(NAMED_MAX).map(|it| &*it.key).collect();
                Err(Refusal::invalid(format!(
                    "Multiple sessions found with label: {label} ({})",
                    keys.join(", ")
                )))
            }
        }
    }
}

fn is_meant(session: &Session, params: Params<'_, '_>) -> bool {
    let included = |name| params.bool(name) == Some(true);
    let kind = match session.kind {
        SessionKind::Global => included("includeGlobal"),
        SessionKind::Unknown => included("includeUnknown"),
        SessionKind::Direct | SessionKind::Group => true,
    };
    let spawned_by = session.settings.get("spawnedBy").map(|key| &**key);
    kind && params
        .text("agentId")
        .is_none_or(|agent| *session.agent_id == *agent)
        && params
            .text("spawnedBy")
            .is_none_or(|key| spawned_by == Some(key))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{refusal, start};
    use crate::driver::{Driver, Options};
    use serde_json::json;

    #[test]
    fn a_session_is_found_by_key_id_and_label() {
        let (mut driver, operator) = start();
        let patched = driver.ok(
            operator,
            "sessions.patch",
            json!({"key": "main", "label": "Home"}),
        );
        let id = patched["entry"]["sessionId"].clone();
        for params in [
            json!({"key": "main"}),
            json!({"key": "agent:main:main"}),
            json!({"sessionId": id}),
            json!({"label": "Home"}),
            json!({"label": "Home", "agentId": "main"}),
        ] {
            let found = driver.ok(operator, "sessions.resolve", params);
            assert_eq!(found, json!({"ok": true, "key": "agent:main:main"}));
        }
    }

    #[test]
    fn what_is_not_found_is_told_in_the_words_that_clients_know() {
        let (mut driver, operator) = start();
        driver.ok(
            operator,
            "sessions.patch",
            json!({"key": "main", "label": "Home"}),
        );
        for (params, text) in [
            (
                json!({"key": "agent:main:nope"}),
                "No session found: agent:main:nope",
            ),
            (json!({"sessionId": "nope"}), "No session found: nope"),
            (
                json!({"label": "nope"}),
                "No session found with label: nope",
            ),
            (
                json!({"label": "Home", "agentId": "work"}),
                "No session found with label: Home",
            ),
            (
                json!({"label": "Home", "spawnedBy": "agent:main:main"}),
                "No session found with label: Home",
            ),
            (json!({}), "Either key, sessionId, or label is required"),
            (
                json!({"key": "a", "label": "b"}),
                "Provide either key, sessionId, or label (not multiple)",
            ),
            (
                json!({"foo": 1}),
                "invalid sessions.resolve params: at root: unexpected property 'foo'",
            ),
        ] {
            assert_eq!(
                refusal(&mut driver, operator, "sessions.resolve", params),
                text
            );
        }
    }

    #[test]
    fn a_label_of_two_agents_is_not_guessed_at() {
        let mut driver = Driver::new(Options {
            config: "{agents: {list: [{id: 'main'}, {id: 'work'}]}}".into(),
            ..Options::default()
        });
        let operator = driver.operator();
        for key in ["agent:main:a", "agent:work:b"] {
            driver.ok(
                operator,
                "sessions.patch",
                json!({"key": key, "label": "Same"}),
            );
        }
        let told = refusal(
            &mut driver,
            operator,
            "sessions.resolve",
            json!({"label": "Same"}),
        );
        assert_eq!(
            told,
            "Multiple sessions found with label: Same (agent:main:a, agent:work:b)"
        );
        let found = driver.ok(
            operator,
            "sessions.resolve",
            json!({"label": "Same", "agentId": "work"}),
        );
        assert_eq!(found["key"], "agent:work:b");
    }
}
