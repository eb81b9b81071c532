use crate::agent::{
    Act, Acted, Ended, Found, ModelRef, Order, Printed, Step, StepEvent, StopReason, ToolCall,
    Usage,
};
use crate::driver::{Driver, Options, Steps};
use crate::ids::ConnId;
use crate::limits::{PROCESSES_MAX, TOOL_APPROVAL_MS};
use serde_json::{Value, json};

/// A gateway whose agent is answered step by step.
struct World {
    driver: Driver,
    operator: ConnId,
    sent: u64,
}

/// A gateway whose owner stored this about commands.
fn start(approvals: Option<Value>) -> World {
    let mut driver = Driver::new(Options {
        steps: Steps::Held,
        ..Options::default()
    });
    let operator = driver.operator();
    if let Some(defaults) = approvals {
        let base = driver.ok(operator, "exec.approvals.get", json!({}));
        let file = json!({"version": 1, "defaults": defaults, "agents": {}});
        let params = json!({"file": file, "baseHash": base["hash"]});
        driver.ok(operator, "exec.approvals.set", params);
    }
    World {
        driver,
        operator,
        sent: 0,
    }
}

impl World {
    fn step(&mut self) -> Box<Step> {
        self.driver.settle();
        self.driver.steps.pop_front().expect("a step")
    }

    /// The agent asks for tools, in a run of its own unless one waits for its next step.
    fn asks(&mut self, calls: &[(&str, Value)]) {
        self.driver.settle();
        if self.driver.steps.is_empty() {
            self.sent += 1;
            let key = format!("k{}", self.sent);
            let params = json!({"sessionKey": "main", "message": "go", "idempotencyKey": key});
            self.driver.ok(self.operator, "chat.send", params);
        }
        let step = self.step();
        let call = |(at, (name, arguments)): (usize, &(&str, Value))| ToolCall {
            id: format!("c{at}").into(),
            name: (*name).into(),
            arguments: arguments.to_string().into(),
        };
        let event = StepEvent::Done {
            text: String::new(),
            calls: calls.iter().enumerate().map(call).collect(),
            usage: Usage::default(),
            stop_reason: StopReason::ToolUse,
            model: ModelRef::new("m", "m"),
        };
        self.driver.step(step.tag, event);
        self.driver.settle();
    }

    /// What is to be done on the machine.
    fn act(&mut self) -> (u64, Act) {
        self.driver.settle();
        self.driver.acts.pop_front().expect("something to do")
    }

    /// All programs are in `/usr/bin`.
    fn finds(&mut self) {
        let (ticket, act) = self.act();
        let Act::Find(find) = act else {
            panic!("{act:?}");
        };
        let path = |name: String| (name.clone(), format!("/usr/bin/{name}"));
        let found = Found {
            folder: find.workspace,
            home: None,
            programs: find.programs.into_iter().map(path).collect(),
            links: Vec::new(),
        };
        self.driver.acted(ticket, Acted::Found(found));
        self.driver.settle();
    }

    fn order(&mut self) -> (u64, Order) {
        match self.act() {
            (ticket, Act::Run(order)) => (ticket, *order),
            other => panic!("{other:?}"),
        }
    }

    fn ends(&mut self, ticket: u64, code: i32, out: &str) {
        let ended = Ended {
            exit_code: Some(code),
            printed: Printed {
                stdout: out.into(),
                stderr: String::new(),
            },
            ..Ended::default()
        };
        self.driver.acted(ticket, Acted::Ended(ended));
    }

    /// The last result of a tool, as the model reads it.
    fn result(&mut self) -> String {
        let step = self.step();
        let text = step.messages.last().expect("a result").text.to_string();
        self.driver.steps.push_front(step);
        text
    }

    fn json(&mut self) -> Value {
        serde_json::from_str(&self.result()).expect("JSON")
    }
}

fn full() -> Option<Value> {
    Some(json!({"security": "full", "ask": "off"}))
}

#[test]
fn nothing_runs_where_nothing_is_stored_or_security_is_deny() {
    for approvals in [None, Some(json!({"security": "deny", "ask": "off"}))] {
        let mut world = start(approvals);
        world.asks(&[("exec", json!({"command": ["uptime"]}))]);
        world.finds();
        let result = world.result();
        assert!(result.contains("runs no commands"), "{result}");
        assert!(result.contains("clawdia approvals"), "{result}");
        assert!(world.driver.acts.is_empty(), "nothing may be started");
    }
}

#[test]
fn a_command_that_is_allowed_runs_as_the_program_that_was_found() {
    let mut world = start(full());
    let arguments = json!({"command": ["uptime", "-p"], "env": {"A": "1"}, "timeoutMs": 5_000});
    world.asks(&[("exec", arguments)]);
    world.finds();
    let (ticket, order) = world.order();
    assert_eq!(order.program, "/usr/bin/uptime");
    assert_eq!(order.argv, ["uptime", "-p"]);
    assert_eq!(order.folder, "/state/workspace");
    assert_eq!((order.timeout_ms, &*order.env["A"]), (5_000, "1"));
    world.ends(ticket, 3, "up\n");
    assert_eq!(world.json(), json!({"exitCode": 3, "stdout": "up\n"}));
}

#[test]
fn a_person_decides_about_the_very_command_and_always_is_stored_before_it_runs() {
    for (decision, runs) in [
        (Some("allow-once"), true),
        (Some("allow-always"), true),
        (Some("deny"), false),
        (None, false),
    ] {
        let mut world = start(Some(json!({"security": "allowlist", "ask": "on-miss"})));
        world.asks(&[("exec", json!({"command": ["rm", "-r", "old things"]}))]);
        world.finds();
        assert!(world.driver.acts.is_empty(), "it waits");
        let asked = world
            .driver
            .events(world.operator, "exec.approval.requested");
        let request = &asked[0]["request"];
        assert_eq!(request["command"], "rm -r 'old things'");
        assert_eq!(request["host"], "gateway");
        assert_eq!(request["cwd"], "/state/workspace");
        assert_eq!(request["resolvedPath"], "/usr/bin/rm");
        match decision {
            Some(word) => {
                let params = json!({"id": asked[0]["id"], "decision": word});
                world
                    .driver
                    .ok(world.operator, "exec.approval.resolve", params);
            }
            None => world.driver.advance(TOOL_APPROVAL_MS),
        }
        world.driver.settle();
        assert_eq!(world.driver.acts.len(), usize::from(runs), "{decision:?}");
        let file = world
            .driver
            .ok(world.operator, "exec.approvals.get", json!({}));
        let is_stored = file["file"]["agents"]["main"]["allowlist"][0]["pattern"] == "/usr/bin/rm";
        assert_eq!(is_stored, decision == Some("allow-always"));
        if runs {
            let (ticket, _) = world.order();
            world.ends(ticket, 0, "");
            assert_eq!(world.json()["exitCode"], 0);
        } else {
            let result = world.result();
            assert!(
                result.contains("said no") || result.contains("nobody approved"),
                "{result}"
            );
        }
    }
}

#[test]
fn an_abort_ends_what_waits_and_what_runs() {
    let mut world = start(Some(json!({"security": "allowlist", "ask": "always"})));
    world.asks(&[("exec", json!({"shell": "ls | wc"}))]);
    world.finds();
    world
        .driver
        .ok(world.operator, "chat.abort", json!({"sessionKey": "main"}));
    world.driver.settle();
    let list = world
        .driver
        .ok(world.operator, "exec.approval.list", json!({}));
    assert_eq!(list["pending"].as_array().map(Vec::len), Some(0), "{list}");
    assert!(world.driver.acts.is_empty());

    let mut world = start(full());
    world.asks(&[("exec", json!({"shell": "sleep 600"}))]);
    world.finds();
    assert_eq!(world.driver.acts.len(), 1);
    world
        .driver
        .ok(world.operator, "chat.abort", json!({"sessionKey": "main"}));
    assert!(
        world
            .driver
            .cancels
            .iter()
            .any(|token| token.is_cancelled())
    );
}

#[test]
fn a_command_in_the_background_is_listed_polled_and_killed_by_its_own_session() {
    let mut world = start(full());
    world.asks(&[("exec", json!({"command": ["make"], "background": true}))]);
    world.finds();
    let (ticket, order) = world.order();
    assert_eq!(order.timeout_ms, crate::limits::TOOL_BACKGROUND_MS);
    let begun = world.json();
    assert_eq!(begun["running"], true);
    let id = begun["process"].clone();
    let printed = Printed {
        stdout: "step 1\n".into(),
        stderr: "hm\n".into(),
    };
    world.driver.acted(ticket, Acted::Printed(printed));
    world.asks(&[("process", json!({"action": "poll", "process": id}))]);
    let polled = world.json();
    assert_eq!(
        (&polled["stdout"], &polled["stderr"]),
        (&json!("step 1\n"), &json!("hm\n"))
    );
    world.asks(&[(
        "process",
        json!({"action": "poll", "process": id, "waitMs": 1_000}),
    )]);
    world.driver.advance(1_000);
    assert_eq!(world.json()["running"], true);
    world.asks(&[("process", json!({"action": "kill", "process": id}))]);
    let ended = Ended {
        stopped: true,
        ..Ended::default()
    };
    world.driver.acted(ticket, Acted::Ended(ended));
    assert_eq!(world.json(), json!({"killed": true}));
    world.asks(&[("process", json!({"action": "list"}))]);
    let list = world.json();
    assert_eq!(list["processes"][0]["running"], false);
    world.asks(&[("process", json!({"action": "poll", "process": "00000000"}))]);
    assert!(world.result().contains("there is no process"));
}

#[test]
fn no_more_commands_run_than_may() {
    let mut world = start(full());
    const AT_ONCE: usize = 8;
    for _ in 0..PROCESSES_MAX / AT_ONCE {
        let call = ("exec", json!({"command": ["make"], "background": true}));
        world.asks(&vec![call; AT_ONCE]);
        (0..AT_ONCE).for_each(|_| world.finds());
        (0..AT_ONCE).for_each(|_| drop(world.order()));
    }
    world.asks(&[("exec", json!({"command": ["make"]}))]);
    assert!(world.result().contains("commands run already"));
    assert!(world.driver.acts.is_empty());
}

#[test]
fn a_tool_that_the_configuration_denies_does_not_exist() {
    let mut world = start(full());
    world.driver = Driver::new(Options {
        config: "{tools: {deny: ['group:runtime']}, agents: {list: [{id: 'main', tools: \
                 {deny: ['write']}}]}}"
            .into(),
        steps: Steps::Held,
        ..Options::default()
    });
    world.operator = world.driver.operator();
    world.asks(&[
        ("exec", json!({"command": ["uptime"]})),
        ("write", json!({})),
    ]);
    let step = world.step();
    let names: Vec<&str> = step.tools.iter().map(|tool| &*tool.name).collect();
    assert!(names.contains(&"read") && !names.contains(&"exec") && !names.contains(&"write"));
    let results: Vec<&str> = step
        .messages
        .iter()
        .rev()
        .take(2)
        .map(|it| &*it.text)
        .collect();
    assert!(
        results
            .iter()
            .all(|text| text.starts_with("there is no tool")),
        "{results:?}"
    );
    assert!(world.driver.acts.is_empty());
}

#[test]
fn the_prompt_says_what_the_workspace_says() {
    let mut world = start(None);
    world.driver.notes.insert("SOUL.md", "Be a pirate.".into());
    let params = json!({"sessionKey": "main", "message": "hi", "idempotencyKey": "k"});
    world.driver.ok(world.operator, "chat.send", params);
    let prompt = world.step().system_prompt;
    assert!(prompt.contains("\n# SOUL.md\n\nBe a pirate.\n"), "{prompt}");
    assert!(
        prompt.contains("Your workspace: /state/workspace"),
        "{prompt}"
    );
}
