//! What the next start would be refused for is found before anything is stopped, and where a configuration is judged.

mod support;

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use support::{Home, Running, finish, free_port};

const SECRET: &str = "auth: { token: 'a-secret-that-somebody-chose' }";

/// A gateway on the port that its configuration says.
fn started(home: &Home) -> Running {
    Running::start(home.command(&["gateway", "run"]))
}

/// Valid configurations with which no gateway starts, and what keeps it from it.
fn unfit(taken: u16) -> Vec<(String, String)> {
    let gateway = |more: &str| format!("{{ gateway: {{ port: {}, {more} }} }}", free_port());
    let files = |cert: &str, key: &str| {
        gateway(&format!(
            "tls: {{ enabled: true, certPath: '{cert}', keyPath: '{key}' }}"
        ))
    };
    let text = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    [
        (
            files("/no/cert.pem", "/no/key.pem"),
            "cannot read /no/cert.pem".to_owned(),
        ),
        (
            files(text, text),
            "there is no certificate in it".to_owned(),
        ),
        (
            format!("{{ gateway: {{ port: {taken} }} }}"),
            format!(
                "port {taken} on 127.0.0.1 is in use by process {}",
                std::process::id()
            ),
        ),
        (
            gateway("}, logging: { file: '/tmp'"),
            "cannot open the log /tmp: ".to_owned(),
        ),
        // RFC 5737: nobody's address.
        (
            gateway(&format!(
                "bind: 'custom', customBindHost: '192.0.2.1', {SECRET}"
            )),
            "192.0.2.1 is no address of this machine".to_owned(),
        ),
        (
            gateway("bind: 'lan'"),
            "neither token nor password".to_owned(),
        ),
    ]
    .into()
}

#[test]
fn a_restart_that_would_be_refused_stops_nothing_and_says_what_the_start_says() {
    let home = Home::new();
    home.configure(&format!("{{ gateway: {{ port: {} }} }}", free_port()));
    let gateway = started(&home);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    for (config, told) in unfit(taken.local_addr().unwrap().port()) {
        home.configure(&config);
        let refused = home.run(&["gateway", "restart"]);
        assert_eq!(refused.code, 78, "{config} {refused:?}");
        let elsewhere = Home::new();
        elsewhere.configure(&config);
        let start = elsewhere.run(&["gateway", "run"]);
        assert!(start.code == 78 || start.code == 74, "{start:?}");
        let said = start
            .err
            .trim_start_matches("error: ")
            .lines()
            .next()
            .unwrap();
        assert!(said.contains(&told), "{start:?}");
        assert!(refused.err.contains(said), "{refused:?}\n{said}");
        assert!(
            refused.err.contains("it runs on") && refused.err.contains("  try "),
            "{refused:?}"
        );
        home.run(&["health"]).ok();
    }
    // Of what is fit, a port that is free among it, nothing is refused.
    let port = free_port();
    home.configure(&format!(
        "{{ gateway: {{ port: {port}, tls: {{ enabled: true }} }} }}"
    ));
    home.run(&["gateway", "restart"]).ok();
    let status = home.run(&["gateway", "status"]).ok();
    assert!(status.out.contains(&format!("port {port}")), "{status:?}");
    gateway.stop();
}

#[test]
fn what_a_gateway_was_told_at_its_start_counts_at_its_next_one() {
    let home = Home::new();
    home.configure("{}");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let mut command = home.command(&["gateway", "run", "--port", "0", "--token-file", "secret"]);
    std::fs::write(
        home.state().join("secret"),
        "a-secret-that-somebody-chose\n",
    )
    .unwrap();
    command.current_dir(home.state());
    let gateway = Running::start(command);
    // The port of the configuration is not its own, and the secret is in the file that it was told of.
    home.configure(&format!("{{ gateway: {{ port: {port}, bind: 'lan' }} }}"));
    home.run(&["config", "validate"]).ok();
    home.run(&["gateway", "restart"]).ok();
    std::fs::remove_file(home.state().join("secret")).unwrap();
    let refused = home.run(&["gateway", "restart"]);
    assert!(
        refused.code == 78 && refused.err.contains("--token-file"),
        "{refused:?}"
    );
    gateway.stop();
}

#[test]
fn the_files_of_a_next_start_are_those_of_the_process() {
    let home = Home::new();
    home.configure("{}");
    std::fs::write(home.state().join("own.json"), "{}").unwrap();
    let mut command = home.command(&["gateway", "run", "--port", "0", "--token-file", "secret"]);
    std::fs::write(home.state().join("secret"), "x1y2z3x1y2z3x1y2z3x1\n").unwrap();
    command
        .current_dir(home.state())
        .env("CLAWDIA_CONFIG_PATH", "own.json");
    let gateway = Running::start(command);
    // What only the asker was told of is not in the way.
    let mut restart = home.command(&["gateway", "restart"]);
    restart.env("CLAWDIA_CONFIG_PATH", "missing.json");
    finish(restart).ok();
    std::fs::write(home.state().join("own.json"), "{ gateway: { prot: 1 } }").unwrap();
    let refused = home.run(&["gateway", "restart"]);
    assert!(
        refused.code == 78 && refused.err.contains("own.json"),
        "{refused:?}"
    );
    std::fs::write(home.state().join("own.json"), "{}").unwrap();
    let secret = home.state().join("secret");
    std::fs::remove_file(&secret).unwrap();
    let refused = home.run(&["gateway", "restart"]);
    assert!(
        refused.code == 78 && refused.err.contains(&secret.display().to_string()),
        "{refused:?}"
    );
    gateway.stop();
}

#[test]
fn a_service_may_have_variables_that_only_its_manager_knows() {
    let home = Home::new();
    home.configure(&format!(
        "{{ gateway: {{ bind: 'lan', port: {} }}, discovery: {{ mdns: {{ mode: 'off' }} }} }}",
        free_port()
    ));
    let mut command = home.command(&["gateway", "run"]);
    command.env("CLAWDIA_GATEWAY_TOKEN", "a-secret-that-somebody-chose");
    let gateway = Running::start(command);
    let units = home.state().join("units/systemd/user");
    std::fs::create_dir_all(&units).unwrap();
    std::fs::write(units.join("clawdia-gateway.service"), "[Service]\n").unwrap();
    let tools = home.state().join("tools");
    std::fs::create_dir(&tools).unwrap();
    let systemctl = tools.join("systemctl");
    let asked = home.state().join("asked");
    std::fs::write(
        &systemctl,
        format!("#!/bin/sh\necho \"$*\" >> '{}'\n", asked.display()),
    )
    .unwrap();
    std::fs::set_permissions(&systemctl, PermissionsExt::from_mode(0o755)).unwrap();
    let mut restart = home.command(&["gateway", "restart"]);
    restart
        .env("PATH", format!("{}:/usr/bin:/bin", tools.display()))
        .env("XDG_CONFIG_HOME", home.state().join("units"));
    finish(restart).ok();
    let asked = support::read(&asked);
    assert!(asked.contains("restart clawdia-gateway.service"), "{asked}");
    gateway.stop();
}

#[test]
fn a_damaged_token_keeps_a_gateway_from_being_stopped() {
    let home = Home::new();
    let gateway = home.gateway(&[]);
    let token = home.state().join("gateway-token");
    let mode = |mode| std::fs::set_permissions(&token, PermissionsExt::from_mode(mode)).unwrap();
    mode(0o640);
    let refused = home.run(&["gateway", "restart"]);
    let mend = format!("  mv {0} {0}.damaged", token.display());
    assert!(
        refused.code == 78 && refused.err.contains(&mend),
        "{refused:?}"
    );
    mode(0o600);
    home.run(&["gateway", "restart"]).ok();
    gateway.stop();
}

#[test]
fn only_the_addresses_of_the_process_are_free_to_its_next_start() {
    let home = Home::new();
    let port = free_port();
    let bind = |ip: &str| {
        home.configure(&format!(
            "{{ gateway: {{ port: {port}, bind: 'custom', customBindHost: '{ip}', {SECRET} }} }}"
        ));
        home.run(&["gateway", "restart"])
    };
    home.configure(&format!("{{ gateway: {{ port: {port} }} }}"));
    let gateway = started(&home);
    let other = TcpListener::bind(("127.0.0.2", port)).unwrap();
    for ip in ["127.0.0.2", "0.0.0.0"] {
        let refused = bind(ip);
        let told = format!(
            "port {port} on {ip} is in use by process {}",
            std::process::id()
        );
        assert!(
            refused.code == 78 && refused.err.contains(&told),
            "{refused:?}"
        );
    }
    drop(other);
    bind("127.0.0.2").ok();
    bind("127.0.0.1").ok();
    gateway.stop();
}

#[test]
fn a_mend_is_one_that_helps() {
    let home = Home::new();
    home.configure("{}");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let mut validate = home.command(&["config", "validate"]);
    validate.env("CLAWDIA_GATEWAY_PORT", port);
    let refused = finish(validate);
    assert!(
        refused
            .err
            .contains("--port PORT   # one that is free; CLAWDIA_GATEWAY_PORT"),
        "{refused:?}"
    );
    std::fs::write(home.state().join("logs"), "").unwrap();
    let refused = home.run(&["config", "validate"]);
    assert!(refused.err.contains("  ls -la "), "{refused:?}");
    // Of a gateway that is meant to be elsewhere nothing is told.
    home.configure("{ gateway: { mode: 'remote', remote: { url: 'ws://127.0.0.1:1' } } }");
    let set = home
        .run(&["config", "set", "messages.queue.mode", "steer"])
        .ok();
    assert!(!set.out.contains("next start"), "{set:?}");
}

#[test]
fn a_configuration_with_which_no_gateway_starts_is_not_valid() {
    let home = Home::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    for (config, told) in unfit(taken.local_addr().unwrap().port()) {
        home.configure(&config);
        let refused = home.run(&["config", "validate"]);
        assert!(
            refused.code == 78 && refused.err.contains(&told),
            "{config} {refused:?}"
        );
    }
    home.configure(&format!("{{ gateway: {{ port: {} }} }}", free_port()));
    home.run(&["config", "validate"]).ok();
    for (words, code) in [
        (&["config", "validate"][..], 78),
        (&["--dev", "config", "validate"], 0),
    ] {
        let mut validate = home.command(words);
        validate.env("CLAWDIA_CONFIG_PATH", home.state().join("missing.json"));
        let ran = finish(validate);
        let told = [&ran.out[..], &ran.err].concat();
        assert!(
            ran.code == code && told.contains("there is no such file"),
            "{ran:?}"
        );
    }
}

#[test]
fn a_secret_that_the_gateway_which_runs_does_not_take_is_printed_with_a_warning() {
    let home = Home::new();
    home.configure(&format!(
        "{{ gateway: {{ bind: 'lan', {SECRET} }}, discovery: {{ mdns: {{ mode: 'off' }} }} }}"
    ));
    let gateway = home.gateway(&[]);
    let dashboard = ["dashboard", "--no-open"];
    for words in [&["token"][..], &dashboard] {
        assert_eq!(home.run(words).ok().err, "", "it is taken");
    }
    // It does not start with this, so it goes on with what it has.
    let unset = home.run(&["config", "unset", "gateway.auth.token"]).ok();
    assert!(unset.out.contains("not yet"), "{unset:?}");
    let made = home.state().join("gateway-token");
    std::fs::write(&made, "0123456789abcdef0123456789abcdef\n").unwrap();
    std::fs::set_permissions(&made, PermissionsExt::from_mode(0o600)).unwrap();
    let told = format!("warning: process {} takes another secret", gateway.pid());
    for words in [&["token"][..], &dashboard] {
        let ran = home.run(words).ok();
        assert!(ran.err.starts_with(&told), "{ran:?}");
        assert!(ran.out.contains("0123456789abcdef\n"), "{ran:?}");
    }
    assert_eq!(home.run(&["token", "--path"]).ok().err, "");
    gateway.stop();
    // One that was started with a secret of its own takes no other.
    home.configure("{}");
    let gateway = home.gateway(&["--token", "a-secret-that-somebody-chose"]);
    assert!(
        home.run(&["token"]).ok().err.contains("(--token"),
        "it is told"
    );
    drop(gateway);
    assert_eq!(home.run(&["token"]).ok().err, "", "nobody refuses it");
}

#[test]
fn what_still_listens_is_told_when_the_file_says_otherwise_and_audited_as_it_is() {
    let home = Home::new();
    let text = format!(
        "{{ gateway: {{ bind: 'lan', {SECRET} }}, discovery: {{ mdns: {{ mode: 'off' }} }} }}"
    );
    home.configure(&text);
    let gateway = home.gateway(&[]);
    let listens = format!(
        "process {} listens on 0.0.0.0 port {} (bind lan) without TLS and asks for a token",
        gateway.pid(),
        gateway.port
    );
    let meant = home
        .run(&[
            "config",
            "set",
            "gateway.auth.token",
            "another-secret-that-somebody-chose",
        ])
        .ok();
    assert!(!meant.out.contains("listens on"), "{meant:?}");
    // Refused by the gateway, which goes on with what it has.
    let refused = home.run(&["config", "unset", "gateway.auth.token"]).ok();
    assert!(
        refused.out.contains("not yet") && refused.out.contains(&listens),
        "{refused:?}"
    );
    for words in [
        &["set", "gateway.bind", "loopback"][..],
        &["set", "gateway.auth.token", "x1y2z3x1y2z3x1y2z3x1"],
        &["unset", "gateway.auth.token"],
    ] {
        let told = home.run(&[&["config"], words].concat()).ok();
        assert!(told.out.contains(&listens), "{told:?}");
    }
    let other = home
        .run(&["config", "set", "messages.queue.mode", "steer"])
        .ok();
    assert!(!other.out.contains("listens on"), "{other:?}");
    let audit = home.run(&["security", "audit", "--json"]);
    assert_eq!(audit.code, 1, "{audit:?}");
    let audit = audit.json();
    let found = audit["findings"].as_array().unwrap();
    let open = found
        .iter()
        .find(|it| it["id"] == "bind.cleartext")
        .expect("it is found");
    assert_eq!(open["severity"], "critical");
    assert!(
        open["message"].as_str().unwrap().starts_with(&listens),
        "{open}"
    );
    assert!(
        open["mend"]
            .as_str()
            .unwrap()
            .starts_with("clawdia gateway restart"),
        "{open}"
    );
    home.run(&["gateway", "restart"]).ok();
    let audit = home.run(&["security", "audit"]).ok();
    assert!(!audit.out.contains("listens on"), "{audit:?}");
    gateway.stop();
    // What it was told at its start outranks the file at the next one too.
    home.configure(&text);
    let gateway = home.gateway(&["--bind", "lan"]);
    let told = home
        .run(&["config", "set", "gateway.bind", "loopback"])
        .ok();
    assert!(told.out.contains("until it is stopped"), "{told:?}");
    let audit = home.run(&["security", "audit"]);
    assert!(audit.out.contains("clawdia gateway stop"), "{audit:?}");
    gateway.stop();
}
