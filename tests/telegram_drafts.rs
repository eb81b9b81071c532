//! An answer over Telegram is shown while it is being written, against the built program, a server of the
//! Bot API and one of a model.

mod support;

use serde_json::{Value, json};
use std::sync::mpsc::channel;
use support::model::{Model, Says};
use support::telegram::{Fate, Telegram};
use support::{Home, eventually};

const START: &str = "This is the beginning of a long answer";
const REST: &str = ", and this is **its end**.";
const WHOLE: &str = "This is the beginning of a long answer, and this is <b>its end</b>.";

fn configure(home: &Home, telegram: &Telegram, model: &Model) {
    let channels = telegram.config("allowFrom: ['7']");
    let channels = channels.strip_suffix('}').unwrap();
    let models = model.config("k");
    let models = models.strip_prefix('{').unwrap();
    home.configure(&format!("{channels}, {models}"));
}

#[test]
fn the_whole_answer_takes_the_place_of_its_draft() {
    let telegram = Telegram::start();
    let (go, told) = channel();
    let model = Model::start(vec![Says::Slowly(START, REST, told)]);
    let home = Home::new();
    configure(&home, &telegram, &model);
    let _gateway = home.gateway(&[]);
    // What an edit was refused for now is tried again.
    let busy = json!({"parameters": {"retry_after": 1}});
    telegram.next("editMessageText", Fate::Refused(429, busy));
    telegram.write(7, "tell me");
    assert_eq!(telegram.wait_texts(7, 1), [START]);
    go.send(()).unwrap();
    eventually(|| !telegram.calls("editMessageText").is_empty());
    let edits = telegram.calls("editMessageText");
    assert_eq!(edits.last().unwrap()["text"], WHOLE);
    assert!(edits[0]["message_id"].as_u64() > Some(1_000), "{edits:?}");
    assert_eq!(telegram.texts(7), [START], "nothing else is sent");
    let history = ["gateway", "call", "chat.history", "--params"];
    let history = home.run(&[&history[..], &[r#"{"sessionKey":"main"}"#]].concat());
    assert!(!history.ok().out.contains("unknown"));
}

#[test]
fn a_kill_while_the_answer_takes_the_place_of_its_draft_repeats_that_and_no_message() {
    let telegram = Telegram::start();
    let (go, told) = channel();
    let model = Model::start(vec![Says::Slowly(START, REST, told)]);
    let home = Home::new();
    configure(&home, &telegram, &model);
    let gateway = home.gateway(&[]);
    telegram.next("editMessageText", Fate::Hangs);
    telegram.write(7, "tell me");
    telegram.wait_texts(7, 1);
    go.send(()).unwrap();
    eventually(|| telegram.calls("editMessageText").len() == 1);
    drop(gateway);
    let _gateway = home.gateway(&[]);
    eventually(|| telegram.calls("editMessageText").len() == 2);
    assert!(
        telegram
            .calls("editMessageText")
            .iter()
            .all(|it| it["text"] == WHOLE)
    );
    eventually(|| outbox(&home)["sending"] == 0);
    assert_eq!(outbox(&home)["unknown"], 0);
    assert_eq!(telegram.texts(7), [START]);
}

#[test]
fn a_kill_while_a_draft_is_sent_leaves_its_answer_unknown_and_unrepeated() {
    let telegram = Telegram::start();
    let (go_on, never) = channel();
    let again = Says::Text(&[START, REST]);
    let model = Model::start(vec![Says::Slowly(START, REST, never), again]);
    let home = Home::new();
    configure(&home, &telegram, &model);
    let gateway = home.gateway(&[]);
    telegram.next("sendMessage", Fate::Hangs);
    telegram.write(7, "tell me");
    telegram.wait_texts(7, 1);
    drop(gateway);
    drop(go_on);
    let _gateway = home.gateway(&[]);
    eventually(|| outbox(&home)["unknown"] == 1);
    assert_eq!(telegram.texts(7), [START]);
    assert!(telegram.calls("editMessageText").is_empty());
    let shown = home.run(&["channels", "status"]).ok().out;
    assert!(shown.contains("its beginning may be there"), "{shown}");
}

fn outbox(home: &Home) -> Value {
    let status = home.run(&["channels", "status", "--json"]).ok().json();
    status["channelAccounts"]["telegram"][0]["outbox"].clone()
}
