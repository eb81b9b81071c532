//! A channel's service that brings its updates, through the core.

use clawdia::driver::{Driver, Options, Steps, TOKEN};
use clawdia::limits::CHANNEL_TAKEN_MS;
use serde_json::{Value, json};

const SECRET: &str = "secret-of_the-webhook";
const PATH: &str = "/telegram-webhook";

fn driver(more: &str) -> Driver {
    let account = "botToken: '1:a', allowFrom: ['7'], webhookUrl: 'https://bot.example/in'";
    let mut driver = Driver::new(Options {
        config: format!(
            "{{channels: {{telegram: {{{account}, webhookSecret: '{SECRET}', {more}}}}}}}"
        ),
        steps: Steps::Says(vec!["All is well.".into()]),
        ..Options::default()
    });
    driver.settle();
    driver
}

fn shows(secret: &str) -> String {
    format!("X-Telegram-Bot-Api-Secret-Token: {secret}\r\n")
}

/// The status; 0 where there is no answer yet.
fn ask(driver: &mut Driver, request: &str, fields: &str, body: &str) -> u16 {
    let answer = driver.http(&format!(
        "{request} HTTP/1.1\r\nHost: 127.0.0.1:18789\r\n{fields}Content-Length: {}\r\n\r\n{body}",
        body.len()
    ));
    let status = answer.split(' ').nth(1).unwrap_or("0");
    status.parse().unwrap()
}

fn bring(driver: &mut Driver, id: u64, text: &str) -> u16 {
    let update = update(id, text).to_string();
    ask(driver, &format!("POST {PATH}"), &shows(SECRET), &update)
}

fn update(id: u64, text: &str) -> Value {
    json!({"update_id": id, "message": {
        "message_id": id, "date": 1, "text": text,
        "from": {"id": 7, "is_bot": false, "first_name": "Ann"},
        "chat": {"id": 7, "type": "private"},
    }})
}

#[test]
fn an_update_is_taken_once_however_often_and_in_whatever_order_it_comes() {
    let mut driver = driver("");
    assert!(driver.service.is_hooked, "the service knows where to");
    for (id, times) in [(5, 1), (5, 1), (7, 2), (6, 3), (6, 3), (7, 3)] {
        assert_eq!(bring(&mut driver, id, "how are you?"), 200);
        assert_eq!(driver.service.sent_to("7").len(), times, "{id}");
    }
    let mut driver = driver.crash(0);
    driver.settle();
    assert_eq!(bring(&mut driver, 6, "how are you?"), 200);
    assert_eq!(driver.service.sent_to("7").len(), 3);
}

#[test]
fn it_is_answered_once_what_became_of_it_is_stored() {
    let mut driver = driver("");
    driver.store.held = true;
    assert_eq!(bring(&mut driver, 5, "hi"), 0);
    // The process dies before the disk has it: the service brings it again.
    let mut driver = driver.crash(0);
    driver.settle();
    assert!(driver.store.all_messages().next().is_none());
    assert_eq!(bring(&mut driver, 5, "hi"), 200);
    let mut driver = driver.crash(0);
    driver.settle();
    driver.advance(1_000);
    assert_eq!(driver.service.sent_to("7"), ["All is well."]);
    // A full disk delays the answer.
    driver.store.failing = 2;
    assert_eq!(bring(&mut driver, 6, "again"), 0);
    driver.advance(60_000);
    assert_eq!(driver.service.sent_to("7").len(), 2);
}

#[test]
fn nobody_else_brings_anything() {
    let mut driver = driver("webhookPath: '/in/telegram'");
    let post = "POST /in/telegram";
    let body = update(5, "hi").to_string();
    for (request, fields, body, expected) in [
        (post, String::new(), &*body, 401),
        (post, shows("wrong"), &*body, 401),
        (post, shows(""), &*body, 401),
        (post, shows(SECRET) + &shows(SECRET), &*body, 400),
        ("GET /in/telegram", shows(SECRET), "", 405),
        (post, shows(SECRET), "[1,2", 400),
        (post, shows(SECRET), "{}", 400),
        (post, shows(SECRET), &"x".repeat(1_100_000), 413),
        ("POST /telegram-webhook", shows(SECRET), "", 405),
        (
            &format!("{post}?secret={SECRET}"),
            String::new(),
            &*body,
            401,
        ),
    ] {
        let status = ask(&mut driver, request, &fields, body);
        assert_eq!(status, expected, "{request} {fields}");
    }
    assert!(driver.store.all_messages().next().is_none());
    let page = "Origin: http://127.0.0.1:18789\r\n";
    for _ in 0..10 {
        let fields = shows("wrong") + page;
        assert_eq!(ask(&mut driver, post, &fields, &body), 401);
    }
    let fields = shows(SECRET) + page;
    assert_eq!(ask(&mut driver, post, &fields, &body), 429, "guesses count");
    assert_eq!(ask(&mut driver, post, &shows(SECRET), &body), 200);
}

#[test]
fn the_gateways_own_secret_opens_no_webhook_and_is_not_told_from_any_other() {
    let mut driver = driver("");
    let post = format!("POST {PATH}");
    let body = update(5, "hi").to_string();
    assert_eq!(ask(&mut driver, &post, &shows(TOKEN), &body), 401);
    driver.reload(&format!(
        "{{channels: {{telegram: {{botToken: '1:a', webhookUrl: 'https://bot.example/in', webhookSecret: '{TOKEN}'}}}}}}"
    ));
    driver.settle();
    assert_eq!(ask(&mut driver, &post, &shows(TOKEN), &body), 503);
    assert!(driver.store.all_messages().next().is_none());
}

#[test]
fn updates_that_are_counted_anew_after_a_quiet_week_are_taken() {
    let mut driver = driver("");
    assert_eq!(bring(&mut driver, 500, "before"), 200);
    driver.now.unix_ms += CHANNEL_TAKEN_MS;
    for _ in 0..2 {
        assert_eq!(bring(&mut driver, 42, "after"), 200);
        assert_eq!(driver.service.sent_to("7").len(), 2);
    }
}

#[test]
fn a_changed_configuration_goes_back_to_asking() {
    let mut driver = driver("");
    driver.store.held = true;
    assert_eq!(bring(&mut driver, 5, "hi"), 0);
    driver.store.held = false;
    driver.settle();
    assert_eq!(driver.service.sent_to("7").len(), 1);
    driver.reload("{channels: {telegram: {botToken: '1:a', allowFrom: ['7']}}}");
    driver.settle();
    assert_eq!(bring(&mut driver, 6, "hi"), 413, "the path is nobody's");
    for _ in 1..=6 {
        driver.service.write("7", "hi");
    }
    driver.settle();
    assert_eq!(driver.service.sent_to("7").len(), 2, "five were taken");
}
