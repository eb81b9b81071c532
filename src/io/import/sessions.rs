//! `agents/*/sessions`: the list of sessions and their transcripts.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{Found, read, read_object};
use crate::io::state_dir::StartFault;
use crate::limits::{SESSION_KEY_BYTES_MAX, SESSIONS_MAX};
use crate::order;
use crate::state::{Message, Record, Session, SessionKind, State, Text};

pub(super) fn find(from: &Path, state: &State, found: &mut Found) -> Result<(), StartFault> {
    let agents = from.join("agents");
    let mut names: Vec<_> = match fs::read_dir(&agents) {
        Ok(entries) => entries.flatten().map(|entry| entry.file_name()).collect(),
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(fault) => return Err(StartFault::io("read", &agents, fault)),
    };
    names.sort();
    for name in names {
        let Some(agent) = name.to_str() else { continue };
        let dir = agents.join(agent).join("sessions");
        let Some(rows) = read_object(&dir.join("sessions.json"))? else {
            continue;
        };
        // A key may be there by two names: the newest row of them counts.
        let mut rows: Vec<(String, &Value)> = rows
            .iter()
            .map(|(key, row)| (whole_key(agent, key), row))
            .collect();
        order::sort_by_key(&mut rows, |(_, row)| {
            std::cmp::Reverse(row["updatedAt"].as_u64())
        });
        let mut taken = BTreeSet::new();
        for (key, row) in rows {
            if !taken.insert(key.clone()) {
                found
                    .notes
                    .push(format!("an older row of session {key} is left out"));
                continue;
            }
            if state.sessions().len() + found.sessions >= SESSIONS_MAX {
                found.notes.push(format!(
                    "session {key} and all after it are left out: too many"
                ));
                return Ok(());
            }
            if state.sessions().contains_key(key.as_str()) {
                found
                    .notes
                    .push(format!("session {key} is here already and stays as it is"));
                continue;
            }
            match session(&key, row) {
                Ok(session) => take(&dir, row, session, found)?,
                Err(why) => found
                    .notes
                    .push(format!("session {key} is left out: {why}")),
            }
        }
    }
    Ok(())
}

/// A key as it is today: it used to be kept without its agent.
fn whole_key(agent: &str, key: &str) -> String {
    match key.starts_with("agent:") {
        true => key.to_owned(),
        false => format!("agent:{agent}:{key}"),
    }
}

fn session(key: &str, row: &Value) -> Result<Session, &'static str> {
    let mut parts = key.splitn(3, ':');
    let (Some("agent"), Some(agent), Some(name)) = (parts.next(), parts.next(), parts.next())
    else {
        return Err("its key names no agent");
    };
    let bad = |c: char| c.is_control() || c.is_whitespace() || matches!(c, '/' | '\\');
    if agent.is_empty() || name.is_empty() || key.len() > SESSION_KEY_BYTES_MAX || key.contains(bad)
    {
        return Err("its key is none");
    }
    let session_id = row["sessionId"].as_str().unwrap_or("");
    if !is_file_name(session_id) {
        return Err("its id is none");
    }
    let text = |name: &str| {
        row[name]
            .as_str()
            .filter(|it| !it.is_empty())
            .map(Text::from)
    };
    let number = |name: &str| row[name].as_u64().unwrap_or(0);
    let updated_at_ms = number("updatedAt");
    Ok(Session {
        key: key.into(),
        session_id: session_id.into(),
        agent_id: agent.into(),
        kind: match row["chatType"].as_str() {
            Some("direct") => SessionKind::Direct,
            Some("group" | "channel") => SessionKind::Group,
            _ if key.contains(":group:") || key.contains(":channel:") => SessionKind::Group,
            _ => SessionKind::Direct,
        },
        label: text("label"),
        display_name: text("displayName"),
        thinking_level: text("thinkingLevel"),
        verbose_level: text("verboseLevel"),
        reasoning_level: text("reasoningLevel"),
        model: text("modelOverride").or_else(|| text("model")),
        model_provider: text("providerOverride").or_else(|| text("modelProvider")),
        created_at_ms: updated_at_ms,
        updated_at_ms,
        input_tokens: number("inputTokens"),
        output_tokens: number("outputTokens"),
        total_tokens: number("totalTokens"),
        context_tokens: number("contextTokens"),
        compaction_count: u32::try_from(number("compactionCount")).unwrap_or(u32::MAX),
        last_channel: text("lastChannel"),
        last_to: text("lastTo"),
        aborted_last_run: row["abortedLastRun"] == true,
        ..Session::default()
    })
}

/// Takes a session with the messages of its transcript.
fn take(dir: &Path, row: &Value, session: Session, found: &mut Found) -> Result<(), StartFault> {
    let session_id = session.session_id.clone();
    found.records.push(Record::SessionPut(Arc::new(session)));
    found.sessions += 1;
    // The row may name the file by an absolute path of another machine: only its name counts.
    let named = row["sessionFile"]
        .as_str()
        .and_then(|path| path.rsplit('/').next());
    let file = match named.filter(|name| is_file_name(name)) {
        Some(name) => name.to_owned(),
        None => format!("{session_id}.jsonl"),
    };
    let Some(text) = read(&dir.join(&file))? else {
        return Ok(());
    };
    let mut unreadable = 0;
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let Ok(Value::Object(entry)) = serde_json::from_str(line) else {
            // A crash tears the last line; whichever it is, the file keeps it.
            unreadable += 1;
            continue;
        };
        if let Some(message) = message(entry) {
            found.messages += 1;
            found.records.push(Record::MessageAppend {
                session_id: session_id.clone(),
                message: Arc::new(message),
            });
        }
    }
    if unreadable > 0 {
        found.notes.push(format!(
            "{file}: {unreadable} unreadable lines are left out"
        ));
    }
    Ok(())
}

/// The message of a transcript's line; other lines are about the file and the models.
fn message(mut entry: Map<String, Value>) -> Option<Message> {
    if entry.get("type")? != "message" {
        return None;
    }
    let Value::Object(mut body) = entry.get_mut("message")?.take() else {
        return None;
    };
    let role: Text = body.get("role")?.as_str()?.into();
    // Clients draw a list of content objects.
    if let Some(Value::String(text)) = body.get("content") {
        let content = json!([{"type": "text", "text": text}]);
        body.insert("content".into(), content);
    }
    if !body.get("content").is_some_and(Value::is_array) {
        return None;
    }
    let ts = body.get("timestamp").and_then(Value::as_u64).unwrap_or(0);
    Some(Message {
        ts,
        role,
        body: Value::Object(body).to_string().into(),
    })
}

fn is_file_name(text: &str) -> bool {
    let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    !text.is_empty() && text.len() <= 200 && !text.starts_with('.') && text.bytes().all(good)
}
