//! `clawdia cron …`: what runs by itself, and what became of it.

use serde_json::{Map, Value, json};

use super::super::commands::{CronAdd, CronCommand, CronEdit};
use super::super::exit::{Failure, Outcome};
use super::super::out::{Out, Paint};
use super::super::setup::{Session, Setup};
use super::super::table::Table;
use super::super::text::{cut, short_id, span};
use super::agent::check_thinking;
use super::{age, list, or_dash, text, unix_ms};
use crate::config::parse_duration_ms;
use crate::log::iso::iso_utc;
use crate::schedule::parse_iso;

/// Does what was asked with scheduled jobs.
pub fn run(command: CronCommand, setup: &Setup, out: &mut Out) -> Outcome {
    // What is typed wrongly is told where no gateway runs as well.
    let typed = match &command {
        CronCommand::Add(args) => read_job(args)?,
        CronCommand::Edit(args) => read_patch(args)?,
        _ => Value::Null,
    };
    let mut session = setup.connect()?;
    let outcome = match command {
        CronCommand::Status(_) => status(&mut session, out),
        CronCommand::List(args) => show_list(&mut session, args.all, out),
        CronCommand::Add(_) => add(&mut session, &typed, out),
        CronCommand::Edit(args) => edit(&mut session, &args.job, typed, out),
        CronCommand::Rm(args) => {
            let id = find(&mut session, &args.job)?["id"].take();
            let payload = session.call("cron.remove", &json!({"id": id}))?;
            told(&payload, &format!("{} is removed", args.job), out)
        }
        CronCommand::Enable(args) => switch(&mut session, &args.job, true, out),
        CronCommand::Disable(args) => switch(&mut session, &args.job, false, out),
        CronCommand::Run(args) => start(&mut session, &args.job, args.due, out),
        CronCommand::Runs(args) => runs(&mut session, &args.job, args.limit, out),
    };
    session.client.close();
    outcome
}

fn status(session: &mut Session, out: &mut Out) -> Outcome {
    let payload = session.call("cron.status", &json!({}))?;
    if out.wants_json() {
        return Ok(out.json(&payload)?);
    }
    let on = payload["enabled"] == true;
    let (word, paint) = if on {
        ("on", Paint::Plain)
    } else {
        ("off", Paint::Bad)
    };
    out.field("runs", paint, word)?;
    out.field("jobs", Paint::Plain, &payload["jobs"].to_string())?;
    let next = when(&payload["nextWakeAtMs"], unix_ms());
    Ok(out.field("next", Paint::Plain, &next)?)
}

fn show_list(session: &mut Session, all: bool, out: &mut Out) -> Outcome {
    let payload = session.call("cron.list", &json!({"includeDisabled": all}))?;
    if out.wants_json() {
        return Ok(out.json(&payload)?);
    }
    let jobs = list(&payload, "jobs");
    if jobs.is_empty() {
        return Ok(out.hint("No jobs. clawdia cron add makes one.")?);
    }
    let now_ms = unix_ms();
    let mut table = Table::new(&["ID", "NAME", "SCHEDULE", "NEXT", "LAST", "TARGET"]);
    for job in jobs {
        let state = &job["state"];
        let next = match (job["enabled"] == true, state["runningAtMs"].is_u64()) {
            (_, true) => "running".to_owned(),
            (false, _) => "off".to_owned(),
            (true, false) => when(&state["nextRunAtMs"], now_ms),
        };
        let last = match text(state, "lastStatus") {
            "" => "-".to_owned(),
            word => format!("{word}, {}", age(state, "lastRunAtMs", now_ms)),
        };
        table.row([
            short_id(text(job, "id")).into(),
            cut(text(job, "name"), 32).into(),
            cut(&schedule(&job["schedule"]), 36).into(),
            next.into(),
            last.into(),
            or_dash(text(job, "sessionTarget")).into(),
        ]);
    }
    Ok(table.print(out, 0)?)
}

/// The job that `add` is to make.
fn read_job(args: &CronAdd) -> Result<Value, Failure> {
    let schedule = read_schedule(&args.at, &args.every, &args.cron, &args.tz)?
        .ok_or_else(|| Failure::usage("say when: --at, --every or --cron"))?;
    let what = What {
        message: &args.message,
        system_event: &args.system_event,
        model: &args.model,
        thinking: &args.thinking,
        run_timeout: &args.run_timeout,
        deliver: args.deliver,
        channel: &args.channel,
        to: &args.to,
    };
    let payload = read_payload(&what)?
        .ok_or_else(|| Failure::usage("say what: --message for the agent, or --system-event"))?;
    let target = match payload["kind"] == "agentTurn" {
        true => "isolated",
        false => "main",
    };
    let mut job = json!({
        "name": args.name,
        "enabled": !args.disabled,
        "schedule": schedule,
        "sessionTarget": target,
        "wakeMode": if args.now { "now" } else { "next-heartbeat" },
        "payload": payload,
    });
    let texts = [("description", &args.description), ("agentId", &args.agent)];
    for (name, value) in texts {
        if let Some(value) = value {
            job[name] = value.as_str().into();
        }
    }
    if args.delete_after_run {
        job["deleteAfterRun"] = true.into();
    }
    Ok(job)
}

fn add(session: &mut Session, job: &Value, out: &mut Out) -> Outcome {
    let job = session.call("cron.add", job)?;
    made(&job, "added", out)?;
    // Others may have such a name too: only commands that take one have to choose.
    let payload = session.call("cron.list", &json!({"includeDisabled": true}))?;
    let alike = |it: &&Value| it["name"] == job["name"];
    if !out.wants_json() && list(&payload, "jobs").iter().filter(alike).count() > 1 {
        let note = "another job has this name: commands take the id of one";
        out.field("remark", Paint::Warning, note)?;
    }
    Ok(())
}

/// What `edit` is to change.
fn read_patch(args: &CronEdit) -> Result<Value, Failure> {
    let mut patch = Map::new();
    let schedule = match (&args.tz, &args.cron, &args.at, &args.every) {
        // A zone alone is a new zone of the expression that the job has.
        (Some(tz), None, None, None) => Some(json!({"kind": "cron", "tz": tz})),
        _ => read_schedule(&args.at, &args.every, &args.cron, &args.tz)?,
    };
    if let Some(schedule) = schedule {
        patch.insert("schedule".into(), schedule);
    }
    let what = What {
        message: &args.message,
        system_event: &args.system_event,
        model: &args.model,
        thinking: &args.thinking,
        run_timeout: &args.run_timeout,
        deliver: args.deliver,
        channel: &args.channel,
        to: &args.to,
    };
    if let Some(payload) = read_payload(&what)? {
        let is_turn = payload["kind"] == "agentTurn";
        let target = if is_turn { "isolated" } else { "main" };
        patch.insert("sessionTarget".into(), target.into());
        patch.insert("payload".into(), payload);
    }
    let texts = [
        ("name", &args.name),
        ("description", &args.description),
        ("agentId", &args.agent),
    ];
    for (name, value) in texts {
        if let Some(value) = value {
            patch.insert(name.into(), value.as_str().into());
        }
    }
    match patch.is_empty() {
        true => Err(Failure::usage("nothing to change")),
        false => Ok(patch.into()),
    }
}

fn edit(session: &mut Session, job: &str, mut patch: Value, out: &mut Out) -> Outcome {
    let job = find(session, job)?;
    if patch["schedule"]["kind"] == "cron" {
        // Another time of day is meant in the zone that the job has, and a zone for its times.
        for name in ["expr", "tz"] {
            if let (true, Some(old)) =
                (patch["schedule"][name].is_null(), job["schedule"].get(name))
            {
                patch["schedule"][name] = old.clone();
            }
        }
        if patch["schedule"]["expr"].is_null() {
            return Err(Failure::usage(ZONE_OF_NOTHING));
        }
    }
    let job = session.call("cron.update", &json!({"id": job["id"], "patch": patch}))?;
    made(&job, "changed", out)
}

fn switch(session: &mut Session, job: &str, enabled: bool, out: &mut Out) -> Outcome {
    let id = find(session, job)?["id"].take();
    let patch = json!({"id": id, "patch": {"enabled": enabled}});
    let job = session.call("cron.update", &patch)?;
    made(&job, if enabled { "on" } else { "off" }, out)
}

fn start(session: &mut Session, job: &str, due: bool, out: &mut Out) -> Outcome {
    let id = find(session, job)?["id"].take();
    let mode = if due { "due" } else { "force" };
    let payload = session.call("cron.run", &json!({"id": id, "mode": mode}))?;
    if payload["ran"] == true || out.wants_json() {
        return told(&payload, &format!("{job} has begun"), out);
    }
    let why = text(&payload, "reason").replace('-', " ");
    Err(Failure::failed(format!("{job} did not run: {why}")))
}

fn runs(session: &mut Session, job: &str, limit: Option<u32>, out: &mut Out) -> Outcome {
    let id = find(session, job)?["id"].take();
    let limit = limit.unwrap_or(20).max(1);
    let payload = session.call("cron.runs", &json!({"id": id, "limit": limit}))?;
    if out.wants_json() {
        return Ok(out.json(&payload)?);
    }
    let mut table = Table::new(&["WHEN", "STATUS", "TOOK", "WHAT"]);
    for run in list(&payload, "entries") {
        let what = match text(run, "error") {
            "" => text(run, "summary"),
            error => error,
        };
        let status = match text(run, "status") {
            "ok" => Paint::Plain,
            _ => Paint::Bad,
        };
        table.row([
            time(&run["runAtMs"]).into(),
            super::super::table::Cell::new(text(run, "status"), status),
            span(run["durationMs"].as_u64().unwrap_or(0)).into(),
            cut(&what.replace('\n', " "), 60).into(),
        ]);
    }
    Ok(table.print(out, 0)?)
}

/// The id of a job that is named by its name, its id or the start of that.
fn find(session: &mut Session, job: &str) -> Result<Value, Failure> {
    let payload = session.call("cron.list", &json!({"includeDisabled": true}))?;
    let jobs = list(&payload, "jobs");
    let exact = jobs
        .iter()
        .filter(|it| it["id"] == job || it["name"] == job);
    let mut found: Vec<&Value> = exact.collect();
    if found.is_empty() && !job.is_empty() {
        let starts = |it: &&Value| text(it, "id").starts_with(job);
        found = jobs.iter().filter(starts).collect();
    }
    match found.as_slice() {
        [job] => Ok((*job).clone()),
        [] => Err(Failure::failed(format!("there is no job {job:?}"))
            .mend("clawdia cron list --all".to_owned())),
        more => {
            let told = |it: &&Value| {
                format!(
                    "{} ({})",
                    short_id(text(it, "id")),
                    schedule(&it["schedule"])
                )
            };
            let ids: Vec<String> = more.iter().map(told).collect();
            let fault = format!("{job:?} is more than one job: use the id");
            Err(Failure::usage(fault).fact("ids", ids.join(", ")))
        }
    }
}

fn made(job: &Value, word: &str, out: &mut Out) -> Outcome {
    if out.wants_json() {
        return Ok(out.json(job)?);
    }
    let at = &job["state"]["nextRunAtMs"];
    let next = match when(at, unix_ms()).as_str() {
        "-" => String::new(),
        next => format!(", next {next}: {}", time(at)),
    };
    let (name, id) = (text(job, "name"), short_id(text(job, "id")));
    Ok(out.done(&format!("{name} ({id}) is {word}{next}"))?)
}

fn told(payload: &Value, what: &str, out: &mut Out) -> Outcome {
    match out.wants_json() {
        true => Ok(out.json(payload)?),
        false => Ok(out.done(what)?),
    }
}

/// What an agent or its main session is to do, as typed.
struct What<'a> {
    message: &'a Option<String>,
    system_event: &'a Option<String>,
    model: &'a Option<String>,
    thinking: &'a Option<String>,
    run_timeout: &'a Option<String>,
    deliver: bool,
    channel: &'a Option<String>,
    to: &'a Option<String>,
}

fn read_payload(what: &What<'_>) -> Result<Option<Value>, Failure> {
    check_thinking(what.thinking.as_deref())?;
    let mut turn = json!({"kind": "agentTurn"});
    let texts = [
        ("message", what.message),
        ("model", what.model),
        ("thinking", what.thinking),
        ("channel", what.channel),
        ("to", what.to),
    ];
    for (name, value) in texts {
        if let Some(value) = value {
            turn[name] = value.as_str().into();
        }
    }
    if let Some(time) = what.run_timeout {
        turn["timeoutSeconds"] = duration_ms(time)?.div_ceil(1_000).max(1).into();
    }
    // Who says where to wants it sent.
    if what.deliver || what.channel.is_some() || what.to.is_some() {
        turn["deliver"] = true.into();
    }
    let is_turn = turn.as_object().is_some_and(|members| members.len() > 1);
    match (what.system_event, is_turn) {
        (Some(_), true) => Err(Failure::usage(
            "--system-event is a line for the main session: options of an agent's run do not fit",
        )),
        (Some(text), false) => Ok(Some(json!({"kind": "systemEvent", "text": text}))),
        (None, true) => Ok(Some(turn)),
        (None, false) => Ok(None),
    }
}

const ZONE_OF_NOTHING: &str = "--tz is the zone of a job's --cron, and there is none";

fn read_schedule(
    at: &Option<String>,
    every: &Option<String>,
    cron: &Option<String>,
    tz: &Option<String>,
) -> Result<Option<Value>, Failure> {
    if tz.is_some() && cron.is_none() {
        return Err(Failure::usage(ZONE_OF_NOTHING));
    }
    Ok(match (at, every, cron) {
        (Some(at), None, None) => Some(json!({"kind": "at", "atMs": moment(at, unix_ms())?})),
        (None, Some(every), None) => {
            let every_ms = duration_ms(every)?;
            Some(json!({"kind": "every", "everyMs": every_ms}))
        }
        (None, None, Some(expr)) => {
            let mut schedule = json!({"kind": "cron", "expr": expr});
            if let Some(tz) = tz {
                schedule["tz"] = tz.as_str().into();
            }
            Some(schedule)
        }
        (None, None, None) => None,
        _ => return Err(Failure::usage("one of --at, --every and --cron")),
    })
}

fn duration_ms(text: &str) -> Result<u64, Failure> {
    parse_duration_ms(text).ok_or_else(|| {
        Failure::usage(format!(
            "{text:?} is no duration: write 30s, 20m, 12h or 7d"
        ))
    })
}

/// A time, or a duration from now.
fn moment(text: &str, now_ms: u64) -> Result<u64, Failure> {
    let from_now = || duration_ms(text.trim_start_matches('+')).ok();
    parse_iso(text)
        .or_else(|| from_now().map(|ms| now_ms.saturating_add(ms)))
        .ok_or_else(|| {
            // Written as a time is, it is one that no calendar or clock has.
            let is_time = text.starts_with(|c: char| c.is_ascii_digit()) && text.contains('-');
            let what = match is_time {
                true => "there is no such time, or it is written otherwise: ",
                false => "",
            };
            Failure::usage(format!(
                "--at {text}: {what}use a time such as 2026-12-24T18:00+01:00, or a duration such as 20m"
            ))
        })
}

fn schedule(schedule: &Value) -> String {
    match text(schedule, "kind") {
        "at" => format!("at {}", time(&schedule["atMs"])),
        "every" => format!("every {}", span(schedule["everyMs"].as_u64().unwrap_or(0))),
        _ => match text(schedule, "tz") {
            "" => text(schedule, "expr").to_owned(),
            tz => format!("{} {tz}", text(schedule, "expr")),
        },
    }
}

fn time(ms: &Value) -> String {
    ms.as_u64().map_or("-".into(), |ms| {
        let mut text = iso_utc(ms);
        text.truncate("2026-01-01T00:00:00".len());
        text + "Z"
    })
}

/// How long until a time.
fn when(ms: &Value, now_ms: u64) -> String {
    match ms.as_u64() {
        None => "-".into(),
        Some(at_ms) if at_ms <= now_ms => "now".into(),
        Some(at_ms) => format!("in {}", span(at_ms - now_ms)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_moment_or_so_long_from_now() {
        assert_eq!(moment("1970-01-01T00:00:05Z", 9).unwrap(), 5_000);
        assert_eq!(moment("+20m", 9).unwrap(), 1_200_009);
        let told = |text| {
            moment(text, 9)
                .unwrap_err()
                .message
                .contains("no such time")
        };
        assert!(!told("soon") && told("2026-02-30"));
    }

    #[test]
    fn one_schedule_and_one_payload() {
        let (none, hour, zone) = (None, Some("1h".to_owned()), Some("UTC".to_owned()));
        assert!(read_schedule(&hour, &hour, &none, &none).is_err());
        assert!(read_schedule(&none, &hour, &none, &zone).is_err());
        let cron = read_schedule(&none, &none, &Some("0 7 * * *".to_owned()), &zone).unwrap();
        assert_eq!(
            cron,
            Some(json!({"kind": "cron", "expr": "0 7 * * *", "tz": "UTC"}))
        );
        let text = Some("x".to_owned());
        let what = |system_event, message, channel, to| {
            let what = What {
                message,
                system_event,
                model: &none,
                thinking: &none,
                run_timeout: &none,
                deliver: false,
                channel,
                to,
            };
            read_payload(&what).map(Option::unwrap_or_default)
        };
        let line = what(&text, &none, &none, &none).unwrap();
        assert_eq!(line["kind"], "systemEvent");
        assert!(what(&text, &text, &none, &none).is_err());
        assert_eq!(
            what(&none, &text, &none, &none).unwrap()["deliver"],
            Value::Null
        );
        for (channel, to) in [(&text, &none), (&none, &text)] {
            assert_eq!(what(&none, &text, channel, to).unwrap()["deliver"], true);
        }
    }
}
