//! Jobs as clients describe them: read, checked, changed.

use crate::agent::Thinking;
use crate::gateway::{Gateway, Refusal};
use crate::limits::{CRON_EVERY_MS_MIN, CRON_LATE_MS_MAX, CRON_TEXT_BYTES_MAX};
use crate::log::iso::iso_utc;
use crate::schedule::{Expression, parse_iso};
use crate::state::{CronJob, CronState, Payload, Schedule, Target, Text, WakeMode};
use serde_json::{Map, Value, json};

/// What a client may set.
const FIELDS: [&str; 10] = [
    "name",
    "description",
    "agentId",
    "enabled",
    "deleteAfterRun",
    "schedule",
    "sessionTarget",
    "wakeMode",
    "payload",
    "isolation",
];

/// A job of `cron.add`; its next time is still to be found.
///
/// # Errors
///
/// What is wrong with which part.
pub fn new_job(method: &str, fields: &Value, id: Text, now_ms: u64) -> Result<CronJob, Refusal> {
    let mut job = json!({
        "id": &*id,
        "name": "",
        "enabled": true,
        "createdAtMs": now_ms,
        "updatedAtMs": now_ms,
        "wakeMode": WakeMode::NextHeartbeat,
        "state": CronState::default(),
    });
    let Some(members) = job.as_object_mut() else {
        return Err(Refusal::unavailable("no job"));
    };
    put_fields(members, fields);
    if !members.contains_key("sessionTarget") {
        let target = match members.get("payload").map(|payload| &payload["kind"]) {
            Some(kind) if kind == "agentTurn" => Target::Isolated,
            _ => Target::Main,
        };
        members.insert("sessionTarget".into(), json!(target));
    }
    read(method, job)
}

/// The job with what `patch` changes.
///
/// # Errors
///
/// What is wrong with which part.
pub fn changed(
    method: &str,
    job: &CronJob,
    patch: &Value,
    now_ms: u64,
) -> Result<CronJob, Refusal> {
    let mut value = serde_json::to_value(job).unwrap_or_default();
    let Some(members) = value.as_object_mut() else {
        return Err(Refusal::unavailable("no job"));
    };
    let payload = members.get("payload").cloned().unwrap_or_default();
    put_fields(members, patch);
    // A payload of the same kind keeps what the patch does not name.
    if let (Some(Value::Object(new)), Value::Object(old)) = (members.get_mut("payload"), payload)
        && new.get("kind") == old.get("kind")
    {
        for (name, value) in old {
            new.entry(name).or_insert(value);
        }
    }
    members.insert("updatedAtMs".into(), json!(now_ms));
    read(method, value)
}

impl Gateway {
    /// Whether what `fields` say of a job can be done: the agent, the model and the channel are
    /// there, the level is one, and its time has not passed.
    ///
    /// # Errors
    ///
    /// What is wrong with which part.
    pub(in crate::gateway) fn check_job(
        &self,
        method: &str,
        job: &CronJob,
        fields: &Value,
    ) -> Result<(), Refusal> {
        let invalid = |text: String| Refusal::invalid(format!("invalid {method} params: {text}"));
        let of = |refusal: Refusal| invalid(refusal.message.into_owned());
        let names = |name: &str| !fields[name].is_null();
        if let Some(agent) = job.agent_id.as_deref().filter(|_| names("agentId")) {
            self.check_agent(agent).map_err(of)?;
        }
        if let Schedule::At { at_ms } = job.schedule
            && names("schedule")
            && at_ms.saturating_add(CRON_LATE_MS_MAX) < self.now.unix_ms
        {
            return Err(invalid(format!(
                "schedule.at: {} is past (it is {})",
                iso_utc(at_ms),
                iso_utc(self.now.unix_ms)
            )));
        }
        let Payload::AgentTurn {
            model,
            thinking,
            deliver,
            channel,
            ..
        } = &job.payload
        else {
            return Ok(());
        };
        if !names("payload") {
            return Ok(());
        }
        if let Some(model) = model {
            self.check_model(model).map_err(invalid)?;
        }
        Thinking::asked(thinking.as_deref().unwrap_or_default()).map_err(invalid)?;
        let says = |name: &str| !fields["payload"][name].is_null();
        match deliver {
            Some(true) if says("deliver") || says("channel") || says("to") => {
                self.check_delivery(channel.as_deref()).map_err(of)
            }
            _ => Ok(()),
        }
    }
}

/// The zone that the job's schedule is read in.
pub fn zone_of(job: &CronJob) -> Option<Text> {
    match &job.schedule {
        Schedule::Cron { tz, .. } => tz.clone(),
        _ => None,
    }
}

fn put_fields(job: &mut Map<String, Value>, fields: &Value) {
    for name in FIELDS {
        match fields.get(name) {
            None => {}
            Some(Value::Null) => {
                job.shift_remove(name);
            }
            Some(value) if name == "schedule" => {
                job.insert(name.into(), with_kind(value));
            }
            Some(value) => {
                job.insert(name.into(), value.clone());
            }
        }
    }
}

/// A schedule of whose kind nothing is said, or whose time is a text.
fn with_kind(schedule: &Value) -> Value {
    let mut schedule = schedule.clone();
    let Some(members) = schedule.as_object_mut() else {
        return schedule;
    };
    let at = members.shift_remove("at").or_else(|| {
        let is_text = members.get("atMs").is_some_and(Value::is_string);
        is_text.then(|| members.shift_remove("atMs")).flatten()
    });
    if let Some(at_ms) = at.as_ref().and_then(Value::as_str).and_then(parse_iso) {
        members.insert("atMs".into(), json!(at_ms));
    }
    if !members.contains_key("kind") {
        let kinds = [("atMs", "at"), ("everyMs", "every"), ("expr", "cron")];
        let kind = kinds.iter().find(|(name, _)| members.contains_key(*name));
        if let Some((_, kind)) = kind {
            members.insert("kind".into(), json!(kind));
        }
    }
    schedule
}

fn read(method: &str, value: Value) -> Result<CronJob, Refusal> {
    let invalid = |text: String| Refusal::invalid(format!("invalid {method} params: {text}"));
    let job: CronJob = serde_json::from_value(value).map_err(|fault| invalid(fault.to_string()))?;
    check(&job).map_err(invalid)?;
    Ok(job)
}

fn check(job: &CronJob) -> Result<(), String> {
    if job.name.trim().is_empty() {
        return Err("name must not be empty".into());
    }
    match (job.session_target, &job.payload) {
        (Target::Main, Payload::AgentTurn { .. }) => {
            return Err("main jobs take payload.kind \"systemEvent\"".into());
        }
        (Target::Isolated, Payload::SystemEvent { .. }) => {
            return Err("isolated jobs take payload.kind \"agentTurn\"".into());
        }
        _ => {}
    }
    let text = match &job.payload {
        Payload::SystemEvent { text } => text,
        Payload::AgentTurn { message, .. } => message,
    };
    if text.trim().is_empty() {
        return Err("payload: the text must not be empty".into());
    }
    let description = job.description.as_deref().map_or(0, str::len);
    if text.len() + job.name.len() + description > CRON_TEXT_BYTES_MAX {
        return Err(format!("longer than {CRON_TEXT_BYTES_MAX} bytes of text"));
    }
    match &job.schedule {
        Schedule::At { .. } => Ok(()),
        Schedule::Every { every_ms, .. } if *every_ms < CRON_EVERY_MS_MIN => Err(format!(
            "schedule.everyMs must be at least {CRON_EVERY_MS_MIN}"
        )),
        Schedule::Every { .. } => Ok(()),
        Schedule::Cron { expr, .. } => {
            Expression::parse(expr).map_err(|fault| format!("schedule.expr: {fault}"))?;
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(fields: Value) -> Result<CronJob, String> {
        new_job("cron.add", &fields, "1".into(), 5).map_err(|it| it.message.into_owned())
    }

    #[test]
    fn a_job_is_read_with_what_it_leaves_out() {
        let it = job(
            json!({"name": "n", "schedule": {"at": "1970-01-01T00:00:09Z"},
            "payload": {"kind": "agentTurn", "message": "m", "provider": "telegram"}}),
        )
        .unwrap();
        assert_eq!(it.schedule, Schedule::At { at_ms: 9_000 });
        assert_eq!(it.session_target, Target::Isolated);
        assert!(it.enabled);
        let patch = json!({"payload": {"kind": "agentTurn", "thinking": "low"}, "enabled": false});
        let it = changed("cron.update", &it, &patch, 7).unwrap();
        assert!(!it.enabled && it.updated_at_ms == 7 && it.created_at_ms == 5);
        let text = serde_json::to_string(&it.payload).unwrap();
        assert!(text.contains("telegram") && text.contains("low"), "{text}");
    }

    #[test]
    fn what_no_job_can_be_is_refused_by_name() {
        let payload = json!({"kind": "systemEvent", "text": "t"});
        for (fields, word) in [
            (
                json!({"name": " ", "schedule": {"atMs": 1}, "payload": payload}),
                "name",
            ),
            (
                json!({"name": "n", "schedule": {"everyMs": 1}, "payload": payload}),
                "everyMs",
            ),
            (
                json!({"name": "n", "schedule": {"expr": "x"}, "payload": payload}),
                "expr",
            ),
            (
                json!({"name": "n", "schedule": {"at": "soon"}, "payload": payload}),
                "kind",
            ),
            (json!({"name": "n", "payload": payload}), "schedule"),
            (json!({"name": "n", "schedule": {"atMs": 1}}), "payload"),
            (
                json!({"name": "n", "schedule": {"atMs": 1}, "payload": payload,
                    "sessionTarget": "isolated"}),
                "agentTurn",
            ),
            (
                json!({"name": "n", "schedule": {"atMs": 1, "tz": "UTC"}, "payload": payload}),
                "tz",
            ),
        ] {
            let fault = job(fields.clone()).unwrap_err();
            assert!(fault.contains(word), "{fields}: {fault}");
        }
    }
}
