//! Telegram, from a message to its answer, against the built program and a server of the Bot API.

mod support;

use serde_json::{Value, json};
use support::telegram::{Fate, TOKEN, Telegram};
use support::{Home, eventually};

fn account(home: &Home) -> Value {
    let status = home.run(&["channels", "status", "--json"]).ok().json();
    status["channelAccounts"]["telegram"][0].clone()
}

#[test]
fn what_waits_is_counted_and_a_file_that_is_not_there_never_waits() {
    let telegram = Telegram::start();
    let home = Home::new();
    home.configure(&telegram.config("allowFrom: ['7']"));
    let _gateway = home.gateway(&[]);
    assert!(!home.run(&["status"]).ok().out.contains("outbox"));
    let far = json!({"ok": false, "parameters": {"retry_after": 600}});
    telegram.next("sendMessage", Fate::Refused(429, far));
    let send = |more: &[&str]| {
        let all = [&["message", "send", "--to", "7", "--timeout", "2s"], more].concat();
        home.run(&all)
    };
    let kept = send(&["--message", "later"]);
    assert!(kept.err.contains("not sent yet"), "{kept:?}");
    let strange = send(&["--channel", "foo", "--message", "x"]);
    assert!(strange.err.contains("there are telegram\n"), "{strange:?}");
    let refused = send(&["--media", "gone.txt"]);
    assert_eq!(refused.code, 1);
    assert!(
        refused.err.contains("gone.txt: No such file"),
        "{refused:?}"
    );
    let table = home.run(&["channels", "status"]).ok().out;
    let row = table.lines().find(|line| line.contains("default")).unwrap();
    assert!(table.contains("WAITING") && row.contains(" 1 "), "{table}");
    let status = home.run(&["status"]).ok().out;
    assert!(status.contains("1 message for a channel"), "{status}");
}

#[test]
fn a_stranger_is_let_in_and_answered_and_nobody_sees_the_token() {
    let telegram = Telegram::start();
    let home = Home::new();
    home.configure(&telegram.config(""));
    let gateway = home.gateway(&[]);
    telegram.write(7, "version");
    let text = telegram.wait_texts(7, 1).remove(0);
    let (_, rest) = text.split_once("<code>").unwrap();
    let code = &rest[..8];
    let list = home.run(&["pairing", "list", "--json"]).ok().json();
    assert_eq!(list["pending"][0]["code"], code);
    home.run(&["pairing", "approve", "telegram", "WRONGONE"]);
    let told = home.run(&["pairing", "approve", "telegram", code]).ok();
    assert!(told.out.contains("Ann (7) is let in"), "{told:?}");
    telegram.write(7, "version");
    let texts = telegram.wait_texts(7, 3);
    assert!(texts[2].contains(env!("CARGO_PKG_VERSION")), "{texts:?}");
    eventually(|| telegram.left() == 0);

    let send = [
        "message",
        "send",
        "--to",
        "7",
        "--message",
        "**hi** & <you>",
        "--key",
        "k",
    ];
    let sent = home.run(&send);
    assert!(sent.ok().out.contains("sent over telegram as message "));
    home.run(&send).ok();
    let texts = telegram.texts(7);
    assert_eq!(texts.len(), 4, "a repeated key sends nothing");
    assert_eq!(texts[3], "<b>hi</b> &amp; &lt;you&gt;");

    let probed = home
        .run(&["channels", "status", "--probe", "--json"])
        .ok()
        .json();
    let probe = &probed["channelAccounts"]["telegram"][0]["probe"];
    assert_eq!(probe["bot"]["username"], "claw_bot");
    let refused = json!({"description": "Bad Request: no such bot"});
    telegram.next("getMe", Fate::Refused(400, refused));
    let probed = home.run(&["channels", "status", "--probe"]);
    assert_eq!(probed.code, 1, "{probed:?}");
    assert!(probed.out.contains("running, probe failed"), "{probed:?}");
    assert!(probed.out.contains("no such bot"), "{probed:?}");
    assert!(probed.err.contains("1 probe failed"), "{probed:?}");
    home.run(&["channels", "logout", "telegram"]).ok();
    assert_eq!(account(&home)["running"], false);
    assert_eq!(gateway.stop(), Some(0));
    for entry in std::fs::read_dir(home.state().join("logs")).unwrap() {
        let log = support::read(&entry.unwrap().path());
        assert!(log.contains("claw_bot"), "it says which bot it is");
        assert!(!log.contains(TOKEN), "the token is in the log");
    }
}

#[test]
fn what_was_refused_for_now_is_sent_once_and_what_was_cut_is_told() {
    let telegram = Telegram::start();
    let home = Home::new();
    home.configure(&telegram.config("allowFrom: ['7']"));
    let _gateway = home.gateway(&[]);
    telegram.next(
        "sendMessage",
        Fate::Refused(429, json!({"parameters": {"retry_after": 1}})),
    );
    telegram.write(7, "version");
    telegram.wait_texts(7, 1);
    // Text that Telegram cannot read is sent without markup.
    let unread = json!({"description": "Bad Request: can't parse entities: x"});
    telegram.next("sendMessage", Fate::Refused(400, unread));
    home.run(&["message", "send", "--to", "7", "--message", "**a** < b"])
        .ok();
    let last = telegram.calls("sendMessage").pop().unwrap();
    assert_eq!(
        (last["text"].as_str(), last.get("parse_mode")),
        (Some("a < b"), None)
    );
    telegram.next(
        "sendMessage",
        Fate::Refused(403, json!({"description": "bot was blocked"})),
    );
    let refused = home.run(&["message", "send", "--to", "7", "--message", "x"]);
    assert!(
        refused.code == 1 && refused.err.contains("bot was blocked"),
        "{refused:?}"
    );
    telegram.next("sendMessage", Fate::Cut);
    telegram.write(7, "version");
    telegram.wait_texts(7, 3);
    eventually(|| account(&home)["outbox"]["unknown"] == 1);
    let shown = home.run(&["channels", "status"]).ok().out;
    assert!(shown.contains("unknown"), "{shown}");
    let params = r#"{"sessionKey":"main"}"#;
    let history = home
        .run(&["gateway", "call", "chat.history", "--params", params])
        .ok();
    assert!(
        history
            .out
            .contains("unknown whether this reached Telegram")
    );
    assert_eq!(telegram.texts(7).len(), 3);
}

#[test]
fn a_second_poller_is_reported_and_a_wrong_token_too() {
    let telegram = Telegram::start();
    let home = Home::new();
    home.configure(&telegram.config("allowFrom: ['7']"));
    let conflict = json!({"description": "Conflict: terminated by other getUpdates request"});
    telegram.next("getUpdates", Fate::Refused(409, conflict));
    let gateway = home.gateway(&[]);
    eventually(|| {
        let fault = account(&home)["lastError"].clone();
        fault
            .as_str()
            .is_some_and(|it| it.contains("another program"))
    });
    // It goes on when the other one is gone.
    telegram.write(7, "version");
    telegram.wait_texts(7, 1);
    eventually(|| account(&home)["lastError"].is_null());
    drop(gateway);
    home.configure(&telegram.config("").replace(TOKEN, "1:wrong-token"));
    let _gateway = home.gateway(&[]);
    eventually(|| {
        let fault = account(&home)["lastError"].clone();
        fault
            .as_str()
            .is_some_and(|it| it.contains("is the bot token right?"))
    });
}

#[test]
fn a_kill_while_a_message_is_sent_leaves_it_unknown_and_unrepeated() {
    let telegram = Telegram::start();
    let home = Home::new();
    home.configure(&telegram.config("allowFrom: ['7']"));
    let gateway = home.gateway(&[]);
    telegram.next("sendMessage", Fate::Hangs);
    telegram.write(7, "version");
    telegram.wait_texts(7, 1);
    drop(gateway);
    let _gateway = home.gateway(&[]);
    telegram.write(7, "version");
    telegram.wait_texts(7, 2);
    let account = account(&home);
    assert_eq!(account["outbox"]["unknown"], 1, "{account}");
    assert_eq!(telegram.texts(7).len(), 2);
}

#[test]
fn what_is_refused_since_the_group_moved_goes_to_its_new_id_once() {
    let telegram = Telegram::start();
    let home = Home::new();
    home.configure(&telegram.config(""));
    let _gateway = home.gateway(&[]);
    let moved = json!({"parameters": {"migrate_to_chat_id": -1005}});
    telegram.next("sendMessage", Fate::Refused(400, moved));
    home.run(&["message", "send", "--to", "-5", "--message", "hi"])
        .ok();
    assert_eq!(telegram.texts(-1005), ["hi"]);
    home.run(&["message", "send", "--to", "-5", "--message", "again"])
        .ok();
    assert_eq!(telegram.texts(-1005).len(), 2);
    assert!(telegram.texts(-5).is_empty());
}
