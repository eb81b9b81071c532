//! The program `load` against servers of the wire layer, in a hurry.

use std::process::{Command, Output};

use serde_json::Value;

fn load(words: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_load"))
        .args(words.split(' '))
        .output()
        .unwrap()
}

/// The figures that it prints as JSON, by name.
fn figures(words: &str) -> Vec<(String, f64)> {
    let output = load(&format!("--json {words}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words}: {said}");
    let lines = String::from_utf8(output.stdout).unwrap();
    let figure = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        (
            line["what"].as_str().unwrap().to_owned(),
            line["value"].as_f64().unwrap(),
        )
    };
    lines.lines().map(figure).collect()
}

#[track_caller]
fn value(figures: &[(String, f64)], what: &str) -> f64 {
    let found = figures.iter().find(|(name, _)| name == what);
    found
        .unwrap_or_else(|| panic!("no {what} in {figures:?}"))
        .1
}

#[test]
fn an_echo_has_a_price_and_a_rate() {
    let told = figures("echo --connections 4 --in-flight 2 --messages 400");
    assert!(value(&told, "echo: a second") > 0.0);
    assert!(value(&told, "echo: CPU of the server") > 0.0);
    assert!((0.0..=100.0).contains(&value(&told, "the generator was asleep")));
}

#[test]
fn deliveries_come_at_the_rate_that_they_are_published_with() {
    let told = figures("broadcast --connections 5 --messages 20 --rate 200 --numbered");
    // Five receivers of two hundred a second; a machine that is busy may be late, and none is early.
    let rate = value(&told, "delivery: a second");
    assert!(rate < 1_100.0, "{rate}");
    assert!(value(&told, "publish to delivery: p50") <= value(&told, "publish to delivery: p99"));
}

#[test]
fn who_comes_and_who_stays_is_measured() {
    let told = figures("connect --bare --times 20");
    assert!(value(&told, "connection: CPU of the server") > 0.0);
    let told = figures("idle --connections 100 --size 100");
    assert!(told[0].0.starts_with("100 idle"), "{told:?}");
}

#[test]
fn what_cannot_be_is_said() {
    for (words, why) in [
        ("--at 1 rpc health", "--token-file"),
        ("--at 1 growth", "leave --at out"),
        ("--at 1 sessions", "leave --at out"),
        ("--syscalls --at 1 echo", "refused"),
        ("connect --bare --tls", "--bare is plain"),
        ("broadcast --floor --numbered", "no numbers"),
    ] {
        let output = load(words);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{words}");
        assert!(said.contains(why), "{words}: {said}");
    }
}
