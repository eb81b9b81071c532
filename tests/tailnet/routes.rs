//! The route: set once, verified, taken back; never anybody else's.

use super::support::tailscale::{NAME, Tailscale};
use super::support::{Home, eventually};
use super::{FUNNEL, SERVE, configured, start, tells, told};
use serde_json::json;
use std::time::{Duration, Instant};

#[test]
fn five_starts_leave_one_route_and_what_others_serve() {
    let tailscale = Tailscale::new();
    tailscale.write("443/photos", "http://127.0.0.1:3000");
    let home = configured(SERVE, "");
    let mut port = 0;
    for _ in 0..5 {
        let gateway = start(&home, &tailscale, port);
        port = gateway.port;
        tells(&home, "url", NAME);
        assert_eq!(
            tailscale.read("443/ROOT"),
            format!("http://127.0.0.1:{port}")
        );
        assert_eq!(gateway.stop(), Some(0));
    }
    let set = format!("serve --bg --yes --https=443 --set-path=/ http://127.0.0.1:{port}");
    assert_eq!(tailscale.changes(), [set]);
    assert_eq!(tailscale.read("443/photos"), "http://127.0.0.1:3000");
}

#[test]
fn the_route_is_taken_back_at_the_end_where_that_is_wished_for() {
    for (config, funnel) in [(SERVE, false), (FUNNEL, true)] {
        let tailscale = Tailscale::new();
        let home = configured(config, ", resetOnExit: true");
        let gateway = start(&home, &tailscale, 0);
        tells(&home, "url", NAME);
        assert_eq!(tailscale.has("funnel"), funnel);
        // What somebody added meanwhile stays.
        tailscale.write("443/photos", "http://127.0.0.1:3000");
        assert_eq!(gateway.stop(), Some(0));
        assert!(!tailscale.has("443/ROOT") && tailscale.has("443/photos"));
    }
}

#[test]
fn what_somebody_put_in_our_place_meanwhile_is_not_taken_away() {
    let tailscale = Tailscale::new();
    let home = configured(SERVE, ", resetOnExit: true");
    let gateway = start(&home, &tailscale, 0);
    tells(&home, "url", NAME);
    tailscale.write("443/ROOT", "http://127.0.0.1:3000");
    assert_eq!(gateway.stop(), Some(0));
    assert_eq!(tailscale.read("443/ROOT"), "http://127.0.0.1:3000");
}

#[test]
fn a_place_that_somebody_else_has_stays_his() {
    for (config, before, fault) in [
        (
            SERVE,
            &[("443/ROOT", "http://127.0.0.1:3000")][..],
            "something else",
        ),
        (
            SERVE,
            &[("443/photos", "http://127.0.0.1:3000"), ("funnel", "")],
            "open to the internet",
        ),
        (
            FUNNEL,
            &[("443/photos", "http://127.0.0.1:3000")],
            "would open to all",
        ),
    ] {
        let tailscale = Tailscale::new();
        for (name, text) in before {
            tailscale.write(name, text);
        }
        let home = configured(config, ", resetOnExit: true");
        let gateway = start(&home, &tailscale, 0);
        tells(&home, "fault", fault);
        assert_eq!(told(&home)["url"], json!(null));
        assert_eq!(gateway.stop(), Some(0));
        assert_eq!(tailscale.changes(), [""; 0]);
        for (name, text) in before {
            assert_eq!(tailscale.read(name), *text);
        }
    }
}

#[test]
fn a_program_that_refuses_or_lies_is_found_out_and_tried_again() {
    let tailscale = Tailscale::new();
    tailscale.write("lie", "");
    let home = configured(SERVE, "");
    let gateway = start(&home, &tailscale, 0);
    tells(&home, "fault", "said yes and did nothing");
    tailscale.write("deny", "");
    tells(
        &home,
        "fault",
        "Access denied: serve config denied Use 'sudo tailscale",
    );
    let shown = home.run(&["gateway", "status"]).ok().out;
    assert!(shown.contains("serve config denied"), "{shown}");
    tailscale.remove("deny");
    tailscale.remove("lie");
    tells(&home, "url", NAME);
    assert_eq!(told(&home)["fault"], json!(null));
    assert!(home.run(&["status"]).ok().out.contains(NAME));
    drop(gateway);
}

#[test]
fn a_funnel_is_ended_before_the_tailnet_alone_is_served() {
    let tailscale = Tailscale::new();
    tailscale.write("funnel", "");
    let home = configured(SERVE, "");
    let gateway = start(&home, &tailscale, 0);
    tells(&home, "url", NAME);
    assert!(!tailscale.has("funnel"));
    drop(gateway);
    // One that does not end: what would stand open to all is taken back.
    let tailscale = Tailscale::new();
    tailscale.write("funnel", "");
    tailscale.write("stuck", "");
    let gateway = start(&home, &tailscale, 0);
    tells(&home, "fault", "taken back");
    assert!(!tailscale.has("443/ROOT"));
    drop(gateway);
}

#[test]
fn a_program_that_hangs_holds_nobody_up() {
    let tailscale = Tailscale::new();
    tailscale.write("hang", "");
    let home = configured(SERVE, ", resetOnExit: true");
    let gateway = start(&home, &tailscale, 0);
    eventually(|| !tailscale.read("calls").is_empty());
    let started = Instant::now();
    home.run(&["health"]).ok();
    assert!(
        started.elapsed() < Duration::from_secs(4),
        "before its deadline"
    );
    tells(&home, "fault", "did not answer in time");
    let started = Instant::now();
    assert_eq!(gateway.stop(), Some(0));
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "nor does the end wait for it"
    );
}

#[test]
fn a_machine_outside_of_a_tailnet_says_so() {
    let tailscale = Tailscale::new();
    tailscale.set_state("NeedsLogin");
    let home = configured(SERVE, "");
    let gateway = start(&home, &tailscale, 0);
    tells(&home, "fault", "tailscale up");
    drop(gateway);
    let home = Home::new();
    let gateway = start(&home, &tailscale, 0);
    assert_eq!(told(&home), json!(null), "nobody asked for a tailnet");
    drop(gateway);
}

#[test]
fn a_funnel_without_a_password_and_a_wide_port_start_nothing() {
    for config in [
        "{gateway: {auth: {token: 'a1b2c3d4e5f6a1b2c3d4e5f6'}, tailscale: {mode: 'funnel'}}}",
        "{gateway: {tailscale: {mode: 'funnel'}}}",
        "{gateway: {auth: {mode: 'password'}, tailscale: {mode: 'funnel'}}}",
        "{gateway: {bind: 'lan', auth: {token: 'a1b2c3d4e5f6a1b2c3d4e5f6'}, tailscale: {mode: 'serve'}}}",
    ] {
        let home = configured(config, "");
        let ran = home.run(&["gateway", "run", "--port", "0"]);
        assert_eq!(ran.code, 78, "{config} {ran:?}");
    }
    // A flag widens what the file keeps narrow: it runs, and is not published.
    let tailscale = Tailscale::new();
    let home = configured(SERVE, "");
    let command = home.command(&["gateway", "run", "--port", "0", "--bind", "lan"]);
    let gateway = super::Running::start(tailscale.on_path(command));
    tells(&home, "fault", "not on this machine alone");
    assert_eq!(tailscale.changes(), [""; 0]);
    drop(gateway);
}
