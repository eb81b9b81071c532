//! `cron.*`: scheduled jobs.

use crate::gateway::cron::{changed, job_lock, new_job, next_run, shown, zone_of};
use crate::gateway::dispatch::{Call, Handled, KeptCall, Outcome, Stop};
use crate::gateway::params::Params;
use crate::gateway::{Gateway, Refusal};
use crate::limits::{CRON_JOBS_MAX, CRON_RUNS_KEPT};
use crate::now::Now;
use crate::order;
use crate::state::{CronJob, Record, Schedule, Text};
use std::sync::Arc;

/// `cron.list`: jobs, the next one first.
pub fn list(gateway: &mut Gateway, _: Now, call: Call<'_>, params: Params<'_, '_>) -> Handled {
    let all = params.bool("includeDisabled") == Some(true);
    gateway.reply(call, |gateway, w| {
        let jobs = gateway.state.cron().jobs();
        let mut jobs: Vec<&Arc<CronJob>> = jobs.filter(|job| all || job.enabled).collect();
        order::sort_by_key(&mut jobs, |job| {
            (job.state.next_run_at_ms.unwrap_or(u64::MAX), job.id.clone())
        });
        w.object(|w| {
            w.key("jobs");
            w.array(|w| jobs.iter().for_each(|job| w.value(&shown(job))));
        });
    });
    Ok(Outcome::Done)
}

/// `cron.status`: whether jobs run, how many there are, when the next one is due.
pub fn status(gateway: &mut Gateway, _: Now, call: Call<'_>, _: Params<'_, '_>) -> Handled {
    gateway.reply(call, |gateway, w| {
        w.object(|w| {
            w.field_bool("enabled", gateway.config().cron.enabled);
            w.field_str("storePath", &gateway.database_path());
            w.field_u64("jobs", gateway.state.cron().len() as u64);
            w.key("nextWakeAtMs");
            match gateway.next_cron_ms() {
                Some(at_ms) => w.u64(at_ms),
                None => w.null(),
            }
        });
    });
    Ok(Outcome::Done)
}

/// `cron.add`: answers the job once it is stored.
pub fn add(gateway: &mut Gateway, now: Now, call: Call<'_>, params: Params<'_, '_>) -> Handled {
    if gateway.state.cron().len() >= CRON_JOBS_MAX {
        let text = format!("there are {CRON_JOBS_MAX} jobs already; remove some (cron.remove)");
        return Err(Refusal::unavailable(text).into());
    }
    let id = gateway.uuid().into();
    let fields = params.to_value();
    let job = new_job("cron.add", &fields, id, now.unix_ms)?;
    gateway.check_job("cron.add", &job, &fields)?;
    let call = call.keep();
    gateway.store_job(job, "added", move |gateway, result| {
        gateway.answer_job(&call, result);
    });
    Ok(Outcome::Later)
}

/// `cron.update`: changes what `patch` names.
pub fn update(gateway: &mut Gateway, now: Now, call: Call<'_>, params: Params<'_, '_>) -> Handled {
    let job = gateway.job_of(params)?;
    let patch = params.get("patch").map(|patch| patch.to_value());
    let patch = patch.unwrap_or_default();
    let job = changed("cron.update", &job, &patch, now.unix_ms)?;
    gateway.check_job("cron.update", &job, &patch)?;
    let call = call.keep();
    gateway.store_job(job, "updated", move |gateway, result| {
        gateway.answer_job(&call, result);
    });
    Ok(Outcome::Later)
}

/// `cron.remove`: the job and its history.
pub fn remove(gateway: &mut Gateway, _: Now, call: Call<'_>, params: Params<'_, '_>) -> Handled {
    let id = id_of(params)?;
    let lock = job_lock(id);
    if gateway.commits.is_reserved(&lock) {
        return Err(Stop::Busy);
    }
    let Some(id) = gateway.state.cron().get(id).map(|job| job.id.clone()) else {
        gateway.reply(call, |_, w| {
            w.object(|w| {
                w.field_bool("ok", true);
                w.field_bool("removed", false);
            });
        });
        return Ok(Outcome::Done);
    };
    let call = call.keep();
    gateway.remove_job(id, move |gateway, result| {
        if let Err(fault) = result {
            return gateway.refuse_kept(&call, &Refusal::not_stored(&fault));
        }
        gateway.reply_kept(&call, |_, w| {
            w.object(|w| {
                w.field_bool("ok", true);
                w.field_bool("removed", true);
            });
        });
    });
    Ok(Outcome::Later)
}

/// `cron.run`: starts a job now. Answered once it has begun.
pub fn run(gateway: &mut Gateway, now: Now, call: Call<'_>, params: Params<'_, '_>) -> Handled {
    let job = gateway.job_of(params)?;
    let is_due = job.enabled && job.state.next_run_at_ms.is_some_and(|at| at <= now.unix_ms);
    let is_at_work = job.run_id.is_some() || gateway.is_starting(&job.id);
    let reason = match (params.text("mode"), is_at_work) {
        (_, true) => Some("already-running"),
        (Some("force"), _) => None,
        _ if is_due => None,
        _ => Some("not-due"),
    };
    if let Some(reason) = reason {
        gateway.reply(call, |_, w| {
            w.object(|w| {
                w.field_bool("ok", true);
                w.field_bool("ran", false);
                w.field_str("reason", reason);
            });
        });
        return Ok(Outcome::Done);
    }
    gateway.start_job(&job.id, Some(call.keep()));
    Ok(Outcome::Later)
}

/// `cron.runs`: the last runs of a job, oldest first.
pub fn runs(gateway: &mut Gateway, _: Now, call: Call<'_>, params: Params<'_, '_>) -> Handled {
    let id = id_of(params)?;
    let limit = params
        .u64("limit")
        .unwrap_or(200)
        .min(CRON_RUNS_KEPT as u64);
    gateway.reply(call, |gateway, w| {
        let newest = gateway.state.cron().runs(id).take(limit as usize);
        let mut runs: Vec<_> = newest.collect();
        runs.reverse();
        w.object(|w| {
            w.key("entries");
            w.array(|w| {
                for run in runs {
                    w.value(&serde_json::to_value(&**run).unwrap_or_default());
                }
            });
        });
    });
    Ok(Outcome::Done)
}

/// `id`, or `jobId` as some clients write it.
fn id_of<'a>(params: Params<'_, 'a>) -> Result<&'a str, Refusal> {
    let id = params.text("id").or_else(|| params.text("jobId"));
    id.ok_or_else(|| Refusal::invalid("invalid cron params: must have required property 'id'"))
}

impl Gateway {
    fn job_of(&self, params: Params<'_, '_>) -> Result<Arc<CronJob>, Stop> {
        let id = id_of(params)?;
        if self.commits.is_reserved(&job_lock(id)) {
            return Err(Stop::Busy);
        }
        let job = self.state.cron().get(id).cloned();
        job.ok_or_else(|| Refusal::invalid(format!("unknown cron job id: {id}")).into())
    }

    /// Removes a job and its history, once nothing of it is being stored.
    pub(in crate::gateway) fn remove_job(
        &mut self,
        id: Text,
        then: impl FnOnce(&mut Gateway, Result<(), String>) + Send + 'static,
    ) {
        let lock = job_lock(&id);
        if self.commits.is_reserved(&lock) {
            return self.commits.wait(Box::new(move |gateway, _| {
                gateway.remove_job(id, then);
            }));
        }
        let records = vec![Record::CronJobRemove { id: id.clone() }];
        self.commit(vec![lock], records, move |gateway, _, result| {
            if result.is_ok() {
                gateway.send_cron_event(&id, "removed", |_| {});
            }
            then(gateway, result);
            gateway.look_at_cron();
        });
    }

    /// Finds a job's next time and stores it.
    pub(in crate::gateway) fn store_job(
        &mut self,
        job: CronJob,
        action: &'static str,
        then: impl FnOnce(&mut Gateway, Result<Arc<CronJob>, Refusal>) + Send + 'static,
    ) {
        let zone = zone_of(&job);
        self.with_zone(zone.as_deref(), move |gateway, zone| match zone {
            Ok(zone) => {
                let mut job = job;
                let next = next_run(&job, gateway.now.unix_ms, &zone);
                if let (None, true, Schedule::Cron { expr, .. }) =
                    (next, job.enabled, &job.schedule)
                {
                    let text = format!("invalid cron params: schedule.expr: {expr:?} never comes");
                    return then(gateway, Err(Refusal::invalid(text)));
                }
                job.state.next_run_at_ms = next.filter(|_| job.enabled);
                gateway.put_job(job, action, then);
            }
            Err(fault) => {
                let text = format!("invalid cron params: schedule.tz: {fault}");
                then(gateway, Err(Refusal::invalid(text)));
            }
        });
    }

    fn put_job(
        &mut self,
        mut job: CronJob,
        action: &'static str,
        then: impl FnOnce(&mut Gateway, Result<Arc<CronJob>, Refusal>) + Send + 'static,
    ) {
        let lock = job_lock(&job.id);
        if self.commits.is_reserved(&lock) {
            return self.commits.wait(Box::new(move |gateway, _| {
                gateway.put_job(job, action, then);
            }));
        }
        match (self.state.cron().get(&job.id), action) {
            (None, "updated") => {
                return then(self, Err(Refusal::invalid("the job is gone")));
            }
            (Some(now), _) => {
                // It may have started or ended since it was read.
                job.run_id = now.run_id.clone();
                let next_run_at_ms = job.state.next_run_at_ms;
                job.state = now.state.clone();
                job.state.next_run_at_ms = next_run_at_ms;
            }
            (None, _) => {}
        }
        let job = Arc::new(job);
        let records = vec![Record::CronJobPut(job.clone())];
        self.commit(vec![lock], records, move |gateway, _, result| {
            if let Err(fault) = result {
                return then(gateway, Err(Refusal::not_stored(&fault)));
            }
            gateway.send_cron_event(&job.id, action, |w| {
                w.field_opt_u64("nextRunAtMs", job.state.next_run_at_ms);
            });
            then(gateway, Ok(job));
            gateway.look_at_cron();
        });
    }

    fn answer_job(&mut self, call: &KeptCall, result: Result<Arc<CronJob>, Refusal>) {
        match result {
            Ok(job) => self.reply_kept(call, |_, w| w.value(&shown(&job))),
            Err(refusal) => self.refuse_kept(call, &refusal),
        }
    }
}
