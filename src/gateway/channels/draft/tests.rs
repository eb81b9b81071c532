//! What of an answer is shown while it is being written, and what a crash leaves of it.

use crate::agent::{ModelRef, Step, StepEvent, StopReason, Usage};
use crate::driver::{Driver, Fate, Options, Steps};
use crate::limits::DRAFT_FAULTS_MAX;

const START: &str = "A first part of an answer that is long enough.";
const WHOLE: &str = "A first part of an answer that is long enough.\n\nAnd the rest.";

fn driver(settings: &str) -> Driver {
    let account = format!("botToken: '1:a', allowFrom: ['7'], {settings}");
    let mut driver = Driver::new(Options {
        config: format!("{{ channels: {{ telegram: {{ {account} }} }} }}"),
        steps: Steps::Held,
        ..Options::default()
    });
    driver.service.write("7", "hi");
    driver.settle();
    driver
}

fn says(driver: &mut Driver, step: &Step, delta: &str) {
    driver.step(step.tag, StepEvent::Delta(delta.into()));
    // What is due at once is due when the time is looked at.
    driver.advance(1);
    driver.settle();
}

fn ends(driver: &mut Driver, step: &Step, text: &str) {
    let event = StepEvent::Done {
        text: text.into(),
        calls: Vec::new(),
        usage: Usage::default(),
        stop_reason: StopReason::Stop,
        model: ModelRef::new("m", "m"),
    };
    driver.step(step.tag, event);
    driver.settle();
}

fn step(driver: &mut Driver) -> Box<Step> {
    driver.steps.pop_front().expect("a step")
}

fn rows(driver: &Driver) -> Vec<(bool, &'static str)> {
    let rows = driver.store.state().outgoing().iter();
    rows.map(|row| (row.is_draft, row.state.as_str())).collect()
}

#[test]
fn an_answer_grows_in_one_message_and_the_whole_takes_its_place() {
    let mut driver = driver("");
    let it = step(&mut driver);
    says(&mut driver, &it, "A first part");
    assert!(driver.service.sent.is_empty(), "too short for a noise");
    says(&mut driver, &it, &START["A first part".len()..]);
    assert_eq!(driver.service.sent_to("7"), [START]);
    assert_eq!(rows(&driver), [(true, "sending")]);
    for _ in 0..10 {
        says(&mut driver, &it, " More.");
    }
    assert_eq!(driver.service.edits, 0, "not as often as text comes");
    driver.advance(1_500);
    driver.settle();
    assert_eq!(driver.service.edits, 1);
    assert!(driver.service.sent_to("7")[0].ends_with("More. More."));
    ends(&mut driver, &it, WHOLE);
    assert_eq!(driver.service.sent_to("7"), [WHOLE]);
    assert!(rows(&driver).is_empty());
}

#[test]
fn it_comes_whole_where_that_is_wanted_and_by_paragraphs() {
    for (mode, drafts) in [("off", 0), ("block", 1)] {
        let mut driver = driver(&format!("streamMode: '{mode}'"));
        let it = step(&mut driver);
        says(&mut driver, &it, START);
        assert!(driver.service.sent.is_empty(), "{mode}");
        says(&mut driver, &it, "\n\nAnd the");
        assert_eq!(driver.service.sent.len(), drafts, "{mode}");
        assert!(driver.service.sent.iter().all(|it| *it.text == *START));
        ends(&mut driver, &it, WHOLE);
        assert_eq!(driver.service.sent_to("7"), [WHOLE]);
    }
}

#[test]
fn an_answer_waits_for_the_fate_of_its_draft() {
    for (fate, sent, left) in [
        (Fate::Done, vec![WHOLE], 0),
        (Fate::NotDone, vec![WHOLE], 0),
        (Fate::Busy, vec![WHOLE], 0),
        (Fate::AnswerLost, vec![START], 1),
    ] {
        let mut driver = driver("");
        let it = step(&mut driver);
        driver.service.held = true;
        says(&mut driver, &it, START);
        ends(&mut driver, &it, WHOLE);
        assert_eq!(rows(&driver), [(true, "sending"), (false, "waiting")]);
        serve_until_message(&mut driver);
        driver.serve_next(fate);
        driver.service.held = false;
        driver.settle();
        driver.advance(60_000);
        assert_eq!(driver.service.sent_to("7"), sent, "{fate:?}");
        assert_eq!(rows(&driver).len(), left, "{fate:?}");
        let told = driver.store.all_messages();
        let told = told.filter(|it| it.message.body.contains("unknown whether"));
        assert_eq!(told.count(), left, "{fate:?}");
    }
}

/// Until the next order is a message or a change of one.
fn serve_until_message(driver: &mut Driver) {
    driver.settle();
    while driver.service.next_is_no_message() {
        driver.serve_next(Fate::Done);
        driver.settle();
    }
}

#[test]
fn a_crash_leaves_the_draft_turned_into_the_answer_or_unknown() {
    for (settings, is_confirmed, sent, left) in [
        // The draft arrived, and the process died before it knew its id.
        ("", false, vec![START], 1),
        ("resendUnknown: true,", false, vec![START, WHOLE], 0),
        ("", true, vec![WHOLE], 0),
    ] {
        let mut driver = driver(settings);
        let it = step(&mut driver);
        driver.service.held = true;
        says(&mut driver, &it, START);
        serve_until_message(&mut driver);
        driver.store.held = !is_confirmed;
        driver.serve_next(Fate::Done);
        if is_confirmed {
            driver.settle();
        }
        let mut driver = driver.crash(0);
        driver.service.held = false;
        driver.settle();
        let it = step(&mut driver);
        says(&mut driver, &it, "Another beginning of the same answer.");
        driver.advance(2_000);
        driver.settle();
        assert_eq!(driver.service.sent.len(), 1, "no second draft");
        ends(&mut driver, &it, WHOLE);
        driver.advance(10_000);
        assert_eq!(driver.service.sent_to("7"), sent, "{settings}");
        assert_eq!(rows(&driver).len(), left, "{settings}");
    }
}

#[test]
fn a_crash_while_the_answer_takes_the_place_of_its_draft_repeats_that() {
    for is_killed in [false, true] {
        let mut driver = driver("");
        let it = step(&mut driver);
        says(&mut driver, &it, START);
        driver.service.held = true;
        ends(&mut driver, &it, WHOLE);
        serve_until_message(&mut driver);
        assert_eq!(rows(&driver), [(true, "sending"), (false, "sending")]);
        driver.serve_next(Fate::AnswerLost);
        if is_killed {
            driver = driver.crash(0);
        }
        driver.service.held = false;
        driver.settle();
        driver.advance(10_000);
        assert_eq!(driver.service.sent_to("7"), [WHOLE]);
        assert!(rows(&driver).is_empty());
    }
}

#[test]
fn an_answer_whose_draft_somebody_took_away_is_a_message_of_its_own() {
    let mut driver = driver("");
    let it = step(&mut driver);
    says(&mut driver, &it, START);
    driver.service.deleted.push("1".into());
    ends(&mut driver, &it, WHOLE);
    assert_eq!(driver.service.sent_to("7"), [START, WHOLE]);
    assert!(rows(&driver).is_empty());
}

#[test]
fn who_must_wait_is_not_asked_and_what_fails_often_is_left() {
    let mut driver = driver("");
    let it = step(&mut driver);
    driver.service.held = true;
    for _ in 0..DRAFT_FAULTS_MAX {
        says(&mut driver, &it, START);
        serve_until_message(&mut driver);
        driver.serve_next(Fate::Busy);
        says(&mut driver, &it, "More.");
        driver.advance(25_000);
        driver.settle();
        while driver.service.next_is_no_message() {
            driver.serve_next(Fate::Done);
        }
        assert!(!driver.has_orders(), "half a minute is not over");
        driver.advance(10_000);
    }
    says(&mut driver, &it, START);
    driver.service.held = false;
    driver.settle();
    assert!(driver.service.sent.is_empty());
    ends(&mut driver, &it, WHOLE);
    assert_eq!(driver.service.sent_to("7"), [WHOLE]);
}

#[test]
fn a_run_that_is_stopped_leaves_what_was_shown_and_no_row() {
    let mut driver = driver("");
    let it = step(&mut driver);
    says(&mut driver, &it, START);
    driver.service.write("7", "stop");
    driver.settle();
    assert_eq!(driver.service.sent_to("7"), [START, "Stopped."]);
    assert!(rows(&driver).is_empty());
    assert!(it.cancel.is_cancelled());
}
