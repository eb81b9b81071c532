use crate::agent::{ModelRef, Speaker, Step, StepEvent, StopReason, ToolCall, Usage};
use crate::driver::{Driver, Options, Steps};
use crate::ids::ConnId;
use crate::limits::{STEP_CALLS_MAX, TOOL_DEADLINE_MS, TOOL_ROUNDS_MAX};
use crate::state::RunState;
use serde_json::{Value, json};

struct World {
    driver: Driver,
    operator: ConnId,
}

/// Two sessions, the first of which has a run with an open step.
fn start(verbose: &str) -> (World, Box<Step>) {
    let mut driver = Driver::new(Options {
        steps: Steps::Held,
        ..Options::default()
    });
    let operator = driver.operator();
    for key in ["main", "agent:main:other"] {
        let patch = json!({"key": key, "verboseLevel": verbose});
        driver.ok(operator, "sessions.patch", patch);
    }
    let mut world = World { driver, operator };
    let step = world.send("go", "k");
    (world, step)
}

impl World {
    fn send(&mut self, message: &str, key: &str) -> Box<Step> {
        let params = json!({"sessionKey": "main", "message": message, "idempotencyKey": key});
        self.driver.ok(self.operator, "chat.send", params);
        self.driver.steps.pop_front().expect("a step")
    }

    /// The step ends by asking for tools.
    fn asks(&mut self, step: &Step, calls: &[(&str, Value)]) {
        let calls = calls.iter().enumerate().map(|(at, (name, arguments))| {
            let arguments = match arguments {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            ToolCall {
                id: format!("call_{at}").into(),
                name: (*name).into(),
                arguments: arguments.into(),
            }
        });
        self.done(step, "", calls.collect());
        self.driver.settle();
    }

    fn answers(&mut self, step: &Step, text: &str) {
        self.done(step, text, Vec::new());
        self.driver.settle();
    }

    fn done(&mut self, step: &Step, text: &str, calls: Vec<ToolCall>) {
        let usage = Usage {
            input: 10,
            output: 1,
            ..Usage::default()
        };
        let event = StepEvent::Done {
            text: text.into(),
            stop_reason: StopReason::Stop,
            calls,
            usage,
            model: ModelRef::new("builtin", "clawdia"),
        };
        self.driver.step(step.tag, event);
    }

    fn next_step(&mut self) -> Box<Step> {
        self.driver.steps.pop_front().expect("a next step")
    }

    fn history(&mut self, key: &str) -> Vec<Value> {
        let history = self
            .driver
            .ok(self.operator, "chat.history", json!({"sessionKey": key}));
        history["messages"].as_array().unwrap().clone()
    }

    /// Stream or state, phase and number of the run's events.
    fn events(&mut self) -> Vec<String> {
        let messages = self.driver.messages(self.operator);
        let word = |message: &Value| {
            let payload = &message["payload"];
            let word = payload["stream"].as_str().or(payload["state"].as_str())?;
            let phase = payload["data"]["phase"].as_str().unwrap_or("");
            Some(format!("{word} {phase} {}", payload["seq"]))
        };
        messages.iter().filter_map(word).collect()
    }

    fn run_state(&self) -> RunState {
        self.driver.store.state().runs().get("k").unwrap().state
    }
}

fn list() -> (&'static str, Value) {
    ("sessions", json!({"action": "list"}))
}

fn history() -> (&'static str, Value) {
    (
        "sessions",
        json!({"action": "history", "session": "agent:main:other"}),
    )
}

fn give() -> (&'static str, Value) {
    let arguments = json!({"action": "send", "session": "agent:main:other", "message": "hi there"});
    ("sessions", arguments)
}

fn speakers(step: &Step) -> Vec<&'static str> {
    let word = |speaker: &Speaker| match speaker {
        Speaker::User => "user",
        Speaker::System => "system",
        Speaker::Assistant { .. } => "assistant",
        Speaker::Tool(answered) if answered.is_error => "error",
        Speaker::Tool(_) => "tool",
    };
    step.messages.iter().map(|it| word(&it.speaker)).collect()
}

#[test]
fn the_next_step_reads_what_its_tools_found_and_the_transcript_shows_it() {
    let (mut world, step) = start("off");
    assert!(!step.tools.is_empty());
    world.asks(&step, &[list(), history()]);
    let step = world.next_step();
    assert_eq!(speakers(&step), ["user", "assistant", "tool", "tool"]);
    assert!(step.messages[2].text.contains("agent:main:other"));
    world.answers(&step, "two sessions");
    let rows = world.history("main");
    let roles: Vec<&str> = rows
        .iter()
        .map(|row| row["role"].as_str().unwrap())
        .collect();
    assert_eq!(
        roles,
        ["user", "assistant", "toolResult", "toolResult", "assistant"]
    );
    assert_eq!(rows[1]["stopReason"], "toolUse");
    let call = &rows[1]["content"][0];
    assert_eq!(
        (&call["type"], &call["arguments"]["action"]),
        (&json!("toolCall"), &json!("list"))
    );
    assert_eq!(rows[2]["toolCallId"], "call_0");
    assert_eq!(rows[2]["toolName"], "sessions");
    assert_eq!(rows[2]["isError"], false);
    assert_eq!(rows[4]["content"][0]["text"], "two sessions");
    let session = world.driver.store.state().sessions().get("agent:main:main");
    let session = session.unwrap();
    assert_eq!((session.input_tokens, session.output_tokens), (20, 2));
}

#[test]
fn tool_events_are_for_verbose_sessions_and_use_up_numbers_in_all() {
    for (verbose, shown) in [("off", false), ("on", true)] {
        let (mut world, step) = start(verbose);
        world.asks(&step, &[list(), history()]);
        let step = world.next_step();
        world.answers(&step, "done");
        let mut expected = vec!["lifecycle start 1"];
        if shown {
            expected.extend([
                "tool start 2",
                "tool result 3",
                "tool start 4",
                "tool result 5",
            ]);
        }
        expected.extend(["lifecycle end 6", "final  6"]);
        assert_eq!(world.events(), expected, "{verbose}");
    }
}

#[test]
fn nothing_acts_before_it_is_stored_that_it_will() {
    let (mut world, step) = start("off");
    world.driver.store.held = true;
    world.asks(&step, &[give()]);
    assert_eq!(world.driver.store.waiting_len(), 1);
    let is_open = |world: &World| {
        let runs = world.driver.store.state().runs();
        runs.get("k").unwrap().open_step_has_side_effect
    };
    world.driver.release();
    assert!(is_open(&world), "the flag comes first");
    assert!(
        !world
            .driver
            .store
            .state()
            .runs()
            .iter()
            .any(|run| *run.session_key == *"agent:main:other")
    );
    world.driver.store.held = false;
    world.driver.settle();
    assert!(!is_open(&world), "and goes with the results");
    let runs = world.driver.steps.len();
    assert_eq!(runs, 2, "the other session's run, and this one's next step");
}

#[test]
fn whenever_the_process_dies_no_tool_acts_twice_and_every_run_ends_once() {
    let mut ends = Vec::new();
    // Batches are taken to the disk one by one; the process dies behind each of them.
    for deaths_at in 0..8 {
        let (mut world, step) = start("off");
        world.driver.store.held = true;
        world.asks(&step, &[give(), list()]);
        for _ in 0..deaths_at {
            world.driver.release();
            world.driver.settle();
        }
        for committed in [1, 0] {
            world.driver = world.driver.crash(committed);
            world.driver.settle();
        }
        world.operator = world.driver.operator();
        while let Some(step) = world.driver.steps.pop_front() {
            let asks_again =
                speakers(&step).last() == Some(&"user") && *step.session_key == *"agent:main:main";
            match asks_again {
                true => world.asks(&step, &[give(), list()]),
                false => world.answers(&step, "done"),
            }
        }
        let given = world.history("agent:main:other");
        let given = given.iter().filter(|row| row["role"] == "user").count();
        let state = world.run_state();
        match state {
            RunState::Ok => assert_eq!(given, 1, "{deaths_at}"),
            RunState::Interrupted => assert!(given <= 1, "{deaths_at}"),
            other => panic!("{deaths_at}: {other:?}"),
        }
        let last = world.history("main");
        let is_answer = |row: &&Value| row["role"] == "assistant" && row["stopReason"] != "toolUse";
        assert_eq!(last.iter().filter(is_answer).count(), 1, "{deaths_at}");
        ends.push((state, given));
    }
    for met in [
        (RunState::Ok, 1),
        (RunState::Interrupted, 0),
        (RunState::Interrupted, 1),
    ] {
        assert!(ends.contains(&met), "{met:?} is never met: {ends:?}");
    }
}

#[test]
fn a_run_whose_tools_only_read_goes_on_after_a_crash() {
    let (mut world, step) = start("off");
    world.driver.store.held = true;
    world.asks(&step, &[history()]);
    world.driver = world.driver.crash(0);
    let again = world.next_step();
    assert_eq!(speakers(&again), ["user"]);
    world.asks(&again, &[history()]);
    world.driver = world.driver.crash(0);
    let next = world.next_step();
    assert_eq!(speakers(&next), ["user", "assistant", "tool"]);
}

#[test]
fn an_abort_answers_at_once_and_a_late_result_is_dropped() {
    let (mut world, step) = start("off");
    world.driver.store.held = true;
    world.asks(&step, &[history()]);
    let abort = json!({"sessionKey": "main"});
    let aborted = world.driver.ok(world.operator, "chat.abort", abort);
    assert_eq!(aborted["runIds"], json!(["k"]));
    assert!(world.events().contains(&"aborted  3".to_owned()));
    world.driver.store.held = false;
    world.driver.settle();
    assert_eq!(world.run_state(), RunState::Aborted);
    assert!(world.driver.steps.is_empty());
    let next = world.send("and now", "k2");
    assert_eq!(speakers(&next), ["user", "user"]);
}

#[test]
fn an_acting_tool_that_was_aborted_leaves_a_call_that_the_next_run_reads_as_unanswered() {
    let (mut world, step) = start("off");
    world.driver.store.held = true;
    world.asks(&step, &[give()]);
    world.driver.release();
    world
        .driver
        .ok(world.operator, "chat.abort", json!({"sessionKey": "main"}));
    world.driver.store.held = false;
    world.driver.settle();
    world.driver.steps.clear();
    let next = world.send("what happened?", "k2");
    assert_eq!(speakers(&next), ["user", "assistant", "error", "user"]);
}

#[test]
fn runs_of_one_session_do_not_overlap_while_tools_are_at_work() {
    let (mut world, step) = start("off");
    world.driver.store.held = true;
    world.asks(&step, &[history()]);
    world.driver.store.held = false;
    let second = json!({"sessionKey": "main", "message": "next", "idempotencyKey": "k2"});
    world.driver.ok(world.operator, "chat.send", second);
    let step = world.next_step();
    assert!(world.driver.steps.is_empty(), "the second waits");
    assert_eq!(speakers(&step), ["user", "assistant", "tool"]);
    world.answers(&step, "first answer");
    let step = world.next_step();
    assert_eq!(
        speakers(&step),
        ["user", "assistant", "tool", "assistant", "user"]
    );
    assert_eq!(&*step.messages[4].text, "next");
}

#[test]
fn a_tool_that_takes_too_long_fails_alone() {
    let (mut world, step) = start("off");
    world.driver.store.held = true;
    world.asks(&step, &[history(), list()]);
    world.driver.advance(TOOL_DEADLINE_MS);
    // The answer comes all the same, too late.
    world.driver.store.held = false;
    world.driver.settle();
    let step = world.next_step();
    assert_eq!(speakers(&step), ["user", "assistant", "error", "tool"]);
    assert!(step.messages[2].text.contains("took too long"));
}

#[test]
fn what_a_model_gets_wrong_is_told_to_it() {
    let (mut world, step) = start("off");
    world.asks(
        &step,
        &[
            ("no_such", json!({})),
            ("sessions", json!("{\"action\": ")),
            ("sessions", json!("[1]")),
            ("sessions", json!({"action": "dance"})),
            ("sessions", json!({"action": "history", "session": "nope"})),
            (
                "sessions",
                json!({"action": "send", "session": "main", "message": "x"}),
            ),
            ("sessions", json!("")),
        ],
    );
    let step = world.next_step();
    let texts: Vec<&str> = step.messages[2..].iter().map(|it| &*it.text).collect();
    for (text, expected) in texts.iter().zip([
        "there is no tool \"no_such\"; there are: ",
        "the arguments are no JSON object: ",
        "the arguments are no JSON object: not an object",
        "there is no action \"dance\"; there are: list, history, send",
        "there is no session \"nope\"",
        "that is this session",
        "the argument \"action\" is missing",
    ]) {
        assert!(text.starts_with(expected), "{text}");
    }
    assert!(speakers(&step)[2..].iter().all(|word| *word == "error"));
}

#[test]
fn a_model_that_never_stops_asking_is_stopped() {
    let (mut world, mut step) = start("off");
    for _ in 0..TOOL_ROUNDS_MAX {
        world.asks(&step, &[list()]);
        step = world.next_step();
        assert_eq!(
            &*step.messages[0].text, "go",
            "its own message stays in sight"
        );
    }
    world.asks(&step, &[list()]);
    assert!(world.driver.steps.is_empty());
    assert_eq!(world.run_state(), RunState::Error);
    let (mut world, step) = start("off");
    let many: Vec<_> = (0..STEP_CALLS_MAX + 1).map(|_| list()).collect();
    world.asks(&step, &many);
    let step = world.next_step();
    let failed = speakers(&step).iter().filter(|it| **it == "error").count();
    assert_eq!(failed, 1);
}

#[test]
fn a_full_disk_fails_the_run_before_anything_acts() {
    let (mut world, step) = start("off");
    world.driver.store.failing = 1;
    world.asks(&step, &[give()]);
    assert_eq!(world.run_state(), RunState::Error);
    assert!(world.history("agent:main:other").is_empty());
}

#[test]
fn the_gateway_ends_only_when_what_acts_has_its_result() {
    let (mut world, step) = start("off");
    world.driver.store.held = true;
    world.asks(&step, &[give()]);
    let reason = "service restart";
    world
        .driver
        .handle(crate::gateway::Input::Shutdown { reason });
    world.driver.settle();
    assert!(!world.driver.exited);
    world.driver.store.held = false;
    world.driver.settle();
    assert!(world.driver.exited);
    let mut driver = world.driver.crash(0);
    let steps: Vec<_> = driver.steps.drain(..).collect();
    let mine = steps
        .iter()
        .find(|step| *step.session_key == *"agent:main:main");
    assert_eq!(speakers(mine.unwrap()), ["user", "assistant", "tool"]);
}
