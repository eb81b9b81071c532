//! Photos and files over Telegram, in and out, against the built program, a server of the Bot API and one of
//! a model.

mod support;

use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;
use support::model::{Model, Says};
use support::telegram::{Fate, Telegram};
use support::{Home, eventually};

const PNG: &[u8] = &[0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, 1, 2, 3];

fn config(telegram: &Telegram, model: &Model) -> String {
    let channels = telegram.config("allowFrom: ['7'], mediaMaxMb: 1");
    let channels = channels.strip_suffix('}').unwrap();
    format!(
        "{channels}, models: {{ providers: {{ my: {{ baseUrl: 'http://127.0.0.1:{}/v1', models: [{{id: 'sees', input: ['text', 'image']}}] }} }} }}, \
         agents: {{ defaults: {{ model: {{ primary: 'my/sees' }} }} }} }}",
        model.port
    )
}

fn send(telegram: &Telegram, more: Value) {
    let mut message = json!({"from": {"id": 7, "is_bot": false, "first_name": "Ann"},
        "chat": {"id": 7, "type": "private"}, "date": 1});
    for (name, value) in more.as_object().unwrap() {
        message[name] = value.clone();
    }
    telegram.message(message);
}

/// The next request that the model gets.
fn asked(model: &Model) -> Value {
    let seen = model.seen.recv_timeout(Duration::from_secs(60)).unwrap();
    seen.1
}

fn kept(home: &Home) -> Vec<String> {
    let folder = home.state().join("workspace/media/inbound");
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .map(|all| {
            all.map(|it| it.unwrap().file_name().into_string().unwrap())
                .collect()
        })
        .unwrap_or_default();
    names.sort();
    names
}

#[test]
fn photos_are_seen_texts_are_read_and_voices_are_named_also_over_a_kill() {
    let (telegram, model) = (
        Telegram::start(),
        Model::start((0..6).map(|_| Says::Text(&["ok"])).collect()),
    );
    let home = Home::new();
    home.configure(&config(&telegram, &model));
    telegram.file("p1", PNG);
    telegram.file("t1", b"the tea is ready");
    telegram.file("v1", b"OggS...");
    // The process dies while the file is on its way: nothing was taken, it is fetched again.
    telegram.next("getFile", Fate::Hangs);
    let gateway = home.gateway(&[]);
    send(
        &telegram,
        json!({"caption": "look", "photo": [{"file_id": "small"}, {"file_id": "p1", "file_size": 11}]}),
    );
    eventually(|| telegram.calls("getFile").len() == 1);
    assert_eq!(telegram.left(), 1);
    drop(gateway);
    let _gateway = home.gateway(&[]);
    telegram.wait_texts(7, 1);
    let first = asked(&model);
    let content = &first["messages"].as_array().unwrap().last().unwrap()["content"];
    assert!(
        content[0]["text"]
            .as_str()
            .unwrap()
            .contains("look\n[photo: in your workspace as media/inbound/99-1-photo.png]"),
        "{content}"
    );
    assert!(
        content[1]["image_url"]["url"]
            .as_str()
            .unwrap()
            .starts_with("data:image/png;base64,iVBOR")
    );

    // A service that is busy is asked again.
    telegram.next("getFile", Fate::Refused(500, json!({})));
    send(
        &telegram,
        json!({"document": {"file_id": "t1", "file_name": "../no te.txt", "mime_type": "text/plain"}}),
    );
    telegram.wait_texts(7, 2);
    let text = asked(&model).to_string();
    assert!(
        text.contains("the tea is ready") && text.contains("99-2-_no_te.txt"),
        "{text}"
    );
    send(
        &telegram,
        json!({"voice": {"file_id": "v1", "mime_type": "audio/ogg"}}),
    );
    telegram.wait_texts(7, 3);
    assert!(
        asked(&model)
            .to_string()
            .contains("[voice: in your workspace as media/inbound/99-3-voice.ogg]")
    );
    assert_eq!(
        kept(&home),
        ["99-1-photo.png", "99-2-_no_te.txt", "99-3-voice.ogg"]
    );

    // What cannot be had is told, and the message is taken all the same.
    send(
        &telegram,
        json!({"caption": "big", "document": {"file_id": "x", "file_size": 1_000_001}}),
    );
    telegram.wait_texts(7, 4);
    assert!(
        asked(&model)
            .to_string()
            .contains("not loaded: it is longer than 1 MB")
    );
    send(
        &telegram,
        json!({"caption": "gone", "document": {"file_id": "gone"}}),
    );
    telegram.wait_texts(7, 5);
    assert!(asked(&model).to_string().contains("not loaded"));
    telegram.file("long", &vec![b'x'; 1_000_001]);
    send(
        &telegram,
        json!({"caption": "lies", "document": {"file_id": "long", "file_size": 3}}),
    );
    telegram.wait_texts(7, 6);
    assert!(
        asked(&model)
            .to_string()
            .contains("not loaded: it is longer than 1000000 bytes")
    );
    assert_eq!(kept(&home).len(), 3);
    eventually(|| telegram.left() == 0);
}

#[test]
fn who_is_not_known_has_nothing_loaded() {
    let telegram = Telegram::start();
    let home = Home::new();
    home.configure(&telegram.config(""));
    telegram.file("p1", PNG);
    let _gateway = home.gateway(&[]);
    send(&telegram, json!({"photo": [{"file_id": "p1"}]}));
    telegram.wait_texts(7, 1);
    eventually(|| telegram.left() == 0);
    assert!(telegram.calls("getFile").is_empty());
}

fn write(path: &Path, bytes: &[u8]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn files_of_the_workspace_are_sent_once_and_nothing_else_is() {
    let telegram = Telegram::start();
    let home = Home::new();
    home.configure(&telegram.config("allowFrom: ['7']"));
    let workspace = home.state().join("workspace");
    write(&workspace.join("out/a.png"), PNG);
    write(&workspace.join("notes.txt"), b"hello");
    std::os::unix::fs::symlink("/etc/hostname", workspace.join("link")).unwrap();
    let gateway = home.gateway(&[]);
    let message = |more: &[&str]| {
        let all = [&["message", "send", "--to", "7"], more].concat();
        home.run(&all)
    };
    message(&["--media", "out/a.png", "--message", "**see**", "--key", "k"]).ok();
    message(&["--media", "out/a.png", "--message", "**see**", "--key", "k"]).ok();
    let photos = telegram.calls("sendPhoto");
    assert_eq!(photos.len(), 1, "a repeated key sends nothing");
    assert_eq!(
        (&photos[0]["chat_id"], &photos[0]["caption"]),
        (&json!(7), &json!("<b>see</b>"))
    );
    assert_eq!(photos[0]["photo"]["name"], "a.png");
    message(&["--media", "out/a.png", "--document"]).ok();
    message(&["--media", "notes.txt"]).ok();
    let sent = telegram.calls("sendDocument");
    assert_eq!(
        sent[1]["document"],
        json!({"name": "notes.txt", "text": "hello"})
    );
    // Refused at once, also where the channel takes nothing now.
    for (path, why) in [
        ("link", "not sent"),
        ("../clawdia.json", "outside of the workspace"),
        ("/etc/passwd", "outside of the workspace"),
        ("gone.txt", "not sent"),
        ("file:///etc/passwd", "a path in the agent's workspace"),
    ] {
        let refused = message(&["--media", path]);
        assert!(
            refused.code == 1 && refused.err.contains(why),
            "{path}: {refused:?}"
        );
    }
    assert_eq!(telegram.calls("sendDocument").len(), 2);

    // Killed while it is sent: nobody knows, and it is not sent again.
    telegram.next("sendDocument", Fate::Hangs);
    let params = r#"{"to":"7","mediaUrl":"notes.txt","idempotencyKey":"x"}"#;
    let mut cut = home
        .command(&["gateway", "call", "send", "--params", params])
        .spawn()
        .unwrap();
    eventually(|| telegram.calls("sendDocument").len() == 3);
    drop(gateway);
    cut.wait().unwrap();
    let _gateway = home.gateway(&[]);
    message(&["--message", "after"]).ok();
    let status = home.run(&["channels", "status", "--json"]).ok().json();
    assert_eq!(
        status["channelAccounts"]["telegram"][0]["outbox"]["unknown"],
        1
    );
    assert_eq!(telegram.calls("sendDocument").len(), 3);
}
