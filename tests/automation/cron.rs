//! Scheduled jobs, heartbeats and lines for the main session, through the core.

use clawdia::driver::{Driver, Options, START, Steps};
use clawdia::ids::ConnId;
use serde_json::{Value, json};

const MINUTE_MS: u64 = 60_000;

fn driver(steps: Steps) -> Driver {
    Driver::new(Options {
        steps,
        ..Options::default()
    })
}

fn says(text: &str) -> Steps {
    Steps::Says(vec![text.to_owned()])
}

fn turn(more: Value) -> Value {
    let mut job = json!({
        "name": "report",
        "schedule": {"kind": "every", "everyMs": 10 * MINUTE_MS},
        "sessionTarget": "isolated",
        "wakeMode": "next-heartbeat",
        "payload": {"kind": "agentTurn", "message": "say how it goes"},
    });
    job.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    job
}

fn line(more: Value) -> Value {
    let mut job = turn(json!({"sessionTarget": "main",
        "payload": {"kind": "systemEvent", "text": "stretch"}}));
    job.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    job
}

fn add(driver: &mut Driver, conn: ConnId, job: Value) -> String {
    let job = driver.ok(conn, "cron.add", job);
    job["id"].as_str().unwrap().to_owned()
}

fn runs(driver: &mut Driver, conn: ConnId, id: &str) -> Vec<Value> {
    let runs = driver.ok(conn, "cron.runs", json!({"id": id}));
    runs["entries"].as_array().unwrap().clone()
}

fn job(driver: &mut Driver, conn: ConnId, id: &str) -> Value {
    let list = driver.ok(conn, "cron.list", json!({"includeDisabled": true}));
    let jobs = list["jobs"].as_array().unwrap();
    jobs.iter()
        .find(|job| job["id"] == id)
        .cloned()
        .unwrap_or_default()
}

#[test]
fn a_job_runs_when_it_is_due_and_again_and_tells_what_became_of_it() {
    let mut driver = driver(says("all is well"));
    let operator = driver.operator();
    let id = add(&mut driver, operator, turn(json!({})));
    driver.remote(operator).messages.clear();
    driver.advance(10 * MINUTE_MS - 1);
    assert!(runs(&mut driver, operator, &id).is_empty());
    driver.advance(1);
    let events = driver.events(operator, "cron");
    let actions: Vec<&str> = events
        .iter()
        .map(|it| it["action"].as_str().unwrap())
        .collect();
    assert_eq!(actions, ["started", "finished"]);
    assert_eq!(events[1]["summary"], "all is well");
    assert_eq!(events[1]["nextRunAtMs"], START.unix_ms + 20 * MINUTE_MS);
    driver.advance(10 * MINUTE_MS);
    let runs = runs(&mut driver, operator, &id);
    assert_eq!(runs.len(), 2);
    assert_eq!(runs[0]["status"], "ok");
    let state = &job(&mut driver, operator, &id)["state"];
    assert_eq!(state["lastStatus"], "ok");
    let status = driver.ok(operator, "status", json!({}));
    assert_eq!(status["queuedSystemEvents"], json!(["Cron: all is well"]));
    // Each run begins with an empty transcript of its own.
    let key = format!("agent:main:cron:{id}");
    let history = driver.ok(operator, "chat.history", json!({"sessionKey": key}));
    assert_eq!(history["messages"].as_array().unwrap().len(), 2);
}

#[test]
fn a_line_comes_to_the_main_session_once() {
    let mut driver = driver(says("done"));
    let operator = driver.operator();
    add(
        &mut driver,
        operator,
        line(json!({"schedule": {"atMs": START.unix_ms + 5_000}})),
    );
    driver.advance(5_000);
    let queued = driver.ok(operator, "status", json!({}));
    assert_eq!(queued["queuedSystemEvents"], json!(["stretch"]));
    let mut driver = driver.restart();
    let operator = driver.operator();
    driver.steps_by = Steps::Held;
    let send =
        |key: &str, id: &str| json!({"sessionKey": key, "message": "hi", "idempotencyKey": id});
    driver.ok(operator, "chat.send", send("other", "1"));
    let step = driver.steps.pop_front().unwrap();
    assert!(
        !step.system_prompt.contains("stretch"),
        "only the main session is told"
    );
    driver.steps_by = says("done");
    driver.ok(operator, "chat.send", send("main", "2"));
    driver.settle();
    let status = driver.ok(operator, "status", json!({}));
    assert_eq!(status["queuedSystemEvents"], json!([]));
}

#[test]
fn what_comes_during_a_run_is_told_to_the_next() {
    let mut driver = driver(Steps::Held);
    let operator = driver.operator();
    let send = json!({"sessionKey": "main", "message": "hi", "idempotencyKey": "1"});
    driver.ok(operator, "chat.send", send);
    driver.ok(
        operator,
        "wake",
        json!({"mode": "next-heartbeat", "text": "late"}),
    );
    let step = driver.steps.pop_front().unwrap();
    driver.steps_by = says("done");
    driver.steps.push_front(step);
    driver.settle();
    let status = driver.ok(operator, "status", json!({}));
    assert_eq!(status["queuedSystemEvents"], json!(["late"]));
}

#[test]
fn a_job_that_runs_once_is_over_and_may_go() {
    let mut driver = driver(says("tea"));
    let operator = driver.operator();
    let at = json!({"kind": "at", "atMs": START.unix_ms + 1_000});
    let stays = add(&mut driver, operator, turn(json!({"schedule": at})));
    let goes = add(
        &mut driver,
        operator,
        turn(json!({"schedule": at, "deleteAfterRun": true})),
    );
    driver.advance(1_000);
    driver.advance(MINUTE_MS);
    assert_eq!(job(&mut driver, operator, &stays)["enabled"], false);
    assert_eq!(runs(&mut driver, operator, &stays).len(), 1);
    assert!(job(&mut driver, operator, &goes).is_null());
}

#[test]
fn what_was_missed_runs_once_and_late() {
    let mut driver = driver(says("late"));
    let operator = driver.operator();
    let id = add(&mut driver, operator, turn(json!({})));
    driver.now.unix_ms += 35 * MINUTE_MS;
    let mut driver = driver.crash(0);
    let operator = driver.operator();
    let found = runs(&mut driver, operator, &id);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0]["nextRunAtMs"], START.unix_ms + 40 * MINUTE_MS);
}

#[test]
fn a_crash_repeats_no_run_and_loses_no_end() {
    // With its run open: it goes on. With its end on disk and not in the job: it is taken up.
    for committed in [0, 1] {
        let mut driver = driver(Steps::Held);
        let operator = driver.operator();
        let id = add(&mut driver, operator, turn(json!({})));
        driver.advance(10 * MINUTE_MS);
        let step = driver.steps.pop_front().expect("a step");
        driver.store.held = true;
        driver.steps_by = says("once");
        driver.steps.push_front(step);
        driver.settle();
        let mut driver = driver.crash(committed);
        let operator = driver.operator();
        let found = runs(&mut driver, operator, &id);
        assert_eq!(found.len(), 1, "{committed}: {found:?}");
        assert_eq!(found[0]["status"], "ok", "{committed}");
        driver.advance(9 * MINUTE_MS);
        assert_eq!(runs(&mut driver, operator, &id).len(), 1);
        driver.advance(MINUTE_MS);
        assert_eq!(runs(&mut driver, operator, &id).len(), 2);
    }
}

#[test]
fn as_many_run_at_a_time_as_the_configuration_says() {
    let mut driver = driver(Steps::Held);
    let operator = driver.operator();
    let at = json!({"schedule": {"atMs": START.unix_ms + 1_000}});
    let ids: Vec<String> = (0..3)
        .map(|_| add(&mut driver, operator, turn(at.clone())))
        .collect();
    driver.advance(1_000);
    assert_eq!(driver.steps.len(), 1);
    driver.steps_by = says("x");
    driver.settle();
    for id in ids {
        assert_eq!(runs(&mut driver, operator, &id).len(), 1);
    }
}

#[test]
fn a_job_is_changed_started_and_removed_by_hand() {
    let mut driver = driver(says("by hand"));
    let operator = driver.operator();
    let id = add(&mut driver, operator, turn(json!({})));
    let patch = json!({"id": id, "patch": {"name": "other", "enabled": false}});
    let changed = driver.ok(operator, "cron.update", patch);
    assert_eq!(
        (&changed["name"], &changed["state"]),
        (&json!("other"), &json!({}))
    );
    driver.advance(20 * MINUTE_MS);
    assert!(runs(&mut driver, operator, &id).is_empty());
    let not_due = driver.ok(operator, "cron.run", json!({"id": id}));
    assert_eq!(not_due["reason"], "not-due");
    let ran = driver.ok(operator, "cron.run", json!({"jobId": id, "mode": "force"}));
    assert_eq!(ran, json!({"ok": true, "ran": true}));
    driver.settle();
    assert_eq!(runs(&mut driver, operator, &id).len(), 1);
    let listed = driver.ok(operator, "cron.list", json!({}));
    assert_eq!(listed["jobs"], json!([]));
    assert_eq!(
        driver.ok(operator, "cron.remove", json!({"id": id}))["removed"],
        true
    );
    assert_eq!(
        driver.ok(operator, "cron.remove", json!({"id": id}))["removed"],
        false
    );
    let gone = driver.err(operator, "cron.run", json!({"id": id, "mode": "force"}));
    assert!(
        gone["message"]
            .as_str()
            .unwrap()
            .contains("unknown cron job id")
    );
}

#[test]
fn a_run_that_fails_is_in_the_history_and_the_next_one_comes() {
    let mut driver = Driver::new(Options {
        config: "{agents: {list: [{id: 'main'}, {id: 'nobody'}]}}".into(),
        steps: Steps::Fails("the model is down".into()),
        ..Options::default()
    });
    let operator = driver.operator();
    let id = add(&mut driver, operator, turn(json!({})));
    let lost = add(&mut driver, operator, turn(json!({"agentId": "nobody"})));
    driver.reload("{}");
    driver.advance(10 * MINUTE_MS);
    driver.steps_by = says("up again");
    driver.advance(10 * MINUTE_MS);
    let found = runs(&mut driver, operator, &id);
    assert_eq!(found[0]["error"], "the model is down");
    assert_eq!(found[1]["status"], "ok");
    let lost = runs(&mut driver, operator, &lost);
    assert!(lost[0]["error"].as_str().unwrap().contains("nobody"));
}

#[test]
fn a_wall_clock_has_a_zone_that_the_machine_knows() {
    let mut driver = driver(says("x"));
    let operator = driver.operator();
    let noon =
        |tz: &str| turn(json!({"schedule": {"kind": "cron", "expr": "0 12 * * *", "tz": tz}}));
    let fault = driver.err(operator, "cron.add", noon("No/Where"));
    assert!(
        fault["message"].as_str().unwrap().contains("No/Where"),
        "{fault}"
    );
    let added = driver.ok(operator, "cron.add", noon("UTC"));
    let next = added["state"]["nextRunAtMs"].as_u64().unwrap();
    assert_eq!(next % (24 * 60 * MINUTE_MS), 12 * 60 * MINUTE_MS);
    let bad = turn(json!({"schedule": {"kind": "cron", "expr": "61 * * * *"}}));
    let fault = driver.err(operator, "cron.add", bad);
    assert!(
        fault["message"].as_str().unwrap().contains("minute"),
        "{fault}"
    );
}

#[test]
fn nothing_runs_while_jobs_are_off() {
    let mut driver = Driver::new(Options {
        config: "{cron: {enabled: false}}".into(),
        steps: says("x"),
        ..Options::default()
    });
    let operator = driver.operator();
    let id = add(&mut driver, operator, turn(json!({})));
    driver.advance(30 * MINUTE_MS);
    assert!(runs(&mut driver, operator, &id).is_empty());
    let status = driver.ok(operator, "cron.status", json!({}));
    assert_eq!(
        (&status["enabled"], &status["nextWakeAtMs"]),
        (&json!(false), &json!(null))
    );
}

#[test]
fn a_job_that_is_not_stored_is_not_there() {
    let mut driver = driver(says("x"));
    let operator = driver.operator();
    driver.store.failing = 1;
    let fault = driver.err(operator, "cron.add", turn(json!({})));
    assert_eq!(fault["code"], "UNAVAILABLE");
    // One that cannot be started now is started when the disk has room again.
    let id = add(&mut driver, operator, turn(json!({})));
    driver.store.failing = 1;
    driver.advance(10 * MINUTE_MS);
    assert!(runs(&mut driver, operator, &id).is_empty());
    driver.advance(10_000);
    assert_eq!(runs(&mut driver, operator, &id).len(), 1);
}

fn message(error: Value) -> String {
    error["message"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_job_that_could_never_do_what_it_says_is_refused_when_it_is_made() {
    let mut driver = driver(says("done"));
    let operator = driver.operator();
    let payload = |more: Value| {
        let mut payload = json!({"kind": "agentTurn", "message": "m"});
        let members = payload.as_object_mut().unwrap();
        members.extend(more.as_object().unwrap().clone());
        json!({"payload": payload})
    };
    let delivered = |channel: &str| payload(json!({"deliver": true, "channel": channel}));
    let at = |ms: u64| json!({"schedule": {"atMs": ms}});
    let wrong = [
        (
            json!({"agentId": "nope"}),
            "\"nope\" (there are: main; agents.list",
        ),
        (delivered("telegram"), "channels.telegram.botToken"),
        (delivered("discord"), "channels.discord"),
        (delivered("last"), "channels.telegram.botToken"),
        (payload(json!({"deliver": true})), "is not configured"),
        (payload(json!({"thinking": "mega"})), "off, minimal, low"),
        (payload(json!({"model": "no/model"})), "models.providers"),
        (at(START.unix_ms - MINUTE_MS - 1), "is past (it is 20"),
        (json!({"schedule": {"expr": "0 0 31 2 *"}}), "never comes"),
    ];
    let id = add(&mut driver, operator, turn(json!({})));
    for (more, word) in &wrong {
        let fault = message(driver.err(operator, "cron.add", turn(more.clone())));
        assert!(fault.contains(word), "{more}: {fault}");
        let patch = json!({"id": id, "patch": more});
        let fault = message(driver.err(operator, "cron.update", patch));
        assert!(fault.contains(word), "{more}: {fault}");
    }
    // A moment ago is now, and what is not to be sent needs no channel.
    add(&mut driver, operator, turn(at(START.unix_ms - MINUTE_MS)));
    add(
        &mut driver,
        operator,
        turn(payload(json!({"channel": "discord"}))),
    );
    assert_eq!(driver.ok(operator, "cron.status", json!({}))["jobs"], 3);
    driver.reload("{channels: {telegram: {botToken: '1:a'}}}");
    add(&mut driver, operator, turn(delivered("last")));
    add(
        &mut driver,
        operator,
        turn(payload(json!({"deliver": true}))),
    );
}

#[test]
fn what_was_right_once_can_still_be_switched_off() {
    let mut driver = Driver::new(Options {
        config: "{agents: {list: [{id: 'main'}, {id: 'ops'}]}}".into(),
        ..Options::default()
    });
    let operator = driver.operator();
    let id = add(&mut driver, operator, turn(json!({"agentId": "ops"})));
    driver.reload("{}");
    let off = json!({"id": id, "patch": {"enabled": false}});
    assert_eq!(driver.ok(operator, "cron.update", off)["enabled"], false);
}

#[test]
fn a_job_that_is_about_to_start_is_not_started_again() {
    let mut driver = driver(Steps::Held);
    let operator = driver.operator();
    let id = add(&mut driver, operator, turn(json!({})));
    // A fresh process has to read the zone first, and its disk takes a while.
    let mut driver = driver.restart();
    driver.steps_by = Steps::Held;
    let operator = driver.operator();
    driver.store.held = true;
    let run = json!({"id": id, "mode": "force"});
    let first = driver.request(operator, "cron.run", run.clone());
    let again = driver.request(operator, "cron.run", run);
    driver.settle();
    let first = driver.response(operator, &first).unwrap();
    assert_eq!(first["payload"]["ran"], true, "{first}");
    let again = driver.response(operator, &again).unwrap();
    assert_eq!(again["payload"]["reason"], "already-running", "{again}");
    // It comes due meanwhile as well.
    driver.advance(10 * MINUTE_MS);
    driver.store.held = false;
    driver.settle();
    assert_eq!(driver.steps.len(), 1);
    let found = job(&mut driver, operator, &id);
    assert!(found["state"]["runningAtMs"].is_u64(), "{found}");
}
