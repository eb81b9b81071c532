//! The OpenAI-compatible endpoints, through the core.

use clawdia::driver::{Driver, Options, Steps, TOKEN};
use serde_json::{Value, json};
use std::net::{IpAddr, Ipv4Addr};

const ON: &str = "{gateway: {http: {endpoints: {chatCompletions: {enabled: true}, \
    responses: {enabled: true, maxBodyBytes: 2048}}}}, \
    agents: {list: [{id: 'main'}, {id: 'ops'}]}}";

fn driver(steps: Steps) -> Driver {
    Driver::new(Options {
        config: ON.into(),
        steps,
        ..Options::default()
    })
}

fn says(pieces: &[&str]) -> Steps {
    Steps::Says(pieces.iter().map(|piece| (*piece).to_owned()).collect())
}

fn request(path: &str, fields: &str, body: &str) -> String {
    let method = if body.is_empty() { "GET" } else { "POST" };
    format!(
        "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:18789\r\nAuthorization: Bearer {TOKEN}\r\n\
         {fields}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Status and body of an answer.
fn ask(driver: &mut Driver, path: &str, fields: &str, body: &str) -> (u16, String) {
    let answer = driver.http(&request(path, fields, body));
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, body.to_owned())
}

fn post(driver: &mut Driver, path: &str, body: &Value) -> (u16, Value) {
    let (status, body) = ask(driver, path, "", &body.to_string());
    (status, serde_json::from_str(&body).unwrap())
}

/// The data of each event.
fn events(body: &str) -> Vec<Value> {
    let data = body.lines().filter_map(|line| line.strip_prefix("data: "));
    data.filter(|data| *data != "[DONE]")
        .map(|data| serde_json::from_str(data).unwrap())
        .collect()
}

fn hello(more: Value) -> Value {
    let mut body = json!({"model": "clawdia", "messages": [{"role": "user", "content": "hello"}]});
    body.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    body
}

#[test]
fn a_completion_comes_whole_and_leaves_no_session() {
    let mut driver = driver(says(&["Good ", "day."]));
    let (status, answer) = post(&mut driver, "/v1/chat/completions", &hello(json!({})));
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["object"], "chat.completion");
    assert_eq!(answer["choices"][0]["message"]["content"], "Good day.");
    assert_eq!(answer["choices"][0]["finish_reason"], "stop");
    assert_eq!(answer["usage"]["total_tokens"], 0);
    assert!(driver.store.state().sessions().is_empty());
}

#[test]
fn a_completion_comes_piece_by_piece() {
    let mut driver = driver(says(&["Good ", "day."]));
    let body = hello(json!({"stream": true, "stream_options": {"include_usage": true}}));
    let (status, text) = ask(&mut driver, "/v1/chat/completions", "", &body.to_string());
    assert_eq!(status, 200);
    let events = events(&text);
    let pieces: Vec<&str> = events
        .iter()
        .filter_map(|event| event["choices"][0]["delta"]["content"].as_str())
        .collect();
    assert_eq!(pieces, ["", "Good ", "day."]);
    assert_eq!(events[3]["choices"][0]["finish_reason"], "stop");
    assert_eq!(events[4]["choices"], json!([]));
    assert!(events[4]["usage"].is_object());
    assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
}

#[test]
fn a_response_comes_piece_by_piece_and_whole() {
    let mut driver = driver(says(&["Good ", "day."]));
    let mut body = json!({"model": "x", "input": "hello", "stream": true, "user": "ann"});
    let (status, text) = ask(&mut driver, "/v1/responses", "", &body.to_string());
    assert_eq!(status, 200);
    let events = events(&text);
    let kinds: Vec<&str> = events
        .iter()
        .map(|it| it["type"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds,
        [
            "response.created",
            "response.in_progress",
            "response.output_item.added",
            "response.content_part.added",
            "response.output_text.delta",
            "response.output_text.delta",
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.completed"
        ]
    );
    let numbers: Vec<u64> = events
        .iter()
        .map(|it| it["sequence_number"].as_u64().unwrap())
        .collect();
    assert!(numbers.iter().copied().eq(0..10));
    let part = |it: &Value| it["output"][0]["content"][0]["text"].clone();
    assert_eq!(part(&events[9]["response"]), "Good day.");
    body["stream"] = json!(false);
    let (status, answer) = post(&mut driver, "/v1/responses", &body);
    assert_eq!((status, part(&answer)), (200, json!("Good day.")));
    // A user's conversation stays.
    let key = "agent:main:openresponses-user:ann";
    assert!(driver.store.state().sessions().contains_key(key));
}

#[test]
fn the_session_of_a_user_knows_what_was_said() {
    let mut driver = driver(says(&["yes"]));
    let user = json!({"user": "ann"});
    let before = json!([{"role": "user", "content": "one"},
        {"role": "assistant", "content": "yes"}, {"role": "user", "content": "two"}]);
    for (path, expected) in [("first", "[What was said before"), ("second", "two")] {
        let mut body = hello(user.clone());
        body["messages"] = before.clone();
        assert_eq!(post(&mut driver, "/v1/chat/completions", &body).0, 200);
        let operator = driver.operator();
        let key = "agent:main:openai-user:ann";
        let history = driver.ok(operator, "chat.history", json!({"sessionKey": key}));
        let messages = history["messages"].as_array().unwrap();
        let asked = messages[messages.len() - 2]["content"][0]["text"]
            .as_str()
            .unwrap();
        assert!(asked.starts_with(expected), "{path}: {asked}");
    }
}

#[test]
fn model_and_headers_name_the_agent_and_the_session() {
    let mut driver = driver(says(&["yes"]));
    for (model, fields, key) in [
        ("clawdia:ops", "", "agent:ops:openai-user:ann"),
        ("gpt-5", "", "agent:main:openai-user:ann"),
        (
            "gpt-5",
            "x-clawdbot-agent-id: ops\r\n",
            "agent:ops:openai-user:ann",
        ),
        (
            "gpt-5",
            "X-Clawdia-Session-Key: agent:ops:desk\r\n",
            "agent:ops:desk",
        ),
    ] {
        let body = hello(json!({"model": model, "user": "ann"}));
        let path = "/v1/chat/completions";
        assert_eq!(ask(&mut driver, path, fields, &body.to_string()).0, 200);
        let sessions = driver.store.state().sessions();
        assert!(sessions.contains_key(key), "{model} {fields}");
    }
    let (status, answer) = post(
        &mut driver,
        "/v1/chat/completions",
        &hello(json!({"model": "clawdia:nobody"})),
    );
    assert_eq!(status, 404);
    assert!(
        answer["error"]["message"]
            .as_str()
            .unwrap()
            .contains("main, ops")
    );
    let (status, models) = ask(&mut driver, "/v1/models", "", "");
    assert_eq!(status, 200);
    assert!(models.contains("clawdia:ops"));
}

#[test]
fn what_is_wrong_is_said() {
    let mut driver = driver(says(&["yes"]));
    let long = json!({"model": "x", "input": "x".repeat(4_096)}).to_string();
    for (path, body, expected) in [
        ("/v1/chat/completions", "{", 400),
        ("/v1/chat/completions", "[]", 400),
        (
            "/v1/chat/completions",
            r#"{"messages": [], "messages": []}"#,
            400,
        ),
        ("/v1/chat/completions", r#"{"messages": []}"#, 400),
        ("/v1/responses", r#"{"input": 7}"#, 400),
        ("/v1/responses", &long, 413),
        ("/v1/elsewhere", "{}", 404),
        ("/v1/chat/completions", "", 405),
    ] {
        let (status, answer) = ask(&mut driver, path, "", body);
        assert_eq!(status, expected, "{path} {body}: {answer}");
        let answer: Value = serde_json::from_str(&answer).expect(&answer);
        let error = &answer["error"];
        assert!(error["message"].is_string() && error["type"].is_string());
    }
    let mut off = Driver::default();
    let (status, answer) = post(&mut off, "/v1/chat/completions", &hello(json!({})));
    assert_eq!(status, 404);
    let said = answer["error"]["message"].as_str().unwrap();
    assert!(said.contains("chatCompletions.enabled true"), "{said}");
}

#[test]
fn a_run_that_fails_is_told_whole_and_in_the_stream() {
    let mut driver = driver(Steps::Fails("no such model".into()));
    let (status, answer) = post(&mut driver, "/v1/chat/completions", &hello(json!({})));
    assert_eq!(
        (status, &answer["error"]["message"]),
        (500, &json!("no such model"))
    );
    let body = json!({"input": "x", "stream": true}).to_string();
    let (status, text) = ask(&mut driver, "/v1/responses", "", &body);
    assert_eq!(status, 200);
    let last = events(&text).pop().unwrap();
    assert_eq!(last["type"], "response.failed");
    assert_eq!(last["response"]["error"]["message"], "no such model");
}

#[test]
fn a_client_that_goes_away_stops_its_run() {
    let mut driver = driver(Steps::Held);
    let conn = driver.accept(IpAddr::V4(Ipv4Addr::LOCALHOST)).unwrap();
    let body = hello(json!({"stream": true})).to_string();
    driver.feed(conn, request("/v1/chat/completions", "", &body).as_bytes());
    driver.settle();
    let step = driver.steps.pop_front().expect("a step");
    let sent = String::from_utf8_lossy(&driver.remote(conn).http).into_owned();
    assert!(sent.contains("\"role\":\"assistant\""), "{sent}");
    driver.hang_up(conn);
    driver.settle();
    assert!(step.cancel.is_cancelled());
    let state = driver.store.state();
    assert!(state.runs().open().next().is_none());
    assert!(state.sessions().is_empty());
}

#[test]
fn nothing_begins_that_is_not_stored() {
    let mut driver = driver(says(&["yes"]));
    driver.store.failing = 1;
    let (status, _) = post(&mut driver, "/v1/chat/completions", &hello(json!({})));
    assert_eq!(status, 503);
    assert!(driver.steps.is_empty());
}

#[test]
fn a_client_that_goes_before_its_run_is_stored_stops_it_too() {
    let mut driver = driver(Steps::Held);
    driver.store.held = true;
    let conn = driver.accept(IpAddr::V4(Ipv4Addr::LOCALHOST)).unwrap();
    let body = hello(json!({})).to_string();
    driver.feed(conn, request("/v1/chat/completions", "", &body).as_bytes());
    driver.settle();
    driver.hang_up(conn);
    driver.store.held = false;
    driver.settle();
    assert!(driver.store.state().runs().open().next().is_none());
    assert!(driver.store.state().sessions().is_empty());
}

#[test]
fn who_shows_no_secret_is_told_so_in_the_shape_that_its_client_reads() {
    let mut driver = driver(says(&["x"]));
    for (path, secret, pointer, value) in [
        ("/v1/models", "", "/error/code", "invalid_api_key"),
        (
            "/v1/chat/completions",
            "Authorization: Bearer wrong\r\n",
            "/error/type",
            "invalid_request_error",
        ),
        ("/v1/responses", "", "/error/code", "invalid_api_key"),
        ("/tools/invoke", "", "/error/type", "unauthorized"),
    ] {
        let answer = driver.http(&format!(
            "POST {path} HTTP/1.1\r\nHost: 127.0.0.1:18789\r\n{secret}Content-Length: 0\r\n\r\n"
        ));
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        assert!(head.starts_with("HTTP/1.1 401"), "{path}: {answer}");
        let body: Value = serde_json::from_str(body).expect(path);
        assert_eq!(body.pointer(pointer), Some(&json!(value)), "{path}: {body}");
        assert!(body["error"]["message"].is_string(), "{path}: {body}");
    }
}
