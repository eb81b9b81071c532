//! A gateway that tells a network of itself, and those who listen there; the network is made for it.

mod support;

use serde_json::{Value, json};
use std::process::Command;
use support::{Home, finish};

const LAN: &str = "{gateway: {bind: 'lan', auth: {token: 'a1b2c3d4e5f6a1b2c3d4e5f6'}EXTRA}}";

/// Runs this in a network of its own, where `gw` is the program; None where none can be made.
fn in_network(home: &Home, script: &str) -> Option<String> {
    const NETWORK: &str = "ip link set lo up && ip link add lan0 type veth peer name lan1 \
        && ip address add 198.51.100.7/24 dev lan0 && ip link set lan0 up && ip link set lan1 up";
    let unshare = |script: &str, home: &Home| {
        let plain = home.command(&[]);
        let mut command = Command::new("unshare");
        command.args(["--net", "--map-root-user", "sh", "-c", script]);
        command.env_clear();
        command.envs(
            plain
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
        command.env("CLAWDIA", plain.get_program());
        command
    };
    if finish(unshare(NETWORK, home)).code != 0 {
        eprintln!("SKIPPED: no network of its own can be made here (unshare, ip)");
        return None;
    }
    // The gateway listens once it has said so; it ends with this shell, of which it has to be a child
    // for that: a function in the background would be one of its own.
    let script = format!(
        "{NETWORK} || exit 1
         gw() {{ \"$CLAWDIA\" \"$@\"; }}
         serve() {{
           mkfifo \"$HOME/told\"; \"$CLAWDIA\" gateway run --port 4711 >\"$HOME/told\" 2>\"$HOME/said\" & served=$!
           read -r line <\"$HOME/told\"; trap 'kill $served; wait $served' EXIT
         }}
         {script}"
    );
    let ran = finish(unshare(&script, home)).ok();
    Some(ran.out)
}

fn configured(extra: &str) -> Home {
    let home = Home::new();
    home.configure(&LAN.replace("EXTRA", extra));
    home
}

fn discovered(printed: &str) -> Vec<Value> {
    let told: Value = serde_json::from_str(printed).unwrap_or_else(|_| panic!("{printed}"));
    told["gateways"].as_array().unwrap().clone()
}

#[test]
fn a_gateway_that_the_network_can_reach_tells_of_itself() {
    let home = configured("");
    let script = "serve; gw gateway discover --json";
    let Some(printed) = in_network(&home, script) else {
        return;
    };
    let found = discovered(&printed);
    assert_eq!(found.len(), 1, "{printed}");
    assert_eq!(found[0]["url"], "ws://198.51.100.7:4711");
    assert_eq!(found[0]["addresses"], json!(["198.51.100.7"]));
    assert_eq!(
        found[0]["hints"],
        json!({"tls": false, "tlsFingerprint": null})
    );
}

#[test]
fn with_tls_it_tells_its_certificate_which_is_a_hint_and_no_pin() {
    let home = configured(", tls: {enabled: true}");
    let script = "serve; gw gateway discover --json; gw gateway fingerprint --json >\"$HOME/pins\"
        gw gateway probe --json --token a1b2c3d4e5f6a1b2c3d4e5f6 >\"$HOME/probed\"; gw gateway discover";
    let Some(printed) = in_network(&home, script) else {
        return;
    };
    let (first, for_people) = printed.split_at(printed.find("\n}").unwrap() + 2);
    let found = discovered(first);
    assert_eq!(found[0]["url"], "wss://198.51.100.7:4711");
    let said = found[0]["hints"]["tlsFingerprint"]
        .as_str()
        .unwrap()
        .to_owned();
    let kept = support::read(&home.state().with_file_name("pins"));
    let kept = kept.to_lowercase().replace(':', "");
    assert!(said.len() == 64 && kept.contains(&said), "{said} {kept}");
    assert!(for_people.contains("so it says"), "{for_people}");
    // Nobody but the network vouches for it, so it is not connected to.
    let probed: Value =
        serde_json::from_str(&support::read(&home.state().with_file_name("probed"))).unwrap();
    let rows = probed["targets"].as_array().unwrap();
    let stranger = rows.iter().find(|row| row["name"] == "discovered").unwrap();
    assert_eq!(stranger["ok"], false, "{stranger}");
    assert!(
        rows.iter()
            .any(|row| row["name"] == "local" && row["ok"] == true),
        "{probed}"
    );
}

#[test]
fn what_is_probed_because_the_network_told_of_it_gets_no_secret() {
    let home = configured("");
    // The right token, named for this command: a stranger does not get it, so it cannot come in.
    let script = "serve; gw gateway discover >/dev/null; gw gateway probe --json --token a1b2c3d4e5f6a1b2c3d4e5f6";
    let Some(printed) = in_network(&home, script) else {
        return;
    };
    let probed: Value = serde_json::from_str(&printed).unwrap();
    let rows = probed["targets"].as_array().unwrap();
    let stranger = rows.iter().find(|row| row["name"] == "discovered").unwrap();
    assert_eq!(stranger["url"], "ws://198.51.100.7:4711");
    assert_eq!(stranger["ok"], false, "{stranger}");
}

#[test]
fn one_key_turns_it_off_and_loopback_says_nothing() {
    for (config, wanted) in [
        (
            LAN.replace("EXTRA", "}, discovery: {mdns: {mode: 'off'}")
                .replace("}}}}", "}}}"),
            0,
        ),
        ("{}".to_owned(), 0),
        ("{discovery: {mdns: {mode: 'minimal'}}}".to_owned(), 1),
    ] {
        let home = Home::new();
        home.configure(&config);
        let script = "serve; gw gateway discover --json";
        let Some(printed) = in_network(&home, script) else {
            return;
        };
        assert_eq!(discovered(&printed).len(), wanted, "{config} {printed}");
    }
}
