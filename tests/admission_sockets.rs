//! The rules of admission over real sockets: a smaller product, and the Unix socket.

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::time::Duration;
use support::{Home, Running};

const PATIENCE: Duration = Duration::from_secs(10);

/// The status of the answer to an upgrade with these fields.
fn status(mut stream: impl Read + Write, fields: &[(&str, &str)]) -> String {
    let mut head = "GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        .to_owned();
    for (name, value) in fields {
        head += &format!("{name}: {value}\r\n");
    }
    head += "\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = [0; 12];
    match stream.read_exact(&mut answer) {
        Ok(()) => String::from_utf8_lossy(&answer[9..]).into_owned(),
        Err(_) => "closed".into(),
    }
}

fn tcp(gateway: &Running) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", gateway.port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn unix(home: &Home) -> UnixStream {
    let stream = UnixStream::connect(home.state().join("gateway.sock")).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

#[test]
fn host_origin_and_forwarding_fields_are_judged_before_a_frame_is_spoken() {
    let home = Home::new();
    home.configure(
        "{ gateway: { trustedProxies: ['127.0.0.1'],
           controlUi: { allowedOrigins: ['https://page.example'] } } }",
    );
    let gateway = home.gateway(&[]);
    let own = format!("127.0.0.1:{}", gateway.port);
    let own_page = format!("http://{own}");
    let hosts = [
        (own.as_str(), true),
        ("evil.example", false),
        ("gateway.sock", false),
    ];
    let pages = [
        (None, true),
        (Some(own_page.as_str()), true),
        (Some("https://page.example"), true),
        (Some("https://evil.example"), false),
        (Some("null"), false),
    ];
    let hops = [
        (None, true),
        (Some("198.51.100.7"), true),
        (Some("198.51.100.7, 127.0.0.1"), false),
        (Some("127.evil"), false),
    ];
    for (host, host_good) in hosts {
        for (page, page_good) in pages {
            for (hop, hop_good) in hops {
                let mut fields = vec![("Host", host)];
                fields.extend(page.map(|page| ("Origin", page)));
                fields.extend(hop.map(|hop| ("X-Forwarded-For", hop)));
                let expected = match (hop_good, host_good && page_good) {
                    (false, _) => "400",
                    (true, false) => "403",
                    (true, true) => "101",
                };
                assert_eq!(status(tcp(&gateway), &fields), expected, "{fields:?}");
            }
        }
    }
}

#[test]
fn the_owner_needs_no_secret_at_the_unix_socket() {
    let home = Home::new();
    let gateway = home.gateway(&[]);
    let path = home.state().join("gateway.sock");
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(status(unix(&home), &[("Host", "gateway.sock")]), "101");
    assert_eq!(status(unix(&home), &[("Host", "evil.example")]), "403");
    // The token that the command line would find is gone, and it is not missed.
    std::fs::remove_file(home.state().join("gateway-token")).unwrap();
    home.run(&["health"]).ok();
    let told = home.run(&["devices", "list", "--json"]).ok().json();
    assert_eq!(told["paired"].as_array().map(Vec::len), Some(1), "{told}");
    // Over TCP, and by whoever says which secret to show, it is still asked for.
    let url = format!("ws://127.0.0.1:{}", gateway.port);
    let wrong = home.run(&["health", "--token", "wrong"]);
    assert!(wrong.err.contains("token mismatch"), "{wrong:?}");
    let wrong = home.run(&["health", "--url", &url, "--token", "wrong"]);
    assert!(wrong.err.contains("token mismatch"), "{wrong:?}");
    assert_eq!(gateway.stop(), Some(0));
    assert!(!path.exists(), "it goes with its gateway");
}

#[test]
fn a_socket_left_behind_is_replaced_and_one_that_answers_is_not() {
    let home = Home::new();
    home.configure("{}");
    let path = home.state().join("gateway.sock");
    let alive = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let refused = home.run(&["gateway", "run", "--port", "0"]);
    assert_eq!(refused.code, 78, "{refused:?}");
    assert!(refused.err.contains("gateway.sock"), "{refused:?}");
    drop(alive);
    let gateway = home.gateway(&[]);
    home.run(&["health"]).ok();
    drop(gateway);
    // Killed, so it is still there.
    assert!(path.exists());
    let _gateway = home.gateway(&[]);
    home.run(&["health"]).ok();
}

/// Another user's process is refused by the kernel's word, also where the file lets it in.
#[test]
fn another_user_is_refused_at_the_unix_socket() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: only root can become another user");
        return;
    }
    let dir = tempfile::tempdir_in("/tmp").unwrap();
    let home = Home::at(dir);
    let _gateway = home.gateway(&[]);
    let path = home.state().join("gateway.sock");
    for open in [
        home.state(),
        home.state().parent().unwrap().into(),
        path.clone(),
    ] {
        std::fs::set_permissions(&open, PermissionsExt::from_mode(0o777)).unwrap();
    }
    let script = "import socket,sys\n\
        s=socket.socket(socket.AF_UNIX)\n\
        s.connect(sys.argv[1])\n\
        s.sendall(b'GET /health HTTP/1.1\\r\\nHost: gateway.sock\\r\\n\\r\\n')\n\
        try: print(len(s.recv(100)))\n\
        except ConnectionResetError: print(0)\n";
    let mut asked = std::process::Command::new("setpriv");
    asked.args(["--reuid=65534", "--clear-groups", "python3", "-c", script]);
    match asked.arg(&path).output() {
        Ok(ran) if ran.status.success() => assert_eq!(ran.stdout, b"0\n"),
        _ => eprintln!("SKIPPED: setpriv or python3 is missing"),
    }
}
