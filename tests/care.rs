//! Care of an installation: set up, take over, look for faults and for what lets others in.

mod support;

use clawdia::client::GatewayUrl;
use clawdia::client::ws::WebSocket;
use clawdia::driver::device::{Device, Proof};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use support::{Home, Running, read};

const FIXTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/clawdbot");

/// Connects as a device of the old installation, with the token that it has from there.
fn connect(gateway: &Running, device: u64, role: &str, token: &str) -> Value {
    let deadline = Instant::now() + Duration::from_secs(20);
    let url = GatewayUrl::loopback(gateway.port);
    let mut ws = WebSocket::open(&url, None, deadline).unwrap();
    let challenge: Value = serde_json::from_str(&ws.next_text(deadline).unwrap()).unwrap();
    let nonce = challenge["payload"]["nonce"].as_str().unwrap();
    let mode = if role == "node" { "node" } else { "cli" };
    let mut params = json!({
        "minProtocol": 3, "maxProtocol": 3, "role": role, "caps": [],
        "client": {"id": "old", "version": "1", "platform": "iOS 18.1", "mode": mode},
        "scopes": if role == "node" { json!([]) } else { json!(["operator.admin"]) },
        "commands": if role == "node" { json!(["camera.snap"]) } else { json!([]) },
        "auth": {"token": token},
    });
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Device::new(device).sign(&mut params, Proof::V2, nonce, now.as_millis() as u64);
    let request = json!({"type": "req", "id": "1", "method": "connect", "params": params});
    ws.send_text(&request.to_string(), deadline).unwrap();
    serde_json::from_str(&ws.next_text(deadline).unwrap()).unwrap()
}

#[test]
fn devices_of_an_imported_installation_need_not_pair_again() {
    let home = Home::new();
    let dry = home
        .run(&["import", FIXTURE, "--dry-run", "--json"])
        .ok()
        .json();
    assert_eq!((&dry["devices"], &dry["messages"]), (&json!(2), &json!(2)));
    assert!(!home.state().exists());
    home.run(&["import", FIXTURE]).ok();
    let gateway = home.gateway(&[]);
    for (device, role, token) in [
        (101, "operator", "0f1e2d3c4b5a69788796a5b4c3d2e1f0"),
        (102, "node", "00112233445566778899aabbccddeeff"),
    ] {
        let hello = connect(&gateway, device, role, token);
        assert_eq!(hello["ok"], true, "{hello}");
        assert_eq!(
            hello["payload"]["auth"]["deviceToken"], token,
            "it keeps its token"
        );
        let wrong = connect(&gateway, device, role, "another");
        assert_eq!(wrong["ok"], false, "{wrong}");
    }
    let history = [
        "gateway",
        "call",
        "chat.history",
        "--params",
        "{\"sessionKey\":\"main\"}",
    ];
    let history = home.run(&history).ok().json();
    let texts: Vec<&str> = history["messages"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|message| message["content"][0]["text"].as_str())
        .collect();
    assert_eq!(
        texts,
        ["hello from the past", "a plain text, as old rows have it"]
    );
    // While a gateway runs here nothing is taken over under it.
    let refused = home.run(&["import", FIXTURE]);
    assert_eq!(refused.code, 78, "{refused:?}");
    // The old token is this gateway's now.
    let token = home.run(&["token"]).ok().out;
    assert_eq!(token.trim(), "a-token-from-the-old-installation");
}

#[test]
fn a_machine_whose_gateway_runs_already_keeps_its_token() {
    let home = Home::new();
    let gateway = home.gateway(&[]);
    let made = home.run(&["token"]).ok().out;
    let told = home.run(&["setup", "--yes"]).ok().out;
    assert!(told.contains("the token that the gateway made"), "{told}");
    assert_eq!(home.run(&["token"]).ok().out, made);
    home.run(&["health"]).ok();
    gateway.stop();
}

#[test]
fn a_machine_is_set_up_by_options_and_audits_clean() {
    let home = Home::new();
    home.run(&["setup", "--yes", "--port", "18999"]).ok();
    let config = read(&home.state().join("clawdia.json"));
    assert!(
        config.contains("18999") && config.contains("loopback"),
        "{config}"
    );
    let mode = std::fs::metadata(home.state().join("clawdia.json"))
        .unwrap()
        .permissions();
    assert_eq!(mode.mode() & 0o777, 0o600);
    let first = home.run(&["token"]).ok().out;
    // Once more keeps the secret, and what is wrong is refused before anything is written.
    home.run(&["setup", "--yes", "--bind", "auto"]).ok();
    assert_eq!(home.run(&["token"]).ok().out, first);
    for words in [
        &["setup", "--yes", "--bind", "everywhere"][..],
        &["setup", "--yes", "--model", "no-slash"],
        &["setup", "--yes", "--bind", "custom", "--host", "999.1.1.1"],
    ] {
        assert_ne!(home.run(words).code, 0, "{words:?}");
    }
    home.run(&["config", "validate"]).ok();
    home.run(&["setup", "--yes", "--bind", "loopback"]).ok();
    let audit = home.run(&["security", "audit", "--json"]).ok().json();
    let critical = |audit: &Value, id: &str| {
        let findings = audit["findings"].as_array().unwrap();
        findings
            .iter()
            .any(|it| it["id"] == id && it["severity"] == "critical")
    };
    assert_eq!(audit["ok"], true, "{audit}");
    home.run(&["config", "set", "gateway.bind", "lan"]).ok();
    let audit = home.run(&["security", "audit", "--json"]);
    assert_eq!(audit.code, 1);
    assert!(critical(&audit.json(), "bind.cleartext"), "{audit:?}");
    std::fs::set_permissions(home.state(), PermissionsExt::from_mode(0o755)).unwrap();
    let audit = home.run(&["security"]);
    assert!(audit.out.contains("chmod 700"), "{audit:?}");
}

/// The states of the checks by name.
fn checks(told: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
    let rows = told["checks"].as_array().unwrap().iter();
    rows.map(|it| (text(&it["name"]), text(&it["status"])))
        .collect()
}

#[test]
fn the_doctor_names_each_fault_with_the_command_that_mends_it() {
    let home = Home::new();
    let ran = home.run(&["doctor", "--json"]);
    assert_eq!(ran.code, 1);
    assert!(ran.out.contains("clawdia gateway run"), "{ran:?}");

    let gateway = home.gateway(&[]);
    let ran = home.run(&["doctor", "--json"]);
    let told = ran.json();
    assert_eq!((ran.code, &told["ok"]), (0, &json!(true)), "{told}");
    for name in [
        "configuration",
        "state",
        "secret",
        "gateway",
        "handshake",
        "over TCP",
        "clock",
        "pairing",
    ] {
        let found = checks(&told);
        assert!(
            found.contains(&(name.into(), "ok".into())),
            "{name}: {found:?}"
        );
    }
    home.run(&["doctor"]).ok();

    // The secret in the files is not the one that the gateway was started with.
    std::fs::write(
        home.state().join("gateway-token"),
        "somebody-changed-this-token-0000\n",
    )
    .unwrap();
    let ran = home.run(&["doctor", "--json"]);
    assert!(ran.out.contains("refused the token"), "{ran:?}");
    std::fs::set_permissions(
        home.state().join("gateway-token"),
        PermissionsExt::from_mode(0o644),
    )
    .unwrap();
    let ran = home.run(&["doctor"]);
    assert!(ran.out.contains("chmod 600"), "{ran:?}");
    drop(gateway);

    let home = Home::new();
    home.configure("{ gateway: { prot: 1 } }");
    let ran = home.run(&["doctor"]);
    assert!(
        ran.out.contains("gateway.prot") && ran.out.contains("config validate"),
        "{ran:?}"
    );
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    home.configure(&format!(
        "{{ gateway: {{ port: {} }} }}",
        taken.local_addr().unwrap().port()
    ));
    let ran = home.run(&["doctor"]);
    let mend = format!("mend: kill {}\n", std::process::id());
    assert!(ran.out.contains(&mend), "{ran:?}");
}

#[test]
fn status_and_doctor_do_not_say_that_all_is_well_when_it_is_not() {
    let home = Home::new();
    let gateway = home.gateway(&[]);
    let status = || home.run(&["status"]).ok().out;
    assert!(status().contains("● healthy"));
    for (config, told) in [
        (
            "{ agents: { defaults: { model: { primary: 'acme/x' } } } }",
            "provider acme",
        ),
        (
            "{ gateway: { controlUi: { root: '/no/such/folder' } } }",
            "index.html",
        ),
        ("{ gateway: { bind: 'lan' } }", "neither token nor password"),
        (
            "{ gateway: { bind: 'custom', customBindHost: '192.0.2.1',
                          auth: { token: 'a-secret-that-somebody-chose' } } }",
            "the next start would fail",
        ),
    ] {
        home.configure(config);
        let shown = status();
        assert!(
            !shown.contains("● healthy") && shown.contains(told),
            "{shown}"
        );
        let json = home.run(&["status", "--json"]).ok().json();
        assert_eq!(json["troubles"].as_array().unwrap().len(), 1, "{json}");
        let ran = home.run(&["doctor"]);
        assert!(ran.code == 1 && ran.out.contains(told), "{ran:?}");
    }
    drop(gateway);
}

#[test]
fn a_channel_that_does_not_work_is_no_health() {
    let home = Home::new();
    // Nobody listens there.
    home.configure(
        "{ channels: { telegram: { botToken: '1:abc', apiRoot: 'http://127.0.0.1:1' } } }",
    );
    let gateway = home.gateway(&[]);
    support::eventually(|| {
        let shown = home.run(&["status"]).ok().out;
        !shown.contains("● healthy") && shown.contains("telegram: ")
    });
    let ran = home.run(&["doctor"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(
        ran.out.contains("clawdia channels status --probe"),
        "{ran:?}"
    );
    drop(gateway);
}

#[test]
fn the_audit_names_who_may_speak_and_what_the_network_is_told() {
    let home = Home::new();
    let findings = |config: &str| {
        home.configure(config);
        let told = home.run(&["security", "audit", "--json"]).json();
        let rows = told["findings"].as_array().unwrap().clone();
        let id = |row: &Value| row["id"].as_str().unwrap().to_owned();
        rows.iter().map(id).collect::<Vec<String>>()
    };
    let telegram =
        |more: &str| format!("{{ channels: {{ telegram: {{ botToken: '1:a', {more} }} }} }}");
    for (config, id) in [
        (
            telegram("dmPolicy: 'open', allowFrom: ['*']"),
            "channels.dm.open",
        ),
        (telegram("groupPolicy: 'open'"), "channels.groups.open"),
        (
            telegram("allowFrom: ['7'], groups: { '-1': { requireMention: false } }"),
            "channels.groups.unmentioned",
        ),
        (
            "{ discovery: { mdns: { mode: 'full' } } }".to_owned(),
            "discovery.told",
        ),
        (
            "{ gateway: { bind: 'lan', auth: { token: 'a-secret-that-somebody-chose' } } }"
                .to_owned(),
            "discovery.told",
        ),
    ] {
        assert!(findings(&config).iter().any(|it| it == id), "{config}");
    }
    let quiet = findings(&telegram("allowFrom: ['7']"));
    let loud = |id: &String| id.starts_with("channels.") || id.starts_with("discovery.");
    assert!(!quiet.iter().any(loud), "{quiet:?}");
    let told = |config: &str| {
        home.configure(config);
        home.run(&["doctor"]).out
    };
    assert!(told("{}").contains("the network is told nothing"));
    let full = told("{ discovery: { mdns: { mode: 'full' } } }");
    assert!(full.contains("where SSH is"), "{full}");
}

#[test]
fn a_typing_error_a_foreign_key_and_a_shared_secret_are_told_by_validate_doctor_and_start() {
    let home = Home::new();
    let token = "0123456789abcdef0123456789abcdef";
    home.configure(&format!(
        "{{ tools: {{ dney: ['exec'], exec: {{}} }}, meta: {{}}, hooks: {{ token: '{token}' }}, \
         channels: {{ telegram: {{ webhookSecret: '{token}' }} }}, \
         browser: {{ controlToken: '{token}' }}, gateway: {{ auth: {{ token: '{token}' }} }} }}"
    ));
    let _gateway = home.gateway(&[]);
    let words = [
        "did you mean tools.deny?",
        "not used by clawdia: tools.exec",
        "hooks.token",
        "browser.controlToken",
        "channels.telegram.webhookSecret",
    ];
    // A gateway that listens may have lines that are still on their way to the file.
    let log = || support::read(&home.state().join("logs/clawdia.log"));
    support::eventually(|| words.iter().all(|word| log().contains(word)));
    for told in [
        home.run(&["config", "validate"]).ok().out,
        home.run(&["doctor"]).out,
        log(),
    ] {
        for word in words {
            assert!(told.contains(word), "{word}: {told}");
        }
    }
    let audit = home.run(&["security", "audit"]);
    for id in ["hooks.token", "browser.token", "channels.webhook"] {
        assert!(audit.out.contains(&format!("[{id}.shared]")), "{audit:?}");
    }
    let told = home.run(&["config", "validate", "--json"]).ok().json();
    assert_eq!(told["unserved"], serde_json::json!(["tools.exec"]));
    let set = home.run(&["config", "set", "cron.enable", "true"]).ok();
    assert!(set.out.contains("did you mean cron.enabled?"), "{set:?}");
    // A secret that stands in no file is the gateway's own as well.
    let home = Home::new();
    drop(home.gateway(&[]));
    let token = home.run(&["token"]).ok().out;
    let (token, port) = (token.trim(), support::free_port());
    home.configure(&format!(
        "{{ hooks: {{ token: '{token}' }}, gateway: {{ port: {port} }} }}"
    ));
    let told = home.run(&["config", "validate"]).ok().out;
    assert!(told.contains("hooks.token"), "{told}");
}

#[test]
fn the_doctor_knocks_at_servers_and_looks_at_the_database() {
    let home = Home::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let up = listener.local_addr().unwrap();
    // Nobody listens at port 1.
    home.configure(&format!(
        "{{ models: {{ providers: {{ up: {{ baseUrl: 'http://{up}/v1' }}, \
         dead: {{ baseUrl: 'http://127.0.0.1:1/v1' }} }} }}, \
         mcp: {{ servers: {{ tools: {{ command: '/no/such/program' }} }} }} }}"
    ));
    let gateway = home.gateway(&[]);
    support::eventually(|| {
        home.run(&["doctor"]).out.contains("no such program")
            || home.run(&["mcp", "list"]).out.contains("down")
    });
    let ran = home.run(&["doctor"]);
    for words in [
        &format!("up: {up} listens") as &str,
        "dead: nothing answers at 127.0.0.1:1",
        "models.providers.dead.baseUrl",
        "tools: there is no program",
        "mcp.servers.tools.enabled false",
    ] {
        assert!(ran.out.contains(words), "{words}: {ran:?}");
    }
    let status = home.run(&["status"]).ok().out;
    let is_told = status.contains("tools: there is no program");
    assert!(is_told && !status.contains("● healthy"), "{status}");
    // A variable that this shell has and the gateway has not.
    home.configure("{ agents: { defaults: { userTimezone: '${HERE_ALONE}' } } }");
    let mut doctor = home.command(&["doctor"]);
    doctor.env("HERE_ALONE", "Europe/Vienna");
    let told = support::finish(doctor).out;
    let words = "goes on with an earlier one: agents.defaults.userTimezone";
    assert!(told.contains(words), "{told}");
    let status = home.run(&["status"]).ok().out;
    assert!(status.contains(words), "{status}");
    // Nor would it start again with that, so it is not ended.
    let refused = home.run(&["gateway", "restart"]);
    assert_eq!(refused.code, 78, "{refused:?}");
    assert!(refused.err.contains("it runs on"), "{refused:?}");
    // Nor with what is valid and lets no gateway start.
    home.configure("{ gateway: { bind: 'lan' } }");
    let refused = home.run(&["gateway", "restart"]);
    assert_eq!(refused.code, 78, "{refused:?}");
    assert!(
        refused.err.contains("neither token nor password"),
        "{refused:?}"
    );
    home.run(&["health"]).ok();
    gateway.stop();
    listener.set_nonblocking(true).unwrap();
    let (mut socket, _) = listener.accept().expect("it was knocked at");
    let mut sent = Vec::new();
    std::io::Read::read_to_end(&mut socket, &mut sent).unwrap();
    assert_eq!(sent, [0; 0], "and nothing was said");
    let whole = |home: &Home| checks(&home.run(&["doctor", "--json"]).json());
    assert!(whole(&home).contains(&("database".into(), "ok".into())));
    let database = home.state().join("clawdia.db");
    let mut bytes = std::fs::read(&database).unwrap();
    bytes[4096..]
        .chunks_mut(4096)
        .for_each(|page| page[0] ^= 0xff);
    std::fs::write(&database, bytes).unwrap();
    let ran = home.run(&["doctor"]);
    assert!(ran.out.contains("clawdia restore FILE"), "{ran:?}");
    assert!(whole(&home).contains(&("database".into(), "fault".into())));
}

#[test]
fn a_workspace_made_by_hand_is_one_finding_that_weighs_little() {
    let home = Home::new();
    home.configure("{}");
    let workspace = home.state().join("workspace");
    std::fs::create_dir(&workspace).unwrap();
    for name in ["AGENTS.md", "SOUL.md"] {
        std::fs::write(workspace.join(name), "x").unwrap();
    }
    let mode = |path: &std::path::Path, mode| {
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    };
    mode(&home.state().join("clawdia.json"), 0o600);
    mode(&home.state(), 0o700);
    mode(&workspace, 0o755);
    let found = || {
        let told = home.run(&["security", "audit", "--json"]).json();
        let rows = told["findings"].as_array().unwrap().clone().into_iter();
        rows.filter(|row| row["id"] == "state.permissions")
            .collect::<Vec<_>>()
    };
    let [row] = &found()[..] else {
        panic!("{:?}", found())
    };
    assert_eq!(row["severity"], "info");
    assert_eq!(row["mend"], format!("chmod 700 {}", workspace.display()));
    mode(&workspace, 0o700);
    assert_eq!(found(), [] as [Value; 0]);
}
