use super::*;
use crate::limits::NODE_PROGRESS_UNDERWAY_MAX;
use crate::node::commands::ApprovalsPath;
use std::os::unix::net::UnixStream;

/// A node's folder with a policy in it, and what was told.
struct Node {
    dir: tempfile::TempDir,
    context: Context,
    _stop: UnixStream,
}

fn node(approvals: Value) -> Node {
    let dir = tempfile::tempdir().unwrap();
    if !approvals.is_null() {
        let path = dir.path().join("exec-approvals.json");
        std::fs::write(path, approvals.to_string()).unwrap();
    }
    let (write, read) = UnixStream::pair().unwrap();
    Node {
        context: Context {
            approvals: ApprovalsPath::new(dir.path()),
            home: Some(dir.path().canonicalize().unwrap()),
            browser: None,
            flow: Flow::default(),
            stop: read.into(),
        },
        dir,
        _stop: write,
    }
}

fn full() -> Value {
    json!({"version":1,"defaults":{"security":"full","ask":"off"},"agents":{}})
}

fn listed(patterns: &[&str], ask: &str) -> Value {
    let list: Vec<Value> = patterns.iter().map(|it| json!({"pattern": it})).collect();
    json!({"version":1,"defaults":{"security":"allowlist","ask":ask},
        "agents":{"main":{"allowlist":list}}})
}

impl Node {
    fn run(&self, params: Value) -> (Result<Value, Fault>, Vec<(&'static str, Value)>) {
        let mut told = Vec::new();
        let deadline = Instant::now() + Duration::from_secs(60);
        let done = run(
            &self.context,
            &params,
            Some(deadline),
            false,
            &mut |name, payload| {
                told.push((name, payload));
            },
        );
        (done, told)
    }

    /// Runs a shell text whose output is wanted as it comes; `hear` gets each piece.
    fn shown(&self, text: &str, hear: &mut dyn FnMut(&str)) -> Value {
        let deadline = Instant::now() + Duration::from_secs(60);
        let params = json!({"command": text});
        let mut tell = |name, payload: Value| {
            if name == PROGRESS {
                hear(payload.as_str().unwrap());
            }
        };
        run(&self.context, &params, Some(deadline), true, &mut tell).unwrap()
    }

    #[track_caller]
    fn denied(&self, params: Value, reason: &str, message: &str) {
        let (done, told) = self.run(params);
        let fault = done.unwrap_err();
        assert_eq!(fault.code, "UNAVAILABLE");
        assert!(fault.message.starts_with(message), "{fault:?}");
        assert_eq!(told.len(), 1);
        assert_eq!(
            (told[0].0, &told[0].1["reason"]),
            ("exec.denied", &json!(reason))
        );
    }
}

#[test]
fn without_a_file_nothing_runs_not_even_what_is_approved() {
    let node = node(Value::Null);
    for params in [
        json!({"command":["true"]}),
        json!({"command":["true"],"approved":true,"approvalDecision":"allow-always"}),
    ] {
        node.denied(
            params,
            "security=deny",
            "SYSTEM_RUN_DISABLED: security=deny",
        );
    }
    let damaged = super::tests::node(json!({"version":2}));
    let (done, told) = damaged.run(json!({"command":["true"]}));
    assert!(done.is_err() && told.is_empty());
}

#[test]
fn a_result_and_its_events_have_the_form_of_the_ecosystem() {
    let node = node(full());
    let (done, told) = node.run(json!({"command":["echo","hi-from-node"],
        "needsScreenRecording":false,"agentId":"main","approved":false,"runId":"r1"}));
    assert_eq!(
        done.unwrap().to_string(),
        r#"{"exitCode":0,"timedOut":false,"success":true,"stdout":"hi-from-node\n","stderr":"","error":null}"#
    );
    assert_eq!(told.len(), 2);
    assert_eq!(
        told[0],
        (
            "exec.started",
            json!({"sessionKey":"node","runId":"r1","host":"node","command":"echo hi-from-node"})
        )
    );
    assert_eq!(
        told[1],
        (
            "exec.finished",
            json!({"sessionKey":"node","runId":"r1","host":"node",
            "command":"echo hi-from-node","exitCode":0,"timedOut":false,"success":true,
            "output":"hi-from-node"})
        )
    );
}

#[test]
fn words_a_shell_text_and_a_raw_command_run() {
    let node = node(full());
    for params in [
        json!({"command":["/bin/sh","-lc","echo $((1+1))"],"rawCommand":"echo $((1+1))"}),
        json!({"command":"echo $((1+1))"}),
        json!({"rawCommand":"echo $((1+1))"}),
        json!({"command":["echo",2]}),
    ] {
        let (done, _) = node.run(params);
        assert_eq!(done.unwrap()["stdout"], "2\n");
    }
    for params in [
        json!({}),
        json!({"command":[]}),
        json!({"command":[["x"]]}),
        json!({"command":["rm","x"],"rawCommand":"ls"}),
        json!({"command":["true"],"cwd":"/no/such/folder"}),
        json!({"command":["true"],"env":{"LD_PRELOAD":"/tmp/x.so"}}),
    ] {
        let (done, told) = node.run(params.clone());
        assert_eq!(done.unwrap_err().code, "INVALID_REQUEST", "{params}");
        assert!(told.is_empty());
    }
}

#[test]
fn folder_variables_and_secrets() {
    let node = node(full());
    std::fs::create_dir(node.dir.path().join("sub")).unwrap();
    let script = "pwd; echo $GREETING";
    let (done, _) = node.run(json!({"command":script,"cwd":"sub","env":{"GREETING":"hello"}}));
    let out = done.unwrap()["stdout"].as_str().unwrap().to_owned();
    assert!(out.ends_with("/sub\nhello\n"), "{out}");
}

#[test]
fn what_a_pattern_matches_runs_and_the_rest_needs_a_person() {
    let sh = Environment::of_this_process();
    let echo = sh.find("echo", Path::new("/")).unwrap();
    let node = node(listed(&[echo.to_str().unwrap()], "on-miss"));
    let (done, _) = node.run(json!({"command":["echo","x"]}));
    assert_eq!(done.unwrap()["exitCode"], 0);
    let used = node.context.approvals.get().unwrap();
    let entry = &used["file"]["agents"]["main"]["allowlist"][0];
    assert_eq!(entry["lastUsedCommand"], "echo x");

    let other = json!({"command":["true"]});
    node.denied(
        other,
        "approval-required",
        "SYSTEM_RUN_DENIED: approval required",
    );
    let hidden = json!({"command":["/bin/sh","-lc","echo x; true"],"rawCommand":"echo x; true"});
    node.denied(
        hidden,
        "approval-required",
        "SYSTEM_RUN_DENIED: approval required",
    );
    let (done, _) = node.run(json!({"command":["true"],"approved":true}));
    assert_eq!(done.unwrap()["exitCode"], 0);
    let (done, _) = node.run(json!({"command":["true"],"approvalDecision":"deny"}));
    assert!(done.is_err());
}

#[test]
fn always_is_remembered_and_never_asking_is_a_denial() {
    let node = node(listed(&[], "on-miss"));
    let (done, _) = node.run(json!({"command":["true"],"approvalDecision":"allow-always"}));
    assert_eq!(done.unwrap()["exitCode"], 0);
    let (done, _) = node.run(json!({"command":["true"]}));
    assert_eq!(done.unwrap()["exitCode"], 0);

    // Nobody is asked about what is not there.
    let (done, told) = node.run(json!({"command":["no-such-program"]}));
    let error = done.unwrap()["error"].clone();
    assert_eq!(error, "no-such-program: not found on the node");
    assert!(
        told.iter().all(|(event, _)| *event != "exec.denied"),
        "{told:?}"
    );

    let silent = super::tests::node(listed(&[], "off"));
    silent.denied(
        json!({"command":["true"]}),
        "allowlist-miss",
        "SYSTEM_RUN_DENIED: allowlist miss",
    );
    let asking = super::tests::node(listed(&["/**"], "always"));
    asking.denied(
        json!({"command":["true"]}),
        "approval-required",
        "SYSTEM_RUN_DENIED: approval",
    );
}

#[test]
fn a_screen_is_not_recorded_and_a_missing_program_is_a_result() {
    let node = node(full());
    node.denied(
        json!({"command":["true"],"needsScreenRecording":true}),
        "permission:screenRecording",
        "PERMISSION_MISSING: screenRecording",
    );
    let (done, told) = node.run(json!({"command":["no-such-program"]}));
    let result = done.unwrap();
    assert_eq!(result["success"], false);
    assert!(
        result["error"]
            .as_str()
            .unwrap()
            .contains("no-such-program")
    );
    assert_eq!(told[1].1["success"], false);
}

#[test]
fn a_deadline_and_long_output_are_told() {
    let node = node(full());
    let (done, told) = node.run(json!({"command":"echo a; exec sleep 60","timeoutMs":200}));
    let result = done.unwrap();
    assert_eq!(
        (&result["timedOut"], &result["success"]),
        (&json!(true), &json!(false))
    );
    assert!(result.get("exitCode").is_none());
    assert_eq!(told[1].1["timedOut"], true);

    let script = "yes '\"\"\"\"\"\"\"' | head -c 3000000; echo end";
    let (done, told) = node.run(json!({"command":script}));
    let result = done.unwrap();
    let out = result["stdout"].as_str().unwrap();
    assert!(out.starts_with("... (truncated) ") && out.ends_with("end\n"));
    assert_eq!(result["truncated"], true);
    let sent = json!({"payloadJSON": result.to_string()}).to_string();
    assert!(
        sent.len() < crate::limits::MESSAGE_BYTES_MAX,
        "{}",
        sent.len()
    );
    assert!(told[1].1["output"].as_str().unwrap().len() < 21_000);
}

#[test]
fn output_is_told_while_the_command_runs_and_whole() {
    let node = node(full());
    let go = node.dir.path().join("go");
    let text = format!(
        "echo one; while [ ! -e {} ]; do sleep 0.01; done; printf two",
        go.display()
    );
    let mut pieces = Vec::new();
    let result = node.shown(&text, &mut |piece| {
        // It goes on only once its first line was heard.
        std::fs::write(&go, "").unwrap();
        pieces.push(piece.to_owned());
    });
    assert_eq!(pieces[0], "one\n");
    assert_eq!(pieces.concat(), "one\ntwo");
    assert_eq!(result["stdout"], "one\ntwo");
}

#[test]
fn a_gateway_that_takes_nothing_is_told_no_more_than_what_is_kept() {
    let node = node(full());
    let mut bytes = 0;
    // About 20 MB, and nobody says that a piece was taken.
    let text = "head -c 20000000 /dev/zero | tr '\\0' x";
    node.shown(text, &mut |piece| bytes += piece.len());
    let most = NODE_PROGRESS_BYTES_MAX * NODE_PROGRESS_UNDERWAY_MAX;
    let kept = crate::limits::NODE_OUTPUT_BYTES_MAX;
    assert!(bytes <= most + 2 * kept + 64, "{bytes}");
}
