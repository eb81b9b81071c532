//! Where the built program listens, and when it refuses to.

mod support;

use std::net::TcpListener;
use std::process::Command;
use support::{Home, Ran, finish};

const SECRET: &str = "a-secret-that-somebody-chose";

fn run(home: &Home, config: &str, words: &[&str]) -> Ran {
    home.configure(config);
    let mut all = vec!["gateway", "run"];
    all.extend(words);
    home.run(&all)
}

#[test]
fn what_cannot_be_honoured_ends_the_start_and_says_how_to_mend_it() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let with_secret =
        |gateway: &str| format!("{{ gateway: {{ auth: {{ token: '{SECRET}' }}, {gateway} }} }}");
    let free = ["--port", "0"];
    let busy = ["--port", port.as_str()];
    for (config, words, told) in [
        (with_secret(""), &busy[..], "in use"),
        (with_secret("bind: 'lan'"), &busy, "in use"),
        ("{ gateway: { bind: 'auto' } }".to_owned(), &busy, "in use"),
        // RFC 5737: nobody's address.
        (
            with_secret("bind: 'custom', customBindHost: '192.0.2.1'"),
            &free,
            "no address of this",
        ),
        (
            with_secret("bind: 'custom', customBindHost: '999.1.1.1'"),
            &free,
            "customBindHost",
        ),
        (with_secret("bind: 'custom'"), &free, "customBindHost"),
        (with_secret("bind: 'everywhere'"), &free, "gateway.bind"),
    ] {
        let ran = run(&Home::new(), &config, words);
        assert_eq!(ran.code, 78, "{config}: {ran:?}");
        assert!(ran.err.contains(told), "{config}: {ran:?}");
    }
}

#[test]
fn who_lets_other_machines_in_has_to_choose_a_secret() {
    for auth in [
        "",
        "auth: { token: '' },",
        "auth: { token: 'undefined' },",
        "auth: { token: 'null' },",
        "auth: { mode: 'password', password: ' ' },",
        // The secret for a gateway elsewhere is none of ours.
        "remote: { url: 'wss://gw.example', token: 'a-token-for-elsewhere' },",
        "remote: { url: 'wss://gw.example', password: 'a-password-for-elsewhere' },",
    ] {
        let config = format!("{{ gateway: {{ {auth} bind: 'lan' }} }}");
        let ran = run(&Home::new(), &config, &["--port", "0"]);
        assert_eq!(ran.code, 78, "{config}: {ran:?}");
        assert!(ran.out.is_empty(), "it listened: {ran:?}");
    }
    for flags in [&["--token", "undefined"], &["--password", "null"]] {
        let mut words = vec!["--port", "0", "--bind", "lan"];
        words.extend(flags);
        let ran = run(&Home::new(), "{}", &words);
        assert_ne!(ran.code, 0, "{flags:?}");
        assert!(ran.out.is_empty(), "it listened: {ran:?}");
    }
}

#[test]
fn the_secret_for_a_gateway_elsewhere_opens_nothing_here() {
    let home = Home::new();
    home.configure("{ gateway: { remote: { url: 'wss://gw.example', token: 'for-elsewhere' } } }");
    let gateway = home.gateway(&[]);
    let url = format!("ws://127.0.0.1:{}", gateway.port);
    let ran = home.run(&["health", "--url", &url, "--token", "for-elsewhere"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.err.contains("token mismatch"), "{ran:?}");
}

#[test]
fn status_says_where_it_listens_and_by_which_mode() {
    for (bind, address) in [
        ("loopback", "127.0.0.1"),
        ("auto", "127.0.0.1"),
        ("lan", "0.0.0.0"),
    ] {
        let home = Home::new();
        home.configure(&format!(
            "{{ gateway: {{ auth: {{ token: '{SECRET}' }} }} }}"
        ));
        let gateway = home.gateway(&["--bind", bind]);
        let told = home.run(&["gateway", "status", "--json"]).ok().json();
        let listen = &told["status"]["listen"];
        assert_eq!(
            (&listen["mode"], &listen["address"]),
            (&bind.into(), &address.into())
        );
        assert_eq!(listen["port"], gateway.port);
    }
}

/// A network of its own whose loopback interface has these addresses besides its own.
fn network(addresses: &[&str]) -> Option<Command> {
    let mut setup = "ip link set lo up".to_owned();
    for address in addresses {
        setup += &format!(" && ip address add {address} dev lo");
    }
    let wrap = |then: &str| {
        let mut command = Command::new("unshare");
        command.args(["--net", "--map-root-user", "sh", "-c"]);
        command.arg(format!("{setup} && {then}"));
        command
    };
    let works = wrap("exit 0")
        .output()
        .is_ok_and(|ran| ran.status.success());
    works.then(|| wrap("exec \"$0\" \"$@\""))
}

#[test]
fn a_tailnet_address_is_found_or_the_start_ends() {
    for (addresses, found) in [
        (&["100.101.102.103/32"][..], true),
        (&["198.51.100.7/32"], false),
    ] {
        let Some(mut command) = network(addresses) else {
            eprintln!("SKIPPED: no network of its own can be made here (unshare, ip)");
            return;
        };
        let home = Home::new();
        home.configure(&format!(
            "{{ gateway: {{ bind: 'tailnet', auth: {{ token: '{SECRET}' }} }} }}"
        ));
        let plain = home.command(&[]);
        command.arg(plain.get_program());
        command.args(["gateway", "run", "--port", "0"]);
        command.envs(
            plain
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
        command.env_remove("CLAWDIA_GATEWAY_TOKEN");
        if found {
            let running = support::Running::start(command);
            assert_eq!(running.address, "100.101.102.103");
        } else {
            let ran = finish(command);
            assert_eq!(ran.code, 78, "{ran:?}");
            assert!(ran.err.contains("tailscale up"), "{ran:?}");
        }
    }
}

#[test]
fn a_browser_control_server_is_on_this_machine_or_in_the_tailnet() {
    for (browser, told) in [
        (
            "controlUrl: 'http://10.0.0.42:18791', controlToken: 'x'",
            "tailnet",
        ),
        (
            "controlUrl: 'http://0.0.0.0:18791', controlToken: 'x'",
            "tailnet",
        ),
        (
            "controlUrl: 'http://browser.example:18791', controlToken: 'x'",
            "IP address",
        ),
        ("controlUrl: 'http://100.64.0.7:18791'", "controlToken"),
    ] {
        let ran = run(
            &Home::new(),
            &format!("{{ browser: {{ {browser} }} }}"),
            &["--port", "0"],
        );
        assert_eq!(ran.code, 78, "{browser}: {ran:?}");
        assert!(ran.err.contains(told), "{browser}: {ran:?}");
        assert!(ran.out.is_empty(), "it listened: {ran:?}");
    }
}
