//! The `cron` tool: an agent's own scheduled jobs, through the same engine as the methods for it.

use super::{Ran, Tool, ToolResult, Use};
use crate::gateway::Gateway;
use crate::gateway::cron::{changed, new_job, shown};
use crate::gateway::runs::Origin;
use crate::limits::{CRON_JOBS_MAX, CRON_TOOL_EVERY_MS_MIN, CRON_TOOL_JOBS_MAX};
use crate::now::Now;
use crate::state::{CronJob, Payload, Schedule, Text};
use serde_json::{Value, json};
use std::sync::Arc;

pub const TOOL: Tool = Tool {
    name: "cron",
    description: "Your own scheduled jobs, for reminders and for what is to be done later or again and \
        again. list: all of them. add: a new one. update: changes what patch names. remove, run: by id. \
        A schedule is {at: ISO time}, {everyMs} or {expr: five cron fields, tz}. A payload is \
        {kind: systemEvent, text}, a line for your main session, or {kind: agentTurn, message}, which \
        you answer in a session of the job's own; with deliver, channel and to the answer is sent there.",
    schema: r#"{
        "type": "object",
        "properties": {
            "action": {"type": "string", "enum": ["list", "add", "update", "remove", "run"]},
            "id": {"type": "string", "description": "update, remove, run"},
            "job": {
                "type": "object",
                "description": "add",
                "properties": {
                    "name": {"type": "string"},
                    "schedule": {"type": "object", "properties": {
                        "at": {"type": "string"}, "everyMs": {"type": "integer", "minimum": 60000},
                        "expr": {"type": "string"}, "tz": {"type": "string"}}},
                    "payload": {"type": "object", "properties": {
                        "kind": {"type": "string", "enum": ["systemEvent", "agentTurn"]},
                        "text": {"type": "string"}, "message": {"type": "string"},
                        "deliver": {"type": "boolean"}, "channel": {"type": "string"}, "to": {"type": "string"}},
                        "required": ["kind"]},
                    "wakeMode": {"type": "string", "enum": ["now", "next-heartbeat"]},
                    "deleteAfterRun": {"type": "boolean"}
                },
                "required": ["name", "schedule", "payload"]
            },
            "patch": {"type": "object", "description": "update: as job, only what changes; enabled switches it on or off"}
        },
        "required": ["action"],
        "additionalProperties": false
    }"#,
    acts: |arguments| arguments["action"] != "list",
    run,
};

fn run(gateway: &mut Gateway, now: Now, it: &Use<'_>) -> Result<Ran, String> {
    match it.action(&["list", "add", "update", "remove", "run"])? {
        "list" => {
            let jobs: Vec<Value> = gateway.own_jobs(it).map(|job| shown(job)).collect();
            Ok(Ran::Done(ToolResult::json(json!({"jobs": jobs}))))
        }
        "add" => {
            let own = gateway.own_jobs(it).count();
            if own >= CRON_TOOL_JOBS_MAX || gateway.state.cron().len() >= CRON_JOBS_MAX {
                return Err(format!("there are {own} jobs already: remove some"));
            }
            let id = gateway.uuid().into();
            let fields = &it.arguments["job"];
            let job = new_job("cron", fields, id, now.unix_ms)
                .and_then(|job| gateway.check_job("cron", &job, fields).map(|()| job))
                .map_err(|refusal| refusal.message.into_owned())?;
            gateway.keep_job(it, job, "added")
        }
        "update" => {
            let job = gateway.own_job(it)?;
            let fields = &it.arguments["patch"];
            let job = changed("cron", &job, fields, now.unix_ms)
                .and_then(|job| gateway.check_job("cron", &job, fields).map(|()| job))
                .map_err(|refusal| refusal.message.into_owned())?;
            gateway.keep_job(it, job, "updated")
        }
        "remove" => {
            let id = gateway.own_job(it)?.id.clone();
            gateway.remove_job_for_tool(it, id);
            Ok(Ran::Later(Box::new(|_| {})))
        }
        _ => {
            let job = gateway.own_job(it)?;
            if it.origin == Origin::Cron {
                // Else two jobs could start each other for ever.
                return Err("not from the run of a job".into());
            }
            if job.run_id.is_some() || gateway.is_starting(&job.id) {
                return Err("it is running already".into());
            }
            gateway.start_job(&job.id, None);
            Ok(Ran::Done(ToolResult::json(json!({"started": &*job.id}))))
        }
    }
}

impl Gateway {
    fn own_jobs(&self, it: &Use<'_>) -> impl Iterator<Item = &Arc<CronJob>> {
        let agent = self.agent_of_session(it.session_key).to_owned();
        let of = move |job: &&Arc<CronJob>| {
            *agent == *job.agent_id.as_deref().unwrap_or(self.default_agent())
        };
        self.state.cron().jobs().filter(of)
    }

    fn own_job(&self, it: &Use<'_>) -> Result<Arc<CronJob>, String> {
        let id = it.required("id")?;
        let job = self.own_jobs(it).find(|job| *job.id == *id).cloned();
        job.ok_or_else(|| format!("you have no job {id:?}; the action list shows yours"))
    }

    /// Stores a job as the agent's own, if it is one that an agent may have.
    fn keep_job(
        &mut self,
        it: &Use<'_>,
        mut job: CronJob,
        action: &'static str,
    ) -> Result<Ran, String> {
        let agent = self.agent_of_session(it.session_key).to_owned();
        match &job.schedule {
            Schedule::Every { every_ms, .. } if *every_ms < CRON_TOOL_EVERY_MS_MIN => {
                return Err(format!("everyMs must be at least {CRON_TOOL_EVERY_MS_MIN}"));
            }
            _ => {}
        }
        let delivers = matches!(
            &job.payload,
            Payload::AgentTurn {
                deliver: Some(true),
                ..
            }
        );
        if delivers && self.tool_of(&agent, "message").is_none() {
            return Err("you may not write to channels (the tool message), so no job may".into());
        }
        job.agent_id = Some(agent.into());
        let tag = it.tag;
        self.store_job(job, action, move |gateway, result| {
            let result = match result {
                Ok(job) => ToolResult::json(shown(&job)),
                Err(refusal) => ToolResult::error(refusal.message.into_owned()),
            };
            gateway.on_tool_done(tag, result);
        });
        Ok(Ran::Later(Box::new(|_| {})))
    }

    fn remove_job_for_tool(&mut self, it: &Use<'_>, id: Text) {
        let tag = it.tag;
        self.remove_job(id, move |gateway, result| {
            let result = match result {
                Ok(()) => ToolResult::json(json!({"removed": true})),
                Err(fault) => ToolResult::error(format!("the job is still there: {fault}")),
            };
            gateway.on_tool_done(tag, result);
        });
    }
}
