//! What the command line answers without a gateway.

mod support;

use std::fs;

use support::{Home, read};

#[test]
fn every_kind_of_end_has_its_exit_code() {
    let home = Home::new();
    for (words, code) in [
        (&["--help"][..], 0),
        (&[], 0),
        (&["version"], 0),
        (&["--version"], 0),
        (&["devices", "--help"], 0),
        (&["health"], 1),
        (&["frobnicate"], 2),
        (&["health", "--frobnicate"], 2),
        (&["agent"], 2),
        (&["health", "--timeout", "soon"], 2),
        (&["--profile", "../x", "health"], 2),
        (&["gateway", "run", "--bind", "everywhere"], 2),
        (&["sessions", "patch", "main"], 2),
        (&["gateway", "run", "--port", "abc"], 2),
        (&["agent", "--message", "x", "--thinking", "mega"], 2),
        (&["chat", "--thinking", "mega"], 2),
        (&["voicewake", "set"], 2),
        (&["cron", "add", "--name", "x", "--every", "1h"], 2),
        (
            &["cron", "add", "--name", "x", "--at", "soon", "-m", "y"],
            2,
        ),
        (&["cron", "edit", "x"], 2),
        (&["cron", "edit", "x", "--name", "y"], 1),
    ] {
        let ran = home.run(words);
        assert_eq!(ran.code, code, "{words:?} {ran:?}");
    }
    home.configure("{ gateway: { prot: 1 } }");
    let ran = home.run(&["health"]);
    assert_eq!(ran.code, 78);
    assert!(ran.err.contains("gateway.port"), "a suggestion: {ran:?}");
}

#[test]
fn a_command_to_paste_is_for_the_profile_that_was_asked() {
    let home = Home::new();
    let ran = home.run(&["--profile", "work", "status"]);
    assert!(
        ran.err
            .contains("try       clawdia --profile work gateway run\n"),
        "{ran:?}"
    );
    let ran = home.run(&["--dev", "doctor"]);
    assert!(
        ran.out.contains("mend: clawdia --dev gateway run"),
        "{ran:?}"
    );
    let mut named = home.command(&["status", "--json"]);
    named.env("CLAWDIA_PROFILE", "work");
    let ran = support::finish(named);
    let mend = &ran.json()["error"]["mend"][0];
    assert_eq!(mend, "clawdia --profile work gateway run");
}

#[test]
fn a_code_without_an_address_is_not_tried_for_ever_where_nobody_listens() {
    let home = Home::new();
    let port = {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        free.local_addr().unwrap().port().to_string()
    };
    let mut node = home.command(&["node", "run", "--code", "ABCD-EFGH"]);
    node.env("CLAWDIA_GATEWAY_PORT", &port);
    let ran = support::finish(node);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(
        ran.err
            .contains(&format!("nothing listens at ws://127.0.0.1:{port}"))
            && ran.err.contains("--url ADDRESS"),
        "{ran:?}"
    );
}

#[test]
fn an_address_at_which_no_gateway_answered_is_not_remembered() {
    let home = Home::new();
    let words = ["node", "run", "--url", "ws://192.0.2.1:1", "--token", "x"];
    assert_eq!(home.run(&words).code, 78);
    let status = home.run(&["node", "status"]).ok().out;
    assert!(status.contains("ws://127.0.0.1:18789"), "{status}");
}

#[test]
fn a_slip_is_answered_with_what_was_probably_meant() {
    let ran = Home::new().run(&["devcies", "list"]);
    assert!(
        ran.err.contains("did you mean `clawdia devices`?"),
        "{ran:?}"
    );
    assert_eq!(ran.out, "");
}

#[test]
fn a_usage_error_names_the_help_that_is_meant() {
    let home = Home::new();
    for (words, help) in [
        (&["health", "--frobnicate"][..], "clawdia health --help"),
        (&["agent"], "clawdia agent --help"),
        (&["config", "set"], "clawdia config set --help"),
        (&["frobnicate"], "clawdia --help"),
    ] {
        let ran = home.run(words);
        assert_eq!(ran.code, 2);
        assert!(ran.err.contains(&format!("try       {help}\n")), "{ran:?}");
    }
}

#[test]
fn a_token_file_that_is_not_there_is_told_with_what_belongs_into_it() {
    let ran = Home::new().run(&["health", "--token-file", "nofile"]);
    assert_eq!(ran.code, 2);
    for told in ["there is no such file", "clawdia token > nofile"] {
        assert!(ran.err.contains(told), "{ran:?}");
    }
}

#[test]
fn a_message_without_its_option_is_told_how_to_be_given() {
    let home = Home::new();
    let ran = home.run(&["agent", "hello"]);
    assert!(
        ran.code == 2 && ran.err.contains("clawdia agent --message"),
        "{ran:?}"
    );
    let ran = home.run(&["agent", "--mesage", "hello"]);
    assert!(!ran.err.contains("in quotes"), "{ran:?}");
}

#[test]
fn commands_do_without_the_variables_that_only_the_gateway_has() {
    let home = Home::new();
    home.configure("{ gateway: { auth: { token: '${NOT_HERE}' } } }");
    assert_eq!(home.run(&["health"]).code, 1, "no gateway runs");
    let reference = ["config", "set", "models.providers.x.apiKey", "${NOR_HERE}"];
    let set = home.run(&reference).ok().out;
    assert!(
        set.contains("NOR_HERE, which is not set in this shell"),
        "{set}"
    );
    let doctor = home.run(&["doctor"]).out;
    assert!(
        doctor.contains("NOR_HERE") && doctor.contains("gateway run"),
        "{doctor}"
    );
    for words in [
        &["config", "validate"][..],
        &["gateway", "run", "--port", "0"],
        &["token"],
    ] {
        let ran = home.run(words);
        assert_eq!(ran.code, 78, "{ran:?}");
        assert!(ran.err.contains("NOT_HERE"), "{ran:?}");
    }
}

#[test]
fn a_missing_gateway_is_answered_with_how_to_start_one() {
    let home = Home::new();
    let ran = home.run(&["health"]);
    assert!(ran.err.contains("try       clawdia gateway run"), "{ran:?}");
    let error = home.run(&["--json", "health"]).json();
    assert_eq!(error["error"]["code"], "UNREACHABLE");
    assert_eq!(error["error"]["mend"][0], "clawdia gateway run");
}

#[test]
fn setting_a_value_keeps_the_comments_and_the_rest() {
    let home = Home::new();
    let text = "// my gateway\n{\n  gateway: {\n    port: 19999, // the old one\n    mode: 'local',\n  },\n}\n";
    home.configure(text);
    home.run(&["config", "set", "gateway.port", "20000"]).ok();
    let file = home.state().join("clawdia.json");
    assert_eq!(read(&file), text.replace("19999", "20000"));
    assert_eq!(
        home.run(&["config", "get", "gateway.port"]).ok().out,
        "20000\n"
    );

    home.run(&["config", "set", "agents.defaults.model.primary", "a/b"])
        .ok();
    let shown = home.run(&["config", "get", "agents", "--json"]).ok().json();
    assert_eq!(shown["defaults"]["model"]["primary"], "a/b");
    home.run(&["config", "unset", "agents"]).ok();
    assert!(!read(&file).contains("agents"));
    assert!(read(&file).contains("// the old one"));
    assert_eq!(home.run(&["config", "unset", "agents"]).code, 1);
}

#[test]
fn a_value_that_would_not_be_valid_is_not_written() {
    let home = Home::new();
    let text = "{ gateway: { port: 1 } }";
    home.configure(text);
    for (path, value) in [
        ("gateway.port", "70000"),
        ("gateway.prot", "2"),
        ("gateway.auth.mode", "none"),
    ] {
        let ran = home.run(&["config", "set", path, value]);
        assert_eq!(ran.code, 78, "{path} {ran:?}");
        assert!(ran.err.contains("unchanged"), "{ran:?}");
        assert!(
            !ran.err.contains("line "),
            "of a text that nobody has: {ran:?}"
        );
        assert_eq!(read(&home.state().join("clawdia.json")), text);
    }
    assert_eq!(home.run(&["config", "set", "a..b", "1"]).code, 2);
}

#[test]
fn a_file_with_faults_can_be_mended_one_by_one() {
    let home = Home::new();
    home.configure("{ gateway: { port: 'x', prot: 1 } }");
    let faults = home.run(&["config", "validate"]);
    assert_eq!(faults.code, 78);
    assert!(faults.err.contains("2 faults"), "{faults:?}");
    home.run(&["config", "set", "gateway.port", "20000"]).ok();
    home.run(&["config", "unset", "gateway.prot"]).ok();
    home.run(&["config", "validate"]).ok();
}

#[test]
fn a_refused_write_is_a_failure_and_no_fault_of_the_file() {
    let home = Home::new();
    home.configure("{ gateway: { port: 20000 } }");
    // Where the former copy belongs nothing can be written, by root neither.
    fs::create_dir(home.state().join("clawdia.json.bak")).unwrap();
    let ran = home.run(&["config", "set", "gateway.port", "20001"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.err.contains("cannot back up"), "{ran:?}");
    let port = home.run(&["config", "get", "gateway.port"]).ok();
    assert_eq!(port.out, "20000\n");
}

#[test]
fn a_key_that_is_not_set_is_told_with_what_holds_without_it() {
    let ran = Home::new().run(&["config", "get", "gateway.port"]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("18789 without it"), "{ran:?}");
}

#[test]
fn a_configured_secret_is_hidden_unless_it_is_asked_for_by_name() {
    let home = Home::new();
    home.configure("{ gateway: { auth: { token: 'hush-hush' } } }");
    assert!(!home.run(&["config", "get"]).ok().out.contains("hush"));
    assert!(
        !home
            .run(&["config", "get", "gateway.auth"])
            .ok()
            .out
            .contains("hush")
    );
    assert_eq!(home.run(&["token"]).ok().out, "hush-hush\n");
    let path = home.run(&["token", "--path"]).ok().out;
    assert!(path.ends_with("clawdia.json\n"), "{path}");
}

#[test]
fn colours_and_escapes_stay_out_of_pipes() {
    let home = Home::new();
    for words in [&["health"][..], &["--help"], &["config", "validate"]] {
        let ran = home.run(words);
        assert!(
            !ran.out.contains('\u{1b}') && !ran.err.contains('\u{1b}'),
            "{ran:?}"
        );
    }
}

#[test]
fn completion_scripts_are_printed() {
    let home = Home::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = home.run(&["completion", shell]).ok().out;
        assert!(script.contains("voicewake"), "{shell}");
    }
    assert_eq!(home.run(&["completion", "csh"]).code, 2);
}

#[test]
fn what_is_read_from_elsewhere_is_bounded() {
    let home = Home::new();
    let ran = home.run(&["health", "--token-file", "/dev/zero"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    let mut command = home.command(&["agent", "--message", "-"]);
    command.stdin(std::fs::File::open("/dev/zero").unwrap());
    assert_eq!(support::finish(command).code, 2);
    let empty = home.run(&["agent", "--message", "-"]);
    assert_eq!(empty.code, 2, "{empty:?}");
    for words in [
        ["--token", ""],
        ["--token", "undefined"],
        ["--password", " "],
    ] {
        assert_eq!(
            home.run(&[words[0], words[1], "health"]).code,
            2,
            "{words:?}"
        );
    }
}
