//! A browser control server of the gateway's own: who asks it, with what, and who is told if it
//! lets others in.

mod support;

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};

use support::Home;

const TOKEN: &str = "the-control-servers-own-token";

/// Answers who shows the token, and tells what it saw.
fn control_server(is_open: bool) -> (u16, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (seen, heads) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let head = head(&stream);
            let shown = head.contains(&format!("Bearer {TOKEN}\r\n"));
            let answer = match is_open || shown {
                true => "HTTP/1.1 200 OK\r\n\r\n{\"tabs\":[{\"title\":\"tea\"}]}",
                false => "HTTP/1.1 401 Unauthorized\r\n\r\n",
            };
            let _ = stream.write_all(answer.as_bytes());
            let _ = seen.send(head);
        }
    });
    (port, heads)
}

/// The head of a request, with all its line ends.
fn head(socket: &TcpStream) -> String {
    let mut reader = BufReader::new(socket);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).unwrap_or(0) > 0 {}
    head
}

fn home(port: u16) -> Home {
    let home = Home::new();
    home.configure(&format!(
        "{{ browser: {{ controlUrl: 'http://127.0.0.1:{port}', controlToken: '{TOKEN}' }} }}"
    ));
    home
}

#[test]
fn a_request_reaches_the_control_server_with_its_token_and_no_other() {
    let (port, heads) = control_server(false);
    let home = home(port);
    let gateway = home.gateway(&[]);
    let params = r#"{"method":"GET","path":"/tabs","query":{"profile":"work"}}"#;
    let words = ["gateway", "call", "browser.request", "--params", params];
    let told = home.run(&[&words[..], &["--json"]].concat()).ok().json();
    assert_eq!(told["tabs"][0]["title"], "tea", "{told}");
    let head = heads.recv().unwrap();
    assert!(
        head.starts_with("GET /tabs?profile=work HTTP/1.0\r\n"),
        "{head}"
    );
    let own = home.run(&["token"]).ok().out;
    assert!(!head.contains(own.trim()), "the gateway's own secret");

    let up = r#"{"method":"GET","path":"/../secret"}"#;
    let refused = home.run(&["gateway", "call", "browser.request", "--params", up]);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(heads.try_recv().is_err(), "it was asked");

    let shown = home.run(&["gateway", "call", "config.get"]).ok().out;
    assert!(!shown.contains(TOKEN), "{shown}");
    drop(gateway);
}

#[test]
fn the_doctor_says_whether_the_control_server_keeps_others_out() {
    for (is_open, status, told) in [
        (false, "ok", "asks for its token"),
        (true, "fault", "answers without its token"),
    ] {
        let (port, _heads) = control_server(is_open);
        let home = home(port);
        let gateway = home.gateway(&[]);
        let doctor = home.run(&["doctor", "--json"]).json();
        let rows = doctor["checks"].as_array().unwrap();
        let row = rows.iter().find(|row| row["name"] == "browser").unwrap();
        assert_eq!(row["status"], status, "{row}");
        assert!(row["message"].as_str().unwrap().contains(told), "{row}");
        drop(gateway);
    }
}

#[test]
fn the_audit_names_a_control_server_without_a_secret_of_its_own() {
    let home = Home::new();
    home.configure("{ browser: { controlUrl: 'http://127.0.0.1:1' } }");
    let audit = home.run(&["security", "audit"]);
    assert!(audit.out.contains("browser.token.missing"), "{audit:?}");
    home.configure(
        "{ gateway: { auth: { token: 'one-secret-for-everything-here' } },
           browser: { controlUrl: 'http://127.0.0.1:1',
                      controlToken: 'one-secret-for-everything-here' } }",
    );
    let audit = home.run(&["security", "audit"]);
    assert_eq!(audit.code, 1, "{audit:?}");
    assert!(audit.out.contains("browser.token.shared"), "{audit:?}");
}
