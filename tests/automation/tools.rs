//! `POST /tools/invoke`, and the agent's own jobs that it shows to work.

use clawdia::agent::{Act, Acted, Found};
use clawdia::driver::{Driver, Options, Steps, TOKEN};
use serde_json::{Value, json};

const MINUTE_MS: u64 = 60_000;

fn driver(config: &str) -> Driver {
    Driver::new(Options {
        config: config.into(),
        steps: Steps::Says(vec!["done".into()]),
        ..Options::default()
    })
}

fn raw(token: &str, fields: &str, body: &str) -> String {
    let method = if body.is_empty() { "GET" } else { "POST" };
    format!(
        "{method} /tools/invoke HTTP/1.1\r\nHost: 127.0.0.1:18789\r\n\
         Authorization: Bearer {token}\r\n{fields}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn read(answer: &str) -> (u16, Value) {
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap_or_default())
}

fn invoke(driver: &mut Driver, body: &Value) -> (u16, Value) {
    let request = raw(TOKEN, "", &body.to_string());
    read(&driver.http(&request))
}

/// The result of a use of the tool `cron` that succeeds.
fn cron(driver: &mut Driver, args: Value) -> Value {
    let (status, answer) = invoke(driver, &json!({"tool": "cron", "args": args}));
    assert_eq!(status, 200, "{answer}");
    answer["result"]["details"].clone()
}

fn fault(driver: &mut Driver, body: Value) -> (u16, String) {
    let (status, answer) = invoke(driver, &body);
    assert_eq!(answer["ok"], false, "{answer}");
    let text = |name: &str| answer["error"][name].as_str().unwrap().to_owned();
    (status, format!("{}: {}", text("type"), text("message")))
}

#[test]
fn a_program_uses_a_tool_and_is_told_what_is_wrong() {
    let mut driver = driver("{tools: {deny: ['exec']}}");
    let (status, answer) = invoke(
        &mut driver,
        &json!({"tool": "sessions", "action": "list", "args": {}, "dryRun": false}),
    );
    assert_eq!((status, &answer["ok"]), (200, &json!(true)));
    assert_eq!(answer["result"]["details"]["total"], 0);
    assert_eq!(answer["result"]["content"][0]["type"], "text");
    let (status, text) = fault(&mut driver, json!({"args": {}}));
    assert!(
        status == 400 && text.contains("requires body.tool"),
        "{text}"
    );
    for name in ["exec", "no-such-tool"] {
        let (status, text) = fault(&mut driver, json!({"tool": name}));
        let expected = format!("not_found: Tool not available: {name}");
        assert_eq!((status, text), (404, expected));
    }
    let (status, text) = fault(&mut driver, json!({"tool": "sessions"}));
    assert!(status == 400 && text.starts_with("tool_error: "), "{text}");
    let (status, _) = fault(&mut driver, json!({"tool": "read", "args": []}));
    assert_eq!(status, 400);
}

#[test]
fn nothing_is_used_without_the_secret_or_from_a_foreign_page() {
    let mut driver = driver("{}");
    let body = json!({"tool": "sessions", "action": "list"}).to_string();
    assert_eq!(read(&driver.http(&raw("wrong", "", &body))).0, 401);
    let foreign = "Origin: https://evil.example\r\n";
    assert_eq!(read(&driver.http(&raw(TOKEN, foreign, &body))).0, 403);
    assert_eq!(read(&driver.http(&raw(TOKEN, "", ""))).0, 405);
}

#[test]
fn a_tool_that_takes_time_is_waited_for_and_stopped_with_its_client() {
    let mut driver = driver("{}");
    let body = json!({"tool": "read", "args": {"path": "a.txt"}}).to_string();
    let conn = driver.accept([127, 0, 0, 1].into()).unwrap();
    driver.feed(conn, raw(TOKEN, "", &body).as_bytes());
    driver.settle();
    let (ticket, act) = driver.acts.pop_front().expect("something to do");
    assert!(matches!(act, Act::Read { .. }));
    assert!(driver.remote(conn).http.is_empty());
    driver.acted(ticket, Acted::Text("hello".into()));
    driver.settle();
    let answer = String::from_utf8_lossy(&driver.remote(conn).http).into_owned();
    assert_eq!(read(&answer).1["result"]["content"][0]["text"], "hello");

    let conn = driver.accept([127, 0, 0, 1].into()).unwrap();
    driver.feed(conn, raw(TOKEN, "", &body).as_bytes());
    driver.settle();
    driver.hang_up(conn);
    driver.settle();
    assert!(driver.cancels.last().unwrap().is_cancelled());
}

#[test]
fn a_command_waits_for_a_person_also_where_a_program_asks_for_it() {
    for (ask, decision, told) in [
        ("always", "deny", "an operator said no"),
        ("off", "", "security is deny"),
    ] {
        let mut driver = driver("{}");
        let operator = driver.operator();
        let security = if ask == "off" { "deny" } else { "full" };
        let base = driver.ok(operator, "exec.approvals.get", json!({}))["hash"].clone();
        let file =
            json!({"version": 1, "defaults": {"security": security, "ask": ask}, "agents": {}});
        let set = json!({"file": file, "baseHash": base});
        driver.ok(operator, "exec.approvals.set", set);
        let body = json!({"tool": "exec", "args": {"command": ["uptime"]}}).to_string();
        let conn = driver.accept([127, 0, 0, 1].into()).unwrap();
        driver.feed(conn, raw(TOKEN, "", &body).as_bytes());
        driver.settle();
        let (ticket, _) = driver.acts.pop_front().expect("it is looked for");
        let found = Found {
            folder: "/w".into(),
            programs: [("uptime".into(), "/bin/uptime".into())].into(),
            ..Found::default()
        };
        driver.acted(ticket, Acted::Found(found));
        driver.settle();
        for asked in driver.events(operator, "exec.approval.requested") {
            assert!(driver.remote(conn).http.is_empty());
            let params = json!({"id": asked["id"], "decision": decision});
            driver.ok(operator, "exec.approval.resolve", params);
        }
        let answer = String::from_utf8_lossy(&driver.remote(conn).http).into_owned();
        let (status, answer) = read(&answer);
        assert_eq!(status, 400, "{answer}");
        assert!(answer.to_string().contains(told), "{answer}");
        assert!(driver.acts.is_empty(), "nothing was started");
    }
}

#[test]
fn an_agent_keeps_its_own_jobs_and_sees_no_others() {
    let mut driver = driver("{agents: {list: [{id: 'main'}, {id: 'ops'}]}}");
    let job = json!({"name": "tea", "schedule": {"everyMs": MINUTE_MS},
        "payload": {"kind": "systemEvent", "text": "tea"}});
    let made = cron(&mut driver, json!({"action": "add", "job": job}));
    assert_eq!(made["agentId"], "main");
    let id = made["id"].as_str().unwrap().to_owned();
    driver.advance(MINUTE_MS);
    let listed = cron(&mut driver, json!({"action": "list"}));
    assert_eq!(listed["jobs"][0]["state"]["lastStatus"], "ok");
    let patch = json!({"enabled": false, "agentId": "ops"});
    let changed = cron(
        &mut driver,
        json!({"action": "update", "id": id, "patch": patch}),
    );
    assert_eq!(
        (&changed["enabled"], &changed["agentId"]),
        (&json!(false), &json!("main"))
    );
    cron(&mut driver, json!({"action": "run", "id": id}));
    driver.settle();

    let of_ops =
        |args: Value| json!({"tool": "cron", "args": args, "sessionKey": "agent:ops:main"});
    let (_, answer) = invoke(&mut driver, &of_ops(json!({"action": "list"})));
    assert_eq!(answer["result"]["details"]["jobs"], json!([]));
    for action in ["update", "remove", "run"] {
        let (status, text) = fault(&mut driver, of_ops(json!({"action": action, "id": id})));
        assert!(status == 400 && text.contains("no job"), "{text}");
    }
    cron(&mut driver, json!({"action": "remove", "id": id}));
    assert_eq!(
        cron(&mut driver, json!({"action": "list"}))["jobs"],
        json!([])
    );
}

#[test]
fn an_agents_jobs_are_bounded_and_deliver_only_what_it_may_send_itself() {
    let mut driver = driver(
        "{channels: {telegram: {botToken: '1:a'}}, agents: {list: [{id: 'main', tools: {deny: ['message']}}]}}",
    );
    let add = |payload: Value, every_ms: u64| {
        json!({"tool": "cron", "args": {"action": "add", "job": {"name": "x",
            "schedule": {"everyMs": every_ms}, "payload": payload}}})
    };
    let line = json!({"kind": "systemEvent", "text": "x"});
    let (_, text) = fault(&mut driver, add(line.clone(), 1_000));
    assert!(text.contains("everyMs"), "{text}");
    let sends = json!({"kind": "agentTurn", "message": "m", "deliver": true,
        "channel": "telegram", "to": "1"});
    let (_, text) = fault(&mut driver, add(sends, MINUTE_MS));
    assert!(text.contains("message"), "{text}");
    for _ in 0..50 {
        assert_eq!(invoke(&mut driver, &add(line.clone(), MINUTE_MS)).0, 200);
    }
    let (_, text) = fault(&mut driver, add(line, MINUTE_MS));
    assert!(text.contains("50 jobs"), "{text}");
}

#[test]
fn commands_work_for_programs_too_and_a_session_has_its_own_queue() {
    let mut driver = driver("{}");
    let conn = driver.operator();
    let ask = |message: &str| json!({"message": message, "sessionKey": "main", "idempotencyKey": message});
    let id = driver.request(conn, "agent", ask("/queue collect"));
    driver.settle();
    let answers = driver.messages(conn);
    let mut answers = answers.iter().filter(|it| it["id"] == *id);
    let (first, last) = (answers.next().unwrap(), answers.next().unwrap());
    assert_eq!(first["payload"]["status"], "accepted", "{first}");
    let text = last["payload"]["result"]["payloads"][0]["text"]
        .as_str()
        .unwrap();
    assert!(text.contains("collect"), "{last}");
    let again = driver.ok(conn, "agent", ask("/queue collect"));
    assert_eq!(again["status"], "ok", "{again}");
    let patch = json!({"key": "main", "queueMode": "steer"});
    let patched = driver.ok(conn, "sessions.patch", patch);
    assert_eq!(patched["entry"]["queueMode"], "steer", "{patched}");
}

#[test]
fn a_program_that_says_stop_ends_what_runs_in_the_session() {
    let mut driver = Driver::new(Options {
        steps: Steps::Held,
        ..Options::default()
    });
    let conn = driver.operator();
    let ask = |message: &str| json!({"message": message, "sessionKey": "main", "idempotencyKey": message});
    let ran = driver.request(conn, "agent", ask("think long"));
    driver.settle();
    let stop = driver.request(conn, "agent", ask("/stop"));
    driver.settle();
    let answers = driver.messages(conn);
    let last = |id: &str| answers.iter().rfind(|it| it["id"] == *id).unwrap();
    assert_eq!(last(&ran)["ok"], false, "{}", last(&ran));
    let text = &last(&stop)["payload"]["result"]["payloads"][0]["text"];
    assert_eq!(*text, "Nothing runs in this session any more.");
}

#[test]
fn a_command_with_wrong_arguments_is_told_what_is_missing_and_how_it_is_written() {
    let mut driver = driver("{}");
    for (args, word) in [
        (
            json!({"cmd": "ls"}),
            "\"command\" is missing: write {\"command\": [\"ls\", \"-l\"]}",
        ),
        (
            json!({"command": "ls -l"}),
            "\"command\" is a list of texts, such as [\"ls\", \"-l\"]",
        ),
        (json!({"command": [1]}), "\"shell\""),
    ] {
        let (status, text) = fault(&mut driver, json!({"tool": "exec", "args": args}));
        assert!(status == 400 && text.contains(word), "{text}");
    }
}
