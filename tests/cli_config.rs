//! What commands make of a configuration that is at fault, missing, or complete for the service alone, and of a state
//! directory that is not there.

mod support;

use support::{Home, Running, finish};

#[test]
fn what_would_keep_the_gateway_from_starting_is_told_before() {
    let home = Home::new();
    // The usual port may be that of whoever runs the tests.
    let port = support::free_port().to_string();
    home.run(&["config", "set", "gateway.port", &port]).ok();
    let set = home.run(&["config", "set", "gateway.bind", "lan"]).ok();
    assert!(set.out.contains("the next start would fail"), "{set:?}");
    let mend = "config set gateway.auth.token";
    assert_eq!(set.out.matches(mend).count(), 1, "{set:?}");
    let judged = [
        &["config", "validate"][..],
        &["gateway", "install"],
        &["gateway", "run", "--port", "0"],
    ];
    for words in judged {
        let ran = home.run(words);
        assert_eq!(ran.code, 78, "{ran:?}");
        assert!(ran.err.contains("gateway.auth.token"), "{ran:?}");
    }
    // A secret may come from the environment, as at the start.
    let mut command = home.command(&["config", "validate"]);
    command.env("CLAWDIA_GATEWAY_TOKEN", "from the environment");
    finish(command).ok();
    let secret = ["config", "set", "gateway.auth.token", "0123456789abcdef"];
    let set = home.run(&secret).ok();
    assert!(!set.out.contains("remark"), "{set:?}");
    home.run(&["config", "validate"]).ok();
}

#[test]
fn variables_of_the_services_environment_file_count_as_set() {
    let home = Home::new();
    home.configure("{ gateway: { auth: { token: '${GW_TOKEN}' } } }");
    let units = home.state().with_file_name(".config/systemd/user");
    let drop_ins = units.join("clawdia-gateway.service.d");
    std::fs::create_dir_all(&drop_ins).unwrap();
    let judged = [&["config", "validate"][..], &["security", "audit"]];
    for words in judged {
        let ran = home.run(words);
        assert_eq!(ran.code, 78, "{ran:?}");
        let told =
            "gateway.auth.token (line 1, column 29): needs the environment variable GW_TOKEN";
        assert!(ran.err.contains(told), "{ran:?}");
        assert!(
            ran.err.contains("NAME=VALUE clawdia config validate"),
            "{ran:?}"
        );
    }
    std::fs::write(units.join("clawdia-gateway.service"), "[Service]\n").unwrap();
    let ran = home.run(&["config", "validate"]);
    let told = "systemctl --user edit clawdia-gateway.service";
    assert!(ran.err.contains(told), "{ran:?}");
    let file = home.state().join("gateway.env");
    std::fs::write(
        &file,
        "# secret\nGW_TOKEN=0123456789abcdef0123456789abcdef\n",
    )
    .unwrap();
    let text = format!("[Service]\nEnvironmentFile={}\n", file.display());
    std::fs::write(drop_ins.join("override.conf"), text).unwrap();
    for words in judged {
        let ran = home.run(words);
        assert_ne!(ran.code, 78, "{ran:?}");
        assert!(!ran.err.contains("GW_TOKEN"), "{ran:?}");
    }
}

#[test]
fn a_gateway_that_runs_is_asked_whatever_became_of_its_file() {
    let home = Home::new();
    let gateway = home.gateway(&[]);
    for (text, fault) in [
        ("{ gateway: ", "the file (line 1"),
        ("{ gateway: { port: 'x' } }", "gateway.port"),
        ("{ agents: { list: 3 } }", "agents.list"),
    ] {
        home.configure(text);
        for words in [
            &["health"][..],
            &["status"],
            &["devices", "list"],
            &["logs"],
            &["agent", "--message", "/status"],
        ] {
            let ran = home.run(words).ok();
            let told = ran.err.starts_with("warning: ") && ran.err.contains(fault);
            assert!(told && ran.err.matches("warning:").count() == 1, "{ran:?}");
        }
        let doctor = home.run(&["doctor", "--json"]).json();
        let checks = doctor["checks"].as_array().unwrap();
        let is = |name: &str, part: &str| {
            let mut all = checks.iter();
            all.any(|it| it["name"] == name && it["message"].as_str().unwrap().contains(part))
        };
        assert!(
            is("configuration", fault) && is("version", ""),
            "{doctor:#}"
        );
    }
    assert_eq!(gateway.stop(), Some(0));
    // Where none runs, only what says where one is has to be whole.
    let ran = home.run(&["health"]);
    assert!(ran.code == 1 && ran.err.starts_with("warning: "), "{ran:?}");
    home.configure("{ gateway: { port: 'x' } }");
    assert_eq!(home.run(&["health"]).code, 78);
    let doctor = home.run(&["doctor"]);
    assert!(
        doctor.out.contains("database") && doctor.code == 1,
        "{doctor:?}"
    );
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    let home = Home::new();
    home.configure("{ gateway: { port: 'x' }, tools: { dney: [] } }");
    let ran = home.run(&["config", "validate"]);
    assert_eq!(ran.code, 78);
    assert!(
        ran.err.contains("gateway.port") && ran.err.contains("tools.dney"),
        "{ran:?}"
    );
    let slip = [
        "config",
        "set",
        "gateway.nodes.denyCommands",
        "['system.rnu']",
    ];
    let told = "which is no known command; did you mean system.run?";
    assert!(Home::new().run(&slip).ok().out.contains(told));
    let empty = home.run(&["config", "set", "", "1"]);
    assert!(
        empty.code == 2 && empty.err.contains("\"\": is not a path"),
        "{empty:?}"
    );
}

#[test]
fn faults_that_are_not_in_the_way_of_a_command_are_warnings_for_it() {
    let home = Home::new();
    home.gateway(&[]).stop();
    let made = home.run(&["token"]).ok();
    let port = support::free_port();
    let judge = |config: &str, words: &[&str], goes_on: bool| {
        home.configure(&format!("{{ gateway: {{ port: {port}, {config}"));
        let ran = home.run(words);
        let is_warned = ran.err.starts_with("warning: ") && ran.err.contains("config validate");
        assert_eq!(
            (is_warned, ran.code == 78),
            (goes_on, !goes_on),
            "{words:?} {config} {ran:?}"
        );
        ran
    };
    let dashboard = ["dashboard", "--no-open"];
    for config in [
        "bnid: 'lan' } }",
        "bind: 'x' } }",
        "nodes: { denyCommands: 3 } } }",
        "}, models: { providers: { x: { apiKey: 3 } } } }",
    ] {
        let token = judge(config, &["token"], true);
        assert_eq!((token.code, &token.out), (0, &made.out), "{token:?}");
        let shown = judge(config, &dashboard, true);
        assert!(
            shown.out.contains(&format!("127.0.0.1:{port}/")),
            "{shown:?}"
        );
        let status = judge(config, &["status"], true);
        assert!(status.err.contains("no gateway runs here"), "{status:?}");
        assert!(
            judge(config, &["logs"], true)
                .out
                .contains("no gateway runs")
        );
    }
    let auth = "auth: { token: '${NOBODY_SETS_THIS}' } } }";
    for config in [auth, "auht: {} } }", "auth: 3 } }"] {
        judge(config, &["token"], false);
        judge(config, &dashboard, false);
    }
    judge("controlUi: 3 } }", &dashboard, false);
    judge("tls: 3 } }", &["status"], false);
    // Whatever became of the file, the log says what the gateway said.
    for config in ["prot: 1 } }", "auth: 3 } }", ""] {
        assert!(
            judge(config, &["logs"], true)
                .out
                .contains("gateway listening")
        );
    }
    judge("mode: 'remote', auht: 3 } }", &["logs"], false);
}

/// What a home directory holds.
fn entries(home: &Home) -> Vec<String> {
    let dir = std::fs::read_dir(home.state().parent().unwrap()).unwrap();
    let mut names: Vec<String> = dir
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn commands_that_only_ask_make_nothing() {
    let home = Home::new();
    let asking = [
        &["status"][..],
        &["health"],
        &["logs"],
        &["devices", "list"],
        &["nodes", "status"],
        &["sessions", "list"],
        &["gateway", "status"],
        &["gateway", "probe"],
        &["gateway", "list"],
        &["config", "get"],
        &["config", "validate"],
        &["doctor"],
        &["models", "status"],
        &["approvals", "list"],
        &["node", "status"],
        &["token"],
    ];
    for words in asking {
        let of_profile = [&["--profile", "typo"], words].concat();
        for words in [words, &of_profile] {
            let ran = home.run(words);
            assert!(entries(&home).is_empty(), "{words:?}: {ran:?}");
        }
    }
    let unknown = home.run(&["--profile", "typo", "status"]);
    assert_eq!(unknown.code, 78, "{unknown:?}");
    assert!(
        unknown.err.contains("there is no profile typo"),
        "{unknown:?}"
    );
    std::fs::create_dir(home.state().with_file_name(".clawdia-work")).unwrap();
    let near = home.run(&["--profile", "wrok", "status"]);
    assert!(near.err.contains("--profile work"), "{near:?}");
    let mut command = home.command(&["status"]);
    let nowhere = home.state().join("nope");
    command.env("CLAWDIA_STATE_DIR", &nowhere);
    let ran = finish(command);
    let told = format!(
        "there is no state directory {} (CLAWDIA_STATE_DIR)",
        nowhere.display()
    );
    assert!(ran.code == 78 && ran.err.contains(&told), "{ran:?}");
    assert_eq!(entries(&home), [".clawdia-work"]);
    // Nor does the doctor find a profile well that is not there.
    let doctor = home.run(&["--profile", "wrok", "doctor"]);
    for told in [
        "there is no profile wrok",
        "--profile work",
        "gateway list",
        "gateway run",
    ] {
        assert!(doctor.code == 1 && doctor.out.contains(told), "{doctor:?}");
    }
    let set = [
        "--profile",
        "wrok",
        "config",
        "set",
        "logging.level",
        "info",
    ];
    let made = home.run(&set).ok().out;
    let told = "until now, perhaps --profile work was meant; to take it back: rm -r ";
    assert!(made.contains(told), "{made}");
    assert!(!home.run(&set).ok().out.contains("until now"), "once");
}

#[test]
fn the_gateways_own_secret_is_told_where_it_is_set_for_something_else() {
    let home = Home::new();
    drop(home.gateway(&[]));
    let own = home.run(&["token"]).ok().out;
    let set = |path: &str, value: &str| home.run(&["config", "set", path, value]).ok().out;
    assert!(!set("hooks.token", "a-secret-for-hooks").contains("own secret"));
    let shared = set("hooks.token", own.trim());
    let is_told = shared.contains("hooks.token") && shared.contains("is the gateway's own secret");
    assert!(is_told, "{shared}");
    assert!(
        !set("logging.level", "info").contains("own secret"),
        "not its doing"
    );
    set("hooks.token", "a-secret-for-hooks");
    let shared = set("gateway.auth.token", "a-secret-for-hooks");
    assert!(shared.contains("own secret"), "{shared}");
}

#[test]
fn a_configuration_that_was_named_and_is_not_there_is_no_set_of_defaults() {
    let home = Home::new();
    let file = home.state().join("named.json");
    let command = |words: &[&str]| {
        let mut command = home.command(words);
        command.env("CLAWDIA_CONFIG_PATH", &file);
        command
    };
    let told = format!(
        "CLAWDIA_CONFIG_PATH is {}, and there is no such file",
        file.display()
    );
    let doctor = finish(command(&["doctor"]));
    assert!(doctor.code == 1 && doctor.out.contains(&told), "{doctor:?}");
    assert!(
        doctor.out.contains("gateway.mode local   # makes it"),
        "{doctor:?}"
    );
    let run = finish(command(&["gateway", "run", "--port", "0"]));
    assert!(run.code == 78 && run.err.contains(&told), "{run:?}");
    assert!(!home.state().exists());
    let words = ["gateway", "run", "--port", "0", "--allow-unconfigured"];
    let gateway = Running::start(command(&words));
    let health = finish(command(&["health"])).ok();
    assert!(health.err.contains(&told), "{health:?}");
    gateway.stop();
    let port = support::free_port().to_string();
    finish(command(&["config", "set", "gateway.port", &port])).ok();
    let validated = finish(command(&["config", "validate"])).ok();
    assert!(
        !validated.out.contains("CLAWDIA_CONFIG_PATH"),
        "{validated:?}"
    );
}
