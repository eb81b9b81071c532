//! The command line and a gateway of its own.

mod support;

use support::{Home, finish};

#[test]
fn the_commands_find_the_gateway_that_runs_and_its_secret() {
    let home = Home::new();
    let gateway = home.gateway(&[]);
    let health = home.run(&["health"]).ok().out;
    assert!(
        health.contains("healthy") && health.contains(&gateway.port.to_string()),
        "{health}"
    );
    assert_eq!(home.run(&["health", "--json"]).ok().json()["ok"], true);
    let status = home.run(&["gateway", "status", "--json"]).ok().json();
    assert_eq!(status["process"], gateway.pid());
    for words in [
        &["status"][..],
        &["gateway", "probe"],
        &["gateway", "call", "health"],
        &["channels"],
        &["models"],
        &["system", "presence"],
        &["system", "heartbeat"],
        &["voicewake", "get"],
    ] {
        let plain = home.run(words).ok();
        assert!(!plain.out.is_empty(), "{words:?}");
        let mut words = words.to_vec();
        words.push("--json");
        home.run(&words).ok().json();
    }
    let page = home.run(&["dashboard", "--no-open"]).ok().out;
    let token = home.run(&["token"]).ok().out;
    let expected = format!("http://127.0.0.1:{}/#token={token}", gateway.port);
    assert_eq!(page, expected);
    // A page of the ecosystem reads the fragment as well; a query would be written down on its way.
    home.configure("{ gateway: { controlUi: { root: '/nowhere' } } }");
    let page = home.run(&["dashboard", "--no-open"]).ok().out;
    assert!(page.starts_with(&expected) && !page.contains('?'), "{page}");
    let missing = home.run(&["sessions", "preview", "nosuch", "--json"]);
    assert_eq!(missing.code, 1, "{missing:?}");
    let told = missing.json()["error"]["message"].take();
    assert_eq!(told, "there is no session nosuch");
    let wrong = home.run(&["devices", "pair", "--role", "operator", "--scopes", "fly"]);
    assert_eq!(wrong.code, 2, "{wrong:?}");
    assert!(
        wrong.err.contains("admin, approvals, pairing, read, write"),
        "{wrong:?}"
    );
    assert_eq!(gateway.stop(), Some(0));
}

#[test]
fn a_second_gateway_is_refused_in_one_line_and_touches_nothing() {
    let home = Home::new();
    let first = home.gateway(&[]);
    let second = home.run(&["gateway", "run", "--port", "0"]);
    assert_eq!(second.code, 78);
    assert!(second.err.contains(&first.pid().to_string()), "{second:?}");
    assert_eq!(second.err.trim_end().lines().count(), 1, "{second:?}");
    home.run(&["health"]).ok();

    let taken = first.port.to_string();
    let other = Home::new().run(&["gateway", "run", "--port", &taken]);
    assert_eq!(other.code, 78, "{other:?}");
    assert!(other.err.contains(&taken), "{other:?}");
    let who = format!("another gateway, process {}", first.pid());
    assert!(other.err.contains(&who), "{other:?}");
    assert!(
        other.err.contains("see which: clawdia gateway list"),
        "{other:?}"
    );

    let mine = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = mine.local_addr().unwrap().port().to_string();
    let other = Home::new().run(&["gateway", "run", "--port", &port]);
    assert_eq!(other.code, 78, "{other:?}");
    let mend = format!(
        "end it: kill {}; or use another port: --port PORT",
        std::process::id()
    );
    assert!(other.err.contains(&mend), "{other:?}");
    let mut looks = Home::new().command(&["doctor"]);
    looks.env("CLAWDIA_GATEWAY_PORT", &port);
    let told = finish(looks).out;
    let mend = format!("mend: kill {}\n", std::process::id());
    assert!(told.contains(&mend), "{told}");
}

#[test]
fn force_leaves_the_former_gateway_where_it_would_be_refused_itself() {
    let home = Home::new();
    let former = home.gateway(&[]);
    let mine = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = mine.local_addr().unwrap().port().to_string();
    let taken = home.run(&["gateway", "run", "--force", "--port", &port]);
    assert_eq!(taken.code, 78, "{taken:?}");
    assert!(
        taken.err.contains("goes on") && taken.err.contains(&port),
        "{taken:?}"
    );
    home.configure("{ gateway: { bind: loopback } }");
    let faulty = home.run(&["gateway", "run", "--force", "--port", "0"]);
    assert_eq!(faulty.code, 78, "{faulty:?}");
    home.configure("{}");
    let health = home.run(&["gateway", "status", "--json"]).ok().json();
    assert_eq!(health["process"], former.pid());
}

#[test]
fn force_ends_the_former_gateway_of_this_state_directory() {
    let home = Home::new();
    let former = home.gateway(&[]);
    let former_pid = former.pid();
    let next = home.gateway(&["--force"]);
    assert_eq!(former.wait(), Some(0));
    let status = home.run(&["gateway", "status", "--json"]).ok().json();
    assert_eq!(status["process"], next.pid());
    assert_ne!(status["process"], former_pid);
}

#[test]
fn a_wrong_token_is_named_with_its_origin() {
    let home = Home::new();
    let _gateway = home.gateway(&[]);
    let ran = home.run(&["health", "--token", "wrong"]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("refused the token"), "{ran:?}");
    assert!(ran.err.contains("from --token"), "{ran:?}");
    assert!(ran.err.contains("clawdia token"), "{ran:?}");
    let mut command = home.command(&["health"]);
    command.env("CLAWDIA_GATEWAY_TOKEN", "wrong");
    assert!(finish(command).err.contains("unset CLAWDIA_GATEWAY_TOKEN"));
}

#[test]
fn a_gateway_with_a_password_is_found_too() {
    let home = Home::new();
    home.configure("{ gateway: { auth: { mode: 'password', password: 'open sesame' } } }");
    let _gateway = home.gateway(&[]);
    home.run(&["health"]).ok();
    assert_eq!(home.run(&["token"]).ok().out, "open sesame\n");
    assert_eq!(home.run(&["health", "--password", "no"]).code, 1);
}

#[test]
fn profiles_share_nothing() {
    let home = Home::new();
    let work = home.gateway(&["--profile", "work"]);
    let _plain = home.gateway(&[]);
    let process = |words: &[&str]| {
        let mut all = vec!["gateway", "status", "--json"];
        all.extend(words);
        home.run(&all).ok().json()["process"].clone()
    };
    assert_eq!(process(&["--profile", "work"]), work.pid());
    assert_ne!(process(&[]), work.pid());
    let token = |words: &[&str]| home.run(words).ok().out;
    assert_ne!(token(&["token"]), token(&["--profile=work", "token"]));
    // The unnamed profile has nothing to say to the other one's gateway.
    let url = format!("ws://127.0.0.1:{}", work.port);
    let ran = home.run(&["health", "--url", &url]);
    assert!(ran.err.contains("none was sent"), "{ran:?}");
}

#[test]
fn the_gateways_of_this_machine_are_listed_by_profile() {
    let home = Home::new();
    let work = home.gateway(&["--profile", "work"]);
    let stopped = home.gateway(&[]);
    stopped.stop();
    for words in [
        &["gateway", "list", "--json"][..],
        &["gateway", "list", "--json", "--profile", "work"],
    ] {
        let list = home.run(words).ok().json();
        let rows = list["gateways"].as_array().unwrap();
        assert_eq!(rows.len(), 2, "{list}");
        assert_eq!(
            (&rows[0]["profile"], &rows[0]["running"]),
            (&"default".into(), &false.into())
        );
        assert_eq!(rows[0]["port"], 18789);
        assert_eq!(rows[1]["profile"], "work");
        assert_eq!(
            (&rows[1]["process"], &rows[1]["port"]),
            (&work.pid().into(), &work.port.into())
        );
    }
    assert!(home.run(&["gateway", "list"]).ok().out.contains("runs"));
}

#[test]
fn a_change_says_when_it_takes_effect() {
    let home = Home::new();
    let set = |port: &str| home.run(&["config", "set", "gateway.port", port]).ok().out;
    assert!(!set("20001").contains("in effect"), "no gateway runs");
    home.run(&["config", "unset", "gateway.port"]).ok();
    home.configure("{ hooks: { token: 'a-token-of-the-hooks-own' } }");
    let gateway = home.gateway(&[]);
    assert!(set("20002").contains("in effect"));
    let live = home.run(&["config", "set", "agents.defaults.model", "a/b", "--json"]);
    let live = live.ok().json();
    assert_eq!(
        (&live["needsRestart"], &live["inEffect"]),
        (&false.into(), &true.into())
    );
    // What is said to be in effect is so when it is said.
    for on in ["true", "false", "true", "false"] {
        let set = home.run(&["config", "set", "hooks.enabled", on]).ok().out;
        assert!(set.contains("in effect    now"), "{set}");
        let mut socket = std::net::TcpStream::connect(("127.0.0.1", gateway.port)).unwrap();
        std::io::Write::write_all(
            &mut socket,
            b"POST /hooks/wake HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n",
        )
        .unwrap();
        let mut answer = String::new();
        std::io::Read::read_to_string(&mut socket, &mut answer).unwrap();
        assert_eq!(
            answer.contains("wrong hooks token") || answer.contains("Bearer TOKEN"),
            on == "true",
            "{answer}"
        );
    }
    let set = home.run(&[
        "config",
        "set",
        "agents.defaults.userTimezone",
        "${NOT_SET}",
    ]);
    let set = set.ok().out;
    assert!(set.contains("not yet") && set.contains("NOT_SET"), "{set}");
}

#[test]
fn a_damaged_backup_is_refused_in_words_that_help() {
    let home = Home::new();
    drop(home.gateway(&[]));
    let file = home.state().with_file_name("state.backup");
    let path = file.to_str().unwrap();
    home.run(&["backup", path]).ok();
    let whole = std::fs::read(&file).unwrap();
    let header = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at..at + 64].fill(0xff);
        bytes
    };
    let mut pages = whole.clone();
    let every = pages[4096..].chunks_mut(4096);
    every.for_each(|page| page[0] ^= 0xff);
    for bytes in [
        header(4096),
        header(whole.len() - 4096),
        header(100),
        pages,
        whole[..whole.len() / 2].to_vec(),
    ] {
        std::fs::write(&file, bytes).unwrap();
        let refused = home.run(&["restore", path]);
        let words = format!("the backup {path} cannot be used: it");
        assert!(
            refused.code == 78 && refused.err.contains(&words),
            "{refused:?}"
        );
        assert!(
            refused.err.contains("  try       clawdia restore FILE"),
            "{refused:?}"
        );
        for raw in ["malformed", "Tree ", "SQL", "disk image", "not a database"] {
            assert!(!refused.err.contains(raw), "{refused:?}");
        }
    }
}

#[test]
fn a_backup_brings_everything_back() {
    let home = Home::new();
    let gateway = home.gateway(&[]);
    home.run(&["health"]).ok();
    let token = home.run(&["token"]).ok().out;
    let file = home.state().with_file_name("state.backup");
    let file = file.to_str().unwrap();
    home.run(&["backup", file]).ok();
    // What is of no use stops no gateway.
    let wrong = home.state().join("gateway-token");
    let useless = home.run(&["restore", wrong.to_str().unwrap()]);
    assert!(
        useless.err.contains("no backup at all") && !useless.err.contains("stop"),
        "{useless:?}"
    );
    let refused = home.run(&["restore", file]);
    assert!(
        refused.err.contains("the gateway runs (process"),
        "{refused:?}"
    );
    assert_eq!(refused.code, 78, "while it runs");
    assert!(refused.err.contains("clawdia gateway stop"), "{refused:?}");
    gateway.stop();
    let logs = home.run(&["logs"]).ok().out;
    assert!(logs.contains("no gateway runs"), "{logs}");
    assert!(logs.lines().count() > 1, "its last words: {logs}");
    std::fs::remove_file(home.state().join("gateway-token")).unwrap();
    let told = home.run(&["restore", file]).ok().out;
    assert!(
        told.contains("next") && told.contains("clawdia gateway run"),
        "{told}"
    );
    let told = home.run(&["--profile", "new", "restore", file]).ok().out;
    assert!(
        !told.contains("kept") && told.contains("--profile new gateway run"),
        "{told}"
    );
    let nothing = Home::new().run(&["backup", "never"]);
    assert!(
        nothing.code == 1 && nothing.err.contains("nothing to back up"),
        "{nothing:?}"
    );
    assert_eq!(home.run(&["token"]).ok().out, token);
    let again = home.run(&["backup", file]);
    assert_eq!(again.code, 1, "nothing is overwritten: {again:?}");
    let missing = home.run(&["restore", "nowhere.backup"]);
    assert_eq!(missing.code, 1, "{missing:?}");
    assert!(
        missing.err.contains("no file nowhere.backup"),
        "{missing:?}"
    );
    let _again = home.gateway(&[]);
    home.run(&["health"]).ok();
}

#[test]
fn the_agent_answers_without_any_configuration() {
    let home = Home::new();
    let _gateway = home.gateway(&[]);
    let ran = home.run(&["agent", "--message", "who is connected?"]).ok();
    assert!(ran.out.contains("1 operator"), "{ran:?}");
    let words = ["agent", "-m", "help", "--session", "x", "--json"];
    let last = home.run(&words).ok().json();
    assert_eq!(last["status"], "ok");
    assert_ne!(last["result"]["payloads"][0]["text"], "");
}

#[test]
fn a_device_from_elsewhere_waits_until_it_is_let_in() {
    let home = Home::new();
    let gateway = home.gateway(&[]);
    let token = home.run(&["token"]).ok().out.trim().to_owned();
    // Not a loopback address by name, so not local to the gateway; it leads here all the same.
    let url = format!("ws://0.0.0.0:{}", gateway.port);
    let elsewhere = Home::new();
    let knock = || elsewhere.run(&["health", "--url", &url, "--token", &token, "--insecure"]);
    let refused = knock();
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.err.contains("not paired"), "{refused:?}");
    let list = home.run(&["devices", "--json"]).ok().json();
    let request = list["pending"][0]["requestId"].as_str().unwrap().to_owned();
    assert!(
        refused
            .err
            .contains(&format!("clawdia devices approve {request}")),
        "{refused:?}"
    );
    assert!(home.run(&["devices"]).ok().out.contains("Waiting (1)"));

    home.run(&["devices", "reject", &request[..8]]).ok();
    assert_eq!(
        home.run(&["devices", "approve", &request]).code,
        1,
        "it is gone"
    );
    assert_eq!(knock().code, 1);
    home.run(&["devices", "approve", "--latest"]).ok();
    knock().ok();

    let identity = support::read(&elsewhere.state().join("identity/device.json"));
    let identity: serde_json::Value = serde_json::from_str(&identity).unwrap();
    let device = identity["deviceId"].as_str().unwrap();
    home.run(&["devices", "rotate", device, "--scope", "operator.read"])
        .ok();
    let scopes = || {
        let list = home.run(&["devices", "--json"]).ok().json();
        let paired = list["paired"].as_array().unwrap().clone();
        let found = paired
            .into_iter()
            .find(|entry| entry["deviceId"] == device)
            .unwrap();
        found["tokens"][0]["scopes"].clone()
    };
    assert_eq!(scopes(), serde_json::json!(["operator.read"]));
    home.run(&["devices", "revoke", &device[..12]]).ok();
}

#[test]
fn a_followed_log_goes_on_over_a_restart() {
    use std::io::{BufRead, BufReader};
    let home = Home::new();
    let former = home.gateway(&[]);
    let mut command = home.command(&["logs", "--follow"]);
    let mut child = command
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut wait_for = |text: &str| {
        lines
            .by_ref()
            .map_while(Result::ok)
            .find(|line| line.contains(text))
            .expect(text)
    };
    wait_for("listening");
    former.stop();
    wait_for("trying again");
    let _next = home.gateway(&[]);
    wait_for("listening");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_gateway_on_an_address_of_its_own_is_found_on_this_machine_too() {
    let home = Home::new();
    home.configure("{ gateway: { bind: 'custom', customBindHost: '127.0.0.3', auth: { token: 'its-own-long-token' } } }");
    let gateway = home.gateway(&[]);
    let health = home.run(&["health"]).ok().out;
    assert!(
        health.contains(&format!("ws://127.0.0.1:{}", gateway.port)),
        "{health}"
    );
    // The same port elsewhere is not taken for it.
    let beside = format!("ws://127.0.0.3:{}", gateway.port);
    let ran = home.run(&["health", "--url", &beside]);
    assert!(ran.err.contains("none was sent"), "{ran:?}");
}

#[test]
fn which_model_each_agent_uses_is_told_without_its_key() {
    let home = Home::new();
    home.configure(
        "{ models: { providers: { local: { baseUrl: 'http://127.0.0.1:1/v1', apiKey: 'sk-hidden' } } }, \
         agents: { defaults: { model: 'local/one' }, list: [{ id: 'main' }, { id: 'ops', \
         model: { primary: 'local/two', fallbacks: ['builtin/clawdia'] } }] } }",
    );
    let _gateway = home.gateway(&[]);
    let told = home.run(&["models", "status"]).ok().out;
    for line in [
        ["main", "local/one", "-"],
        ["ops", "local/two", "builtin/clawdia"],
        ["local", "http://127.0.0.1:1/v1", "yes"],
    ] {
        let has = |it: &str| it.split_whitespace().eq(line);
        assert!(told.lines().any(has), "{line:?}: {told}");
    }
    let json = home.run(&["models", "status", "--json"]).ok();
    assert_eq!(json.json()["agents"][1]["model"], "local/two");
    assert_eq!(json.json()["troubles"], serde_json::json!([]));
    assert!(!(told + &json.out).contains("sk-hidden"));
    let gone = ["config", "set", "agents.defaults.model", "gone/x"];
    home.run(&gone).ok();
    let fault = "there is no provider gone, which gone/x needs";
    let told = home.run(&["models", "status"]).ok().out;
    assert!(told.contains(fault), "{told}");
    let json = home.run(&["models", "status", "--json"]).ok().json();
    let message = json["troubles"][0]["message"].as_str().unwrap();
    assert!(message.starts_with(fault), "{json}");
    home.run(&["config", "unset", "agents"]).ok();
    let told = home.run(&["models", "status"]).ok().out;
    assert!(told.contains("builtin/clawdia"), "{told}");
    let key = "models.providers.local.apiKey";
    home.run(&["config", "set", key, "${CLAWDIA_NOT_SET}"]).ok();
    let told = home.run(&["models", "status"]).ok().out;
    assert!(told.contains("goes on with an earlier one"), "{told}");
}
