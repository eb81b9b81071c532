//! Webhooks at paths of one's own: `hooks.mappings` says what a body of any shape means, as the
//! body of `wake` or `agent`.

use super::Fault;
use crate::config::types::{HookAction, HookMapping};
use crate::limits::CRON_TEXT_BYTES_MAX;
use serde_json::{Value, json};

/// What a mapped request asks for: the hook, and a body for it.
pub(super) type Mapped = (HookAction, Value);

/// The first mapping that fits.
///
/// # Errors
///
/// It needs what is not served here, or its texts become too long. None fits: not found.
pub(super) fn apply(mappings: &[HookMapping], path: &str, body: &Value) -> Result<Mapped, Fault> {
    let name = path.trim_matches('/');
    let fits = |mapping: &&HookMapping| {
        let at = mapping.matches.path.as_deref();
        let source = mapping.matches.source.as_deref();
        at.is_none_or(|at| at.trim().trim_matches('/') == name)
            && source.is_none_or(|source| body["source"] == source)
    };
    let Some(mapping) = mappings.iter().find(fits) else {
        let text = "there are wake, agent and what hooks.mappings names";
        return Err(Fault::not_found(text));
    };
    if mapping.transform.is_some() {
        let text =
            "this mapping has a transform in JavaScript, which is not run here: use templates";
        return Err(Fault::failed(501, text));
    }
    let text = |template: &Option<String>| match template {
        Some(template) => render(template, name, body),
        None => Ok(String::new()),
    };
    let mut made = match mapping.action {
        HookAction::Wake => json!({"text": text(&mapping.text_template)?}),
        HookAction::Agent => json!({"message": text(&mapping.message_template)?}),
    };
    let wakes = mapping.wake_mode.as_deref();
    let channel = match (&mapping.channel, mapping.deliver) {
        (Some(channel), _) => Some(channel.clone()),
        (None, Some(true)) => Some("last".to_owned()),
        (None, _) => None,
    };
    for (name, value) in [
        ("mode", wakes.map(str::to_owned)),
        ("wakeMode", wakes.map(str::to_owned)),
        ("name", filled(text(&mapping.name)?)),
        ("sessionKey", filled(text(&mapping.session_key)?)),
        ("agentId", mapping.agent_id.clone()),
        ("channel", channel),
        ("to", filled(text(&mapping.to)?)),
        ("model", mapping.model.clone()),
        ("thinking", mapping.thinking.clone()),
    ] {
        if let Some(value) = value {
            made[name] = value.into();
        }
    }
    if let Some(deliver) = mapping.deliver {
        made["deliver"] = deliver.into();
    }
    if let Some(seconds) = mapping.timeout_seconds {
        made["timeoutSeconds"] = seconds.into();
    }
    Ok((mapping.action, made))
}

fn filled(text: String) -> Option<String> {
    (!text.trim().is_empty()).then_some(text)
}

/// Puts values of the body in place of `{{a.b[0]}}`; what is not there is nothing. What a value
/// says is never read as a template again.
fn render(template: &str, path: &str, body: &Value) -> Result<String, Fault> {
    let mut out = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((expression, behind)) = after.split_once("}}") else {
            break;
        };
        out.push_str(before);
        match expression.trim() {
            "path" => out.push_str(path),
            expression => {
                let expression = expression.strip_prefix("payload.").unwrap_or(expression);
                match find(body, expression) {
                    None | Some(Value::Null) => {}
                    Some(Value::String(text)) => out.push_str(text),
                    Some(other) => out.push_str(&other.to_string()),
                }
            }
        }
        if out.len() > CRON_TEXT_BYTES_MAX {
            let text = format!("longer than {CRON_TEXT_BYTES_MAX} bytes of text");
            return Err(Fault::failed(413, text));
        }
        rest = behind;
    }
    out.push_str(rest);
    Ok(out)
}

/// `a.b[0].c` in a value.
fn find<'a>(body: &'a Value, expression: &str) -> Option<&'a Value> {
    let mut value = body;
    for step in expression.split('.') {
        let (name, indices) = step.split_once('[').unwrap_or((step, ""));
        if !name.is_empty() {
            value = value.get(name)?;
        }
        for index in indices.split('[').filter(|index| !index.is_empty()) {
            let index: usize = index.strip_suffix(']')?.parse().ok()?;
            value = value.get(index)?;
        }
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(value: Value) -> HookMapping {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn values_of_a_body_stand_in_templates_and_are_no_templates_themselves() {
        let body = json!({"a": {"b": [{"c": "{{x}}"}, 7]}, "x": "secret", "ok": true});
        let made = |template: &str| render(template, "ci", &body).unwrap();
        assert_eq!(made("<{{a.b[0].c}}|{{ a.b[1] }}|{{ok}}>"), "<{{x}}|7|true>");
        assert_eq!(made("{{payload.x}} at {{path}}"), "secret at ci");
        assert_eq!(made("{{a.b[9]}}{{a.b[x]}}{{none.at.all}}{{a[1}}."), ".");
        assert_eq!(made("open {{x"), "open {{x");
        let long = json!({"x": "y".repeat(CRON_TEXT_BYTES_MAX)});
        assert_eq!(render("{{x}}{{x}}", "", &long).unwrap_err().status, 413);
    }

    #[test]
    fn the_first_mapping_that_fits_makes_the_body_of_a_hook() {
        let mappings = [
            mapping(json!({"match": {"path": "ci", "source": "other"}, "action": "wake"})),
            mapping(
                json!({"match": {"path": "/ci"}, "name": "CI", "messageTemplate": "{{what}} failed",
                "sessionKey": "hook:ci:{{id}}", "deliver": true, "to": "7"}),
            ),
            mapping(json!({"match": {"path": "js"}, "transform": {"module": "x.js"}})),
            mapping(
                json!({"match": {"path": "note"}, "action": "wake", "textTemplate": "{{t}}",
                "wakeMode": "next-heartbeat"}),
            ),
        ];
        let (action, body) = apply(&mappings, "/ci", &json!({"what": "build", "id": 3})).unwrap();
        assert_eq!(action, HookAction::Agent);
        let expected = json!({"message": "build failed", "name": "CI", "sessionKey": "hook:ci:3",
            "channel": "last", "to": "7", "deliver": true});
        assert_eq!(body, expected);
        let (action, body) = apply(&mappings, "/note", &json!({"t": "tea"})).unwrap();
        assert_eq!(action, HookAction::Wake);
        assert_eq!(
            (&body["text"], &body["mode"]),
            (&json!("tea"), &json!("next-heartbeat"))
        );
        let fault = apply(&mappings, "/js", &json!({})).unwrap_err();
        assert!(fault.status == 501 && fault.message.contains("JavaScript"));
        assert_eq!(
            apply(&mappings, "/none", &json!({})).unwrap_err().status,
            404
        );
    }
}
