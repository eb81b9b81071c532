//! Telegram brings its updates itself, against the built program and a server of the Bot API.

mod support;

use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use support::telegram::{Fate, Telegram};
use support::{Home, eventually};

const SECRET: &str = "secret-of_the-webhook";

/// The status that the gateway answers an update with.
fn bring(port: u16, secret: &str, id: u64, text: &str) -> u16 {
    let update = json!({"update_id": id, "message": {
        "message_id": id, "date": 1, "text": text,
        "from": {"id": 7, "is_bot": false, "first_name": "Ann"},
        "chat": {"id": 7, "type": "private"},
    }});
    let body = update.to_string();
    let mut socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let head = format!(
        "POST /telegram-webhook HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\
         X-Telegram-Bot-Api-Secret-Token: {secret}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    socket.write_all((head + &body).as_bytes()).unwrap();
    let mut answer = String::new();
    let _ = socket.read_to_string(&mut answer);
    answer.split(' ').nth(1).map_or(0, |it| it.parse().unwrap())
}

fn account(home: &Home) -> Value {
    let status = home.run(&["channels", "status", "--json"]).ok().json();
    status["channelAccounts"]["telegram"][0].clone()
}

#[test]
fn what_is_brought_is_answered_once_and_going_back_takes_the_webhook_away() {
    let telegram = Telegram::start();
    let home = Home::new();
    let webhook = format!("webhookUrl: 'https://bot.example/in', webhookSecret: '{SECRET}',");
    home.configure(&telegram.config(&format!("{webhook} allowFrom: ['7']")));
    let gateway = home.gateway(&[]);
    eventually(|| !telegram.calls("setWebhook").is_empty());
    let set = telegram.calls("setWebhook").remove(0);
    assert_eq!(set["url"], "https://bot.example/in");
    assert_eq!(set["secret_token"], SECRET);
    assert_eq!(set["max_connections"], 1);
    assert_eq!(account(&home)["mode"], "webhook");
    assert_eq!(bring(gateway.port, "wrong", 5, "version"), 401);
    assert_eq!(bring(gateway.port, SECRET, 5, "version"), 200);
    drop(gateway);
    // It was answered, so it is stored, and brought again it is known.
    let gateway = home.gateway(&[]);
    let texts = telegram.wait_texts(7, 1);
    assert!(texts[0].contains(env!("CARGO_PKG_VERSION")), "{texts:?}");
    eventually(|| account(&home)["connected"] == true);
    assert_eq!(bring(gateway.port, SECRET, 5, "version"), 200);
    assert_eq!(bring(gateway.port, SECRET, 6, "/whoami"), 200);
    telegram.wait_texts(7, 2);
    assert!(telegram.calls("getUpdates").is_empty());
    drop(gateway);

    let active = "Conflict: can't use getUpdates method while webhook is active";
    telegram.next(
        "getUpdates",
        Fate::Refused(409, json!({"description": active})),
    );
    home.configure(&telegram.config("allowFrom: ['7']"));
    let _gateway = home.gateway(&[]);
    eventually(|| telegram.calls("deleteWebhook").len() == 1);
    eventually(|| !telegram.calls("getUpdates").is_empty());
    assert_eq!(telegram.texts(7).len(), 2);
}

#[test]
fn without_a_secret_and_a_path_of_its_own_it_is_a_fault_of_the_configuration() {
    let telegram = Telegram::start();
    for (settings, what) in [
        (
            "webhookUrl: 'https://bot.example/in'",
            "is missing while webhookUrl is set",
        ),
        (
            "webhookUrl: 'https://bot.example/in', webhookSecret: 'a b'",
            "is none that Telegram takes",
        ),
        (
            "webhookUrl: 'https://bot.example/in', webhookSecret: 'a', accounts: {b: {botToken: '1:b'}}",
            "is another account's on the same path",
        ),
        (
            "webhookUrl: 'https://bot.example/in', webhookSecret: 'a', webhookPath: 'health'",
            "is where the gateway serves something else",
        ),
        (
            "webhookUrl: 'https://bot.example/in', webhookSecret: 'a', webhookPath: '/hooks/in'",
            "is where the gateway serves something else",
        ),
    ] {
        let home = Home::new();
        home.configure(&telegram.config(settings));
        let told = home.run(&["config", "validate"]);
        assert!(told.code == 78 && told.err.contains(what), "{told:?}");
        let started = home.run(&["gateway", "run", "--port", "0"]);
        assert!(
            started.code == 78 && started.err.contains(what),
            "{started:?}"
        );
    }
    assert!(telegram.calls("setWebhook").is_empty());
}
