//! What a channel's people see, and what a crash leaves.

use crate::agent::{ModelRef, StepEvent, StopReason, ToolCall, Usage};
use crate::channels::{Chat, Place};
use crate::driver::{Driver, Fate, Options, Steps};
use crate::ids::ConnId;
use crate::limits::{CONTACT_CODE_TTL_MS, CONTACTS_PENDING_MAX, OUTGOING_TTL_MS};
use crate::state::OutgoingState;
use serde_json::json;

fn driver(settings: &str) -> Driver {
    Driver::new(Options {
        config: format!("{{ channels: {{ telegram: {{ botToken: '1:a', {settings} }} }} }}"),
        steps: Steps::Says(vec!["All is well.".into()]),
        ..Options::default()
    })
}

fn open() -> Driver {
    driver("allowFrom: ['7']")
}

/// The rows of the outbox by their state.
fn rows(driver: &Driver) -> Vec<&'static str> {
    let rows = driver.store.state().outgoing().iter();
    rows.map(|row| row.state.as_str()).collect()
}

fn code_in(text: &str) -> String {
    let (_, rest) = text.split_once("<code>").expect("a code");
    rest[..8].to_owned()
}

#[test]
fn a_message_is_answered_once_and_counts_as_taken() {
    let mut driver = open();
    driver.service.write("7", "how are you?");
    driver.settle();
    assert_eq!(driver.service.sent_to("7"), ["All is well."]);
    assert_eq!(driver.service.left(), 0, "the poll after it says so");
    assert!(rows(&driver).is_empty());
    let session = &driver.store.state().sessions()["agent:main:main"];
    assert_eq!(session.last_channel.as_deref(), Some("telegram"));
    assert_eq!(session.last_to.as_deref(), Some("7"));
    assert_eq!(driver.store.messages(&session.session_id).len(), 2);
}

#[test]
fn an_update_is_not_taken_before_its_message_is_stored() {
    let mut driver = open();
    driver.store.held = true;
    driver.service.write("7", "hi");
    driver.settle();
    assert_eq!(driver.service.left(), 1);
    // The process dies before the disk has it: the next one hears it again.
    let mut driver = driver.crash(0);
    driver.settle();
    assert_eq!(driver.service.sent_to("7"), ["All is well."]);
    // The same where the disk had it: nothing is taken twice.
    driver.store.held = true;
    driver.service.write("7", "again");
    driver.settle();
    let mut driver = driver.crash(1);
    driver.settle();
    assert_eq!(driver.service.sent_to("7").len(), 2);
    let asked = driver.store.all_messages();
    assert_eq!(
        asked.filter(|it| it.message.body.contains("again")).count(),
        1
    );
}

#[test]
fn a_full_disk_delays_and_loses_nothing() {
    let mut driver = open();
    driver.store.failing = 2;
    driver.service.write("7", "hi");
    driver.settle();
    driver.advance(60_000);
    assert_eq!(driver.service.sent_to("7"), ["All is well."]);
}

#[test]
fn what_may_have_been_sent_is_told_and_not_sent_again() {
    let mut driver = open();
    let operator = driver.operator();
    driver.service.held = true;
    driver.service.write("7", "hi");
    serve_until_sending(&mut driver);
    driver.serve_next(Fate::AnswerLost);
    driver.service.held = false;
    driver.advance(120_000);
    assert_eq!(driver.service.sent_to("7").len(), 1);
    assert_eq!(rows(&driver), ["unknown"]);
    let status = driver.ok(operator, "channels.status", json!({}));
    let account = &status["channelAccounts"]["telegram"][0];
    assert_eq!(account["outbox"]["unknown"], 1);
    assert_eq!(account["notDelivered"][0]["to"], "7");
    let history = driver.ok(operator, "chat.history", json!({"sessionKey": "main"}));
    assert!(
        history
            .to_string()
            .contains("unknown whether this reached Telegram")
    );
}

#[test]
fn a_crash_while_a_message_is_sent_leaves_it_unknown_unless_it_may_be_sent_twice() {
    for (settings, times, left) in [("", 1, 1), ("resendUnknown: true,", 2, 0)] {
        let mut driver = driver(&format!("{settings} allowFrom: ['7']"));
        driver.service.held = true;
        driver.service.write("7", "hi");
        serve_until_sending(&mut driver);
        // It arrives, and the process dies before it hears so.
        let sent = driver.service.sent.len();
        driver.store.held = true;
        driver.serve_next(Fate::Done);
        assert_eq!(driver.service.sent.len(), sent + 1);
        let mut driver = driver.crash(0);
        driver.service.held = false;
        driver.settle();
        driver.advance(10_000);
        assert_eq!(driver.service.sent_to("7").len(), times, "{settings}");
        assert_eq!(rows(&driver).len(), left, "{settings}");
    }
}

#[test]
fn what_surely_was_not_sent_is_tried_again_and_given_up_after_a_day() {
    let mut driver = open();
    driver.service.held = true;
    driver.service.write("7", "hi");
    serve_until_sending(&mut driver);
    driver.serve_next(Fate::NotDone);
    driver.settle();
    assert_eq!(rows(&driver), ["waiting"]);
    driver.service.held = false;
    driver.advance(2_000);
    assert_eq!(driver.service.sent_to("7"), ["All is well."]);

    driver.service.held = true;
    driver.service.write("7", "again");
    serve_until_sending(&mut driver);
    let tries = OUTGOING_TTL_MS / 60_000 + 10;
    for _ in 0..tries {
        while driver.has_orders() {
            driver.serve_next(Fate::NotDone);
            driver.settle();
        }
        driver.advance(60_000);
    }
    let row = driver.store.state().outgoing().iter().next().unwrap();
    assert!(matches!(row.state, OutgoingState::Failed { .. }), "{row:?}");
}

/// Until the message to be sent is the next order.
fn serve_until_sending(driver: &mut Driver) {
    for _ in 0..100 {
        driver.settle();
        let is_sending = driver
            .store
            .state()
            .outgoing()
            .iter()
            .any(|row| row.state == OutgoingState::Sending);
        if is_sending {
            while driver.service.next_is_no_message() {
                driver.serve_next(Fate::Done);
            }
            return;
        }
        driver.serve_next(Fate::Done);
    }
    panic!("nothing is sent");
}

#[test]
fn a_stranger_gets_a_code_and_is_heard_once_somebody_lets_him_in() {
    let mut driver = driver("");
    let operator = driver.operator();
    driver.service.write("5", "let me in");
    driver.settle();
    let text = driver.service.sent_to("5")[0].to_owned();
    let code = code_in(&text);
    assert!(
        driver.store.all_messages().next().is_none(),
        "the agent hears nothing"
    );
    // He is not told again at once, whatever he writes.
    driver.service.write("5", "please");
    driver.settle();
    assert_eq!(driver.service.sent_to("5").len(), 1);
    let list = driver.ok(operator, "channels.pairing.list", json!({}));
    assert_eq!(list["pending"][0]["code"], code.as_str());
    let wrong = json!({"channel": "telegram", "code": "AAAAAAAA"});
    driver.err(operator, "channels.pairing.approve", wrong);
    let params = json!({"channel": "telegram", "code": code.to_lowercase()});
    let approved = driver.ok(operator, "channels.pairing.approve", params);
    assert_eq!(approved["id"], "5");
    let mut driver = driver.crash(0);
    driver.service.write("5", "hello");
    driver.settle();
    assert_eq!(driver.service.sent_to("5").last(), Some(&"All is well."));
    let operator = driver.operator();
    let params = json!({"channel": "telegram", "id": "5"});
    driver.ok(operator, "channels.pairing.remove", params);
    driver.service.write("5", "still there?");
    driver.settle();
    code_in(driver.service.sent_to("5").last().unwrap());
}

#[test]
fn codes_expire_and_as_many_wait_as_may() {
    let mut driver = driver("");
    let operator = driver.operator();
    for sender in 0..CONTACTS_PENDING_MAX + 3 {
        driver.service.write(&sender.to_string(), "hi");
    }
    driver.settle();
    assert_eq!(driver.service.sent.len(), CONTACTS_PENDING_MAX);
    let code = code_in(&driver.service.sent[0].text);
    driver.advance(CONTACT_CODE_TTL_MS + 120_000);
    let params = json!({"channel": "telegram", "code": code});
    driver.err(operator, "channels.pairing.approve", params);
    assert!(driver.store.state().contacts().is_empty(), "forgotten");
    driver.service.write("0", "hi");
    driver.settle();
    assert_eq!(driver.service.sent.len(), CONTACTS_PENDING_MAX + 1);
}

#[test]
fn a_group_has_a_session_of_its_own_and_is_answered_where_the_bot_is_named() {
    let mut driver = open();
    let group = Chat {
        place: Place {
            chat: "-100".into(),
            thread: Some("4".into()),
        },
        is_group: true,
        title: Some("Family".into()),
    };
    driver
        .service
        .write_in(group.clone(), "7", "not for you", false);
    driver
        .service
        .write_in(group.clone(), "8", "a stranger", true);
    driver.service.write_in(group, "7", "for you", true);
    driver.settle();
    let sent = &driver.service.sent[0];
    assert_eq!(driver.service.sent.len(), 1);
    assert_eq!(
        (&*sent.place.chat, sent.place.thread.as_deref()),
        ("-100", Some("4"))
    );
    assert_eq!(sent.reply_to.as_deref(), Some("3"));
    let key = "agent:main:telegram:group:-100:topic:4";
    assert!(driver.store.state().sessions().contains_key(key));
    assert_eq!(
        driver.service.left(),
        0,
        "what is passed over counts as taken"
    );
}

#[test]
fn commands_are_answered_by_the_gateway() {
    let mut driver = open();
    for text in ["/start", "/whoami", "stop", "/new"] {
        driver.service.write("7", text);
        driver.settle();
    }
    let sent = driver.service.sent_to("7");
    assert_eq!(sent.len(), 4, "{sent:?}");
    assert!(sent[1].contains("agent:main:main"));
    assert_eq!(sent[2], "Nothing is at work.");
    assert!(sent[3].contains("starts over"));
}

#[test]
fn a_run_that_fails_says_so() {
    let mut driver = open();
    driver.steps_by = Steps::Fails("no model".into());
    driver.service.write("7", "hi");
    driver.settle();
    assert_eq!(
        driver.service.sent_to("7"),
        ["There is no answer: no model"]
    );
}

fn send(driver: &mut Driver, conn: ConnId, key: &str, text: &str) -> serde_json::Value {
    let params = json!({"to": "7", "message": text, "idempotencyKey": key});
    driver.ok(conn, "send", params)
}

#[test]
fn send_is_answered_when_the_service_has_it_and_a_repeat_sends_nothing() {
    let mut driver = open();
    let operator = driver.operator();
    let first = send(&mut driver, operator, "k", "hello");
    assert_eq!(first["channel"], "telegram");
    assert_eq!(first["messageId"], "1");
    assert_eq!(send(&mut driver, operator, "k", "hello"), first);
    assert_eq!(driver.service.sent_to("7"), ["hello"]);
    let other = json!({"to": "7", "message": "other", "idempotencyKey": "k"});
    driver.err(operator, "send", other);
    let mut driver = driver.crash(0);
    let operator = driver.operator();
    assert_eq!(send(&mut driver, operator, "k", "hello"), first);
    assert_eq!(driver.service.sent.len(), 1);
    for bad in [
        json!({"to": "nobody at all", "message": "x", "idempotencyKey": "b1"}),
        json!({"to": "7", "message": " ", "idempotencyKey": "b2"}),
        json!({"to": "7", "message": "x", "channel": "pigeon", "idempotencyKey": "b3"}),
        json!({"to": "7", "mediaUrl": "file:///etc/passwd", "idempotencyKey": "b4"}),
    ] {
        driver.err(operator, "send", bad);
    }
}

#[test]
fn a_probe_asks_the_service_and_logging_out_ends_the_use() {
    let mut driver = open();
    let operator = driver.operator();
    let status = driver.ok(operator, "channels.status", json!({"probe": true}));
    let account = &status["channelAccounts"]["telegram"][0];
    assert_eq!(account["probe"]["ok"], true);
    assert_eq!(account["running"], true);
    assert!(!status.to_string().contains("1:a"), "no token");
    let gone = driver.ok(operator, "channels.logout", json!({"channel": "telegram"}));
    assert_eq!(gone["loggedOut"], true);
    let status = driver.ok(operator, "channels.status", json!({"probe": true}));
    assert_eq!(status["channelAccounts"]["telegram"][0]["running"], false);
    driver.service.write("7", "hi");
    driver.settle();
    assert!(driver.service.sent.is_empty());
}

#[test]
fn a_changed_configuration_takes_over_without_a_start() {
    let mut driver = driver("");
    driver.reload("{ channels: { telegram: { botToken: '1:a', allowFrom: ['7'] } } }");
    driver.service.write("7", "hi");
    driver.settle();
    assert_eq!(driver.service.sent_to("7"), ["All is well."]);
    driver.reload("{ channels: { telegram: { botToken: '1:a', enabled: false } } }");
    driver.service.write("7", "hi");
    driver.settle();
    assert_eq!(driver.service.sent.len(), 1);
}

#[test]
fn a_number_is_given_to_one_message_over_restarts() {
    let mut driver = open();
    driver.service.held = true;
    driver.service.write("7", "hi");
    serve_until_sending(&mut driver);
    driver.serve_next(Fate::AnswerLost);
    driver.settle();
    assert_eq!(rows(&driver), ["unknown"]);
    let mut driver = driver.crash(0);
    driver.service.held = false;
    driver.service.write("7", "again");
    driver.settle();
    assert_eq!(driver.service.sent_to("7").len(), 2);
    assert_eq!(rows(&driver), ["unknown"], "what is not known stays");
}

/// The step that waits ends, with a call of the tool or with an answer.
fn end_step(driver: &mut Driver, arguments: Option<serde_json::Value>) {
    let step = driver.steps.pop_front().expect("a step");
    let call = |arguments: serde_json::Value| ToolCall {
        id: "c".into(),
        name: "message".into(),
        arguments: arguments.to_string().into(),
    };
    let event = StepEvent::Done {
        text: "done".into(),
        calls: arguments.map(call).into_iter().collect(),
        usage: Usage::default(),
        stop_reason: StopReason::Stop,
        model: ModelRef::new("builtin", "clawdia"),
    };
    driver.step(step.tag, event);
    driver.settle();
}

#[test]
fn the_agent_writes_to_somebody_else_once_whenever_the_process_dies() {
    for dies in [false, true] {
        let mut driver = open();
        driver.steps_by = Steps::Held;
        driver.service.write("7", "tell 9 that dinner is ready");
        driver.settle();
        end_step(
            &mut driver,
            Some(json!({"to": "9", "message": "**Dinner**"})),
        );
        assert_eq!(driver.service.sent_to("9"), ["<b>Dinner</b>"]);
        if dies {
            driver = driver.crash(0);
            driver.settle();
        }
        end_step(&mut driver, None);
        assert_eq!(driver.service.sent_to("7"), ["done"]);
        assert_eq!(driver.service.sent_to("9").len(), 1);
    }
}

#[test]
fn a_message_of_the_agent_goes_where_its_session_was_written_from() {
    let mut driver = open();
    driver.steps_by = Steps::Held;
    driver.service.write("7", "hi");
    driver.settle();
    end_step(&mut driver, Some(json!({"message": "by the way"})));
    assert_eq!(driver.service.sent_to("7"), ["by the way"]);
    end_step(&mut driver, Some(json!({"message": "x", "to": "no such"})));
    end_step(&mut driver, None);
    let failed = driver.store.all_messages();
    let is_told = |it: &&crate::state::StoredMessage| it.message.body.contains("is no receiver");
    assert_eq!(failed.filter(is_told).count(), 1);
}

#[test]
fn who_waits_sees_that_an_answer_is_written() {
    let mut driver = open();
    driver.steps_by = Steps::Held;
    driver.service.write("7", "hi");
    driver.settle();
    driver.advance(10_000);
    let shown = driver.service.typing.len();
    assert!(shown >= 3, "{shown}");
    end_step(&mut driver, None);
    driver.advance(60_000);
    assert_eq!(driver.service.typing.len(), shown, "and no more afterwards");
}

#[test]
fn a_group_that_becomes_a_supergroup_keeps_its_session_its_rules_and_its_messages() {
    let mut driver = driver("groupPolicy: 'open', groups: {'-5': {}}");
    let group = |id: &str| Chat {
        place: Place {
            chat: id.into(),
            thread: None,
        },
        is_group: true,
        title: None,
    };
    driver.service.write_in(group("-5"), "7", "one", true);
    driver.settle();
    assert_eq!(driver.service.sent_to("-5").len(), 1);
    driver.service.move_chat("-5", "-1005");
    driver.service.write_in(group("-1005"), "7", "two", true);
    driver.settle();
    let mut driver = driver.crash(0);
    driver.service.write_in(group("-1005"), "7", "three", true);
    driver.settle();
    assert_eq!(driver.service.sent_to("-1005").len(), 2);
    assert_eq!(driver.service.sent_to("-5").len(), 1);
    let sessions = driver.store.state().sessions();
    let key = "agent:main:telegram:group:-5";
    assert_eq!(sessions.keys().map(|it| &**it).collect::<Vec<_>>(), [key]);
    let operator = driver.operator();
    // What an operator sends to the old id arrives as well.
    driver.ok(
        operator,
        "send",
        json!({"to": "-5", "message": "x", "idempotencyKey": "k"}),
    );
    assert_eq!(driver.service.sent_to("-1005").len(), 3);
    // Another group is as unknown as before.
    driver.service.write_in(group("-6"), "7", "hi", true);
    driver.settle();
    assert!(driver.service.sent_to("-6").is_empty());
}

#[test]
fn a_service_that_names_a_time_is_left_alone_until_then() {
    let mut driver = open();
    driver.service.held = true;
    driver.service.write("7", "hi");
    serve_until_sending(&mut driver);
    driver.serve_next(Fate::Busy);
    driver.service.held = false;
    driver.advance(29_000);
    assert!(driver.service.sent_to("7").is_empty());
    driver.advance(2_000);
    assert_eq!(driver.service.sent_to("7").len(), 1);
}
