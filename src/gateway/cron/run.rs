//! One job: it starts, its run ends, the next time is known.

use super::{job_lock, next_run, zone_of};
use crate::agent::{ModelRef, Thinking};
use crate::gateway::dispatch::{KeptCall, Stop};
use crate::gateway::runs::{Beside, Origin, Over, Request};
use crate::gateway::timers::Timer;
use crate::gateway::transcript::cut_chars;
use crate::gateway::{Gateway, Refusal};
use crate::limits::{CRON_POST_CHARS, CRON_RUNS_KEPT, CRON_SUMMARY_CHARS, UNSAVED_RETRY_MS};
use crate::log::{Level, LogLine};
use crate::schedule::Zone;
use crate::state::{
    CronJob, CronRun, CronStatus, Delivery, Payload, Record, RunState, Schedule, Target, Text,
    WakeMode,
};
use crate::wire::json::Writer;
use std::sync::Arc;

/// How a run of a job ended.
struct Finish {
    status: CronStatus,
    error: Option<String>,
    /// Its answer, or what the main session is told.
    text: String,
    began_at_ms: u64,
    /// The `cron.run` that is answered once this is stored.
    call: Option<KeptCall>,
}

impl Finish {
    fn failed(error: impl Into<String>, began_at_ms: u64) -> Self {
        Self {
            status: CronStatus::Error,
            error: Some(error.into()),
            text: String::new(),
            began_at_ms,
            call: None,
        }
    }
}

impl Gateway {
    /// Starts a job, due or because a client says so. Who asks has seen that it neither runs nor is
    /// about to; from here on it is among those that are about to, so nobody else starts it.
    pub(in crate::gateway) fn start_job(&mut self, id: &Text, call: Option<KeptCall>) {
        let Some(job) = self.state.cron().get(id).cloned() else {
            return self.refuse_job(call, "the job is gone");
        };
        self.cron.starting.insert(id.clone());
        let id = id.clone();
        self.with_zone(zone_of(&job).as_deref(), move |gateway, zone| {
            gateway.start_job_in(&id, zone, call);
        });
    }

    /// The job is among those that are starting until what its start changes is stored.
    fn start_job_in(&mut self, id: &Text, zone: Result<Arc<Zone>, String>, call: Option<KeptCall>) {
        if self.commits.is_reserved(&job_lock(id)) {
            let id = id.clone();
            return self.commits.wait(Box::new(move |gateway, _| {
                gateway.start_job_in(&id, zone, call);
            }));
        }
        let Some(job) = self.state.cron().get(id).cloned() else {
            self.cron.starting.remove(id);
            return self.refuse_job(call, "the job is gone");
        };
        let now_ms = self.now.unix_ms;
        let mut job = CronJob::clone(&job);
        job.state.next_run_at_ms = match (&job.schedule, job.enabled, &zone) {
            (Schedule::At { .. }, ..) | (_, false, _) => None,
            (_, true, Ok(zone)) => next_run(&job, now_ms, zone),
            (_, true, Err(fault)) => {
                let line = LogLine::new(now_ms, Level::Error, "gateway/cron", "no next time");
                self.log_with(
                    line.with("job", job.id.to_string())
                        .with("fault", fault.clone()),
                );
                None
            }
        };
        match job.payload.clone() {
            Payload::SystemEvent { text } => {
                let finish = Finish {
                    status: CronStatus::Ok,
                    error: None,
                    text: text.to_string(),
                    began_at_ms: now_ms,
                    call,
                };
                self.send_cron_event(id, "started", |w| w.field_u64("runAtMs", now_ms));
                self.finish_job(job, finish);
            }
            Payload::AgentTurn { .. } => self.run_job(job, call),
        }
    }

    fn run_job(&mut self, mut job: CronJob, call: Option<KeptCall>) {
        let began_at_ms = self.now.unix_ms;
        let (request, model) = match self.request_of(&job) {
            Ok(request) => request,
            Err(fault) => {
                self.answer_run_call(call);
                return self.finish_job(job, Finish::failed(fault, began_at_ms));
            }
        };
        job.run_id = Some(request.run_id.clone());
        job.state.running_at_ms = Some(began_at_ms);
        let beside = Beside {
            keys: vec![job_lock(&job.id)],
            records: vec![Record::CronJobPut(Arc::new(job.clone()))],
            afresh: true,
            model,
        };
        let id = job.id.clone();
        // Answered once, by whichever way the start goes.
        let mut call = call;
        if let Some(call) = call.take() {
            self.reply_kept(&call, |_, w| write_ran(w));
        }
        let accepted = self.accept_run_beside(
            request,
            beside,
            Box::new(move |gateway, _, result| {
                gateway.cron.starting.remove(&id);
                match result {
                    Ok(()) => gateway.send_cron_event(&id, "started", |w| {
                        w.field_u64("runAtMs", began_at_ms);
                    }),
                    // It is still due, and tried again.
                    Err(_) => gateway.look_at_cron_later(),
                }
                None
            }),
        );
        match accepted {
            Ok(()) => {}
            Err(Stop::Busy) => {
                let id = job.id;
                self.commits
                    .wait(Box::new(move |gateway, _| gateway.start_job(&id, None)));
            }
            Err(Stop::Refuse(refusal)) => {
                job.run_id = None;
                job.state.running_at_ms = None;
                let mut finish = Finish::failed(refusal.message, began_at_ms);
                finish.status = CronStatus::Skipped;
                self.finish_job(job, finish);
            }
        }
    }

    fn request_of(&mut self, job: &CronJob) -> Result<(Request, Option<ModelRef>), String> {
        let Payload::AgentTurn {
            message,
            model,
            thinking,
            timeout_seconds,
            deliver,
            channel,
            to,
            ..
        } = &job.payload
        else {
            return Err("no message".into());
        };
        let agent = self.agent_of_job(job)?;
        let model = model.as_deref().map(|it| self.check_model(it));
        let model = model.transpose()?;
        let session_key: Text = format!("agent:{agent}:cron:{}", job.id).into();
        let request = Request {
            origin: Origin::Cron,
            run_id: format!("cron-{}", self.uuid()).into(),
            shown_key: session_key.clone(),
            session_key,
            message: message.to_string(),
            images: Vec::new(),
            thinking: thinking
                .as_deref()
                .and_then(|level| Thinking::asked(level).ok()?),
            extra_prompt: Some(
                format!(
                    "This is a run of your scheduled job {:?}; nobody waits for an answer here.",
                    job.name
                )
                .into(),
            ),
            timeout_ms: timeout_seconds.map(|seconds| seconds.saturating_mul(1_000)),
            delivery: Delivery {
                deliver: *deliver == Some(true),
                channel: channel.clone(),
                to: to.clone(),
                ..Delivery::default()
            },
            fingerprint: [0; 32],
            also: Vec::new(),
        };
        Ok((request, model))
    }

    fn agent_of_job(&self, job: &CronJob) -> Result<String, String> {
        let agent = job.agent_id.as_deref().unwrap_or(self.default_agent());
        let known = self.check_agent(agent);
        known.map_err(|refusal| refusal.message.into_owned())?;
        Ok(agent.to_owned())
    }

    /// The run of a job has ended.
    pub(in crate::gateway) fn on_cron_run_over(&mut self, over: &Over<'_>) {
        let run_id = &over.row.run_id;
        let is_its = |job: &&Arc<CronJob>| job.run_id.as_ref() == Some(run_id);
        let Some(job) = self.state.cron().jobs().find(is_its).cloned() else {
            return;
        };
        let finish = Finish {
            status: match over.error {
                Some(_) => CronStatus::Error,
                None => CronStatus::Ok,
            },
            error: over.error.map(str::to_owned),
            text: over.text.to_owned(),
            began_at_ms: job.state.running_at_ms.unwrap_or(over.row.accepted_at_ms),
            call: None,
        };
        self.finish_job(CronJob::clone(&job), finish);
    }

    /// A job that a restart found running: its run goes on, or its end is known.
    pub(super) fn take_up_job(&mut self, job: &CronJob) {
        let run_id = job.run_id.as_deref().unwrap_or_default();
        if self.runs.get(run_id).is_some() {
            return;
        }
        let row = self.state.runs().get(run_id);
        let began_at_ms = job.state.running_at_ms.unwrap_or(job.updated_at_ms);
        let finish = match row.filter(|row| row.state.is_ended()) {
            Some(row) if row.state == RunState::Ok => Finish {
                status: CronStatus::Ok,
                error: None,
                text: String::new(),
                began_at_ms,
                call: None,
            },
            Some(row) => Finish::failed(row.error.as_deref().unwrap_or("failed"), began_at_ms),
            None => Finish::failed("interrupted by a restart of the gateway", began_at_ms),
        };
        self.finish_job(job.clone(), finish);
    }

    /// Stores how a run ended and what follows. `job` has its next time already.
    fn finish_job(&mut self, job: CronJob, finish: Finish) {
        let keys = vec![job_lock(&job.id), Self::events_key()];
        if keys.iter().any(|key| self.commits.is_reserved(key)) {
            return self.commits.wait(Box::new(move |gateway, _| {
                // A client may have changed the job meanwhile; what it set holds.
                match gateway.state.cron().get(&job.id) {
                    Some(now) if now.updated_at_ms != job.updated_at_ms => {
                        let job = CronJob::clone(now);
                        gateway.finish_job(job, finish);
                    }
                    Some(_) => gateway.finish_job(job, finish),
                    None => {
                        gateway.cron.starting.remove(&job.id);
                    }
                }
            }));
        }
        let now_ms = self.now.unix_ms;
        let (job, run, is_done) = ended(job, &finish, now_ms);
        let kept = self.config().retention.runs.max_entries;
        let kept = kept.map_or(CRON_RUNS_KEPT, |kept| CRON_RUNS_KEPT.min(kept as usize));
        let job = Arc::new(job);
        let run = Arc::new(run);
        let mut records = vec![match is_done {
            true => Record::CronJobRemove { id: job.id.clone() },
            false => Record::CronJobPut(job.clone()),
        }];
        if !is_done {
            let run = run.clone();
            records.push(Record::CronRunAppend { run, kept });
        }
        let agent = job.agent_id.as_deref().unwrap_or(self.default_agent());
        let agent = agent.to_owned();
        let line = line_for_main(&job, &run, &finish);
        let (events, record) = self.events_with(&agent, &line);
        records.push(record);
        self.commit(keys, records, move |gateway, _, result| {
            gateway.cron.starting.remove(&job.id);
            if let Err(fault) = result {
                if let Some(call) = &finish.call {
                    gateway.refuse_kept(call, &Refusal::not_stored(&fault));
                }
                return gateway.look_at_cron_later();
            }
            gateway.system_events = events;
            gateway.tell_finished(&run);
            gateway.answer_run_call(finish.call);
            if is_done {
                gateway.send_cron_event(&job.id, "removed", |_| {});
            }
            if job.wake_mode == WakeMode::Now {
                gateway.wake_agent(&agent, &format!("cron:{}", job.id));
            }
            gateway.look_at_cron();
        });
    }

    /// The store took nothing: it is tried again.
    fn look_at_cron_later(&mut self) {
        self.timers
            .set(self.now.mono_ms + UNSAVED_RETRY_MS, Timer::Cron);
    }

    fn tell_finished(&mut self, run: &CronRun) {
        self.send_cron_event(&run.job_id, "finished", |w| {
            w.field_str("status", status_word(run.status));
            w.field_opt_str("error", run.error.as_deref());
            w.field_opt_str("summary", run.summary.as_deref());
            w.field_u64("runAtMs", run.run_at_ms);
            w.field_u64("durationMs", run.duration_ms);
            w.field_opt_u64("nextRunAtMs", run.next_run_at_ms);
        });
    }

    fn answer_run_call(&mut self, call: Option<KeptCall>) {
        if let Some(call) = call {
            self.reply_kept(&call, |_, w| write_ran(w));
        }
    }

    fn refuse_job(&mut self, call: Option<KeptCall>, why: &'static str) {
        if let Some(call) = call {
            self.refuse_kept(&call, &Refusal::unavailable(why));
        }
    }
}

/// The job and its history after a run; whether the job goes with it.
fn ended(mut job: CronJob, finish: &Finish, now_ms: u64) -> (CronJob, CronRun, bool) {
    let is_ok = finish.status == CronStatus::Ok;
    let is_once = matches!(job.schedule, Schedule::At { .. });
    job.run_id = None;
    if is_once {
        job.enabled = false;
        job.state.next_run_at_ms = None;
    }
    let duration_ms = now_ms.saturating_sub(finish.began_at_ms);
    job.state.running_at_ms = None;
    job.state.last_run_at_ms = Some(finish.began_at_ms);
    job.state.last_status = Some(finish.status);
    job.state.last_error = finish.error.as_deref().map(Text::from);
    job.state.last_duration_ms = Some(duration_ms);
    let summary = finish.text.trim();
    let run = CronRun {
        ts: now_ms,
        job_id: job.id.clone(),
        action: "finished".into(),
        status: finish.status,
        error: finish.error.as_deref().map(Text::from),
        summary: (!summary.is_empty()).then(|| cut_chars(summary, CRON_SUMMARY_CHARS).into()),
        run_at_ms: finish.began_at_ms,
        duration_ms,
        next_run_at_ms: job.state.next_run_at_ms,
    };
    let is_done = is_once && is_ok && job.delete_after_run == Some(true);
    (job, run, is_done)
}

/// What the main session hears.
fn line_for_main(job: &CronJob, run: &CronRun, finish: &Finish) -> String {
    if job.session_target == Target::Main {
        return finish.text.clone();
    }
    let isolation = job.isolation.clone().unwrap_or_default();
    let prefix = isolation.post_to_main_prefix.as_deref().map(str::trim);
    let prefix = prefix.filter(|prefix| !prefix.is_empty()).unwrap_or("Cron");
    let is_full = isolation.post_to_main_mode.as_deref() == Some("full");
    let chars = isolation
        .post_to_main_max_chars
        .map_or(CRON_POST_CHARS, |it| it as usize);
    let said = match (run.summary.as_deref(), is_full) {
        (Some(_), true) => cut_chars(finish.text.trim(), chars.min(CRON_POST_CHARS)).into_owned(),
        (Some(summary), false) => summary.to_owned(),
        (None, _) => finish
            .error
            .clone()
            .unwrap_or_else(|| status_word(run.status).into()),
    };
    match run.status {
        CronStatus::Ok => format!("{prefix}: {said}"),
        status => format!("{prefix} ({}): {said}", status_word(status)),
    }
}

pub(super) fn status_word(status: CronStatus) -> &'static str {
    match status {
        CronStatus::Ok => "ok",
        CronStatus::Error => "error",
        CronStatus::Skipped => "skipped",
    }
}

fn write_ran(w: &mut Writer<'_>) {
    w.object(|w| {
        w.field_bool("ok", true);
        w.field_bool("ran", true);
    });
}
