//! What a client of TLS that means no good costs, and how long it stays.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use rustls::ClientConnection;
use rustls::pki_types::ServerName;

use crate::client::{Stream, connect, get, home, modern, socket};

/// The gateway's deadline for a handshake with room for a busy machine.
const GONE: Duration = Duration::from_secs(20);
/// RFC 8446 6: `close_notify`, before there are keys.
const CLOSE_NOTIFY: [u8; 7] = [21, 3, 3, 0, 2, 1, 0];

fn hello(config: &std::sync::Arc<rustls::ClientConfig>) -> (ClientConnection, Vec<u8>) {
    let name = ServerName::try_from("localhost").unwrap();
    let mut tls = ClientConnection::new(config.clone(), name).unwrap();
    let mut bytes = Vec::new();
    tls.write_tls(&mut bytes).unwrap();
    (tls, bytes)
}

/// Processor time of all threads, in milliseconds.
fn cpu_ms(pid: u32) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let ns = |task: fs::DirEntry| -> u64 {
        let stat = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
        stat.split(' ').next().unwrap_or("").parse().unwrap_or(0)
    };
    tasks.flatten().map(ns).sum::<u64>() / 1_000_000
}

/// Reads until the gateway ends it.
fn wait_for_the_end(socket: &mut TcpStream) {
    socket.set_read_timeout(Some(GONE)).unwrap();
    let mut buffer = [0; 4_096];
    loop {
        match socket.read(&mut buffer) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return,
            Err(error) => panic!("it is still there: {error}"),
        }
    }
}

#[test]
fn who_does_not_get_on_is_gone_by_the_deadline_and_costs_nothing_meanwhile() {
    let home = home();
    let gateway = home.gateway(&[]);
    let config = modern(&home);
    let begun = Instant::now();
    let mut stalled: Vec<TcpStream> = Vec::new();
    let mut begin = |bytes: &[u8]| {
        let mut peer = socket(gateway.port);
        peer.write_all(bytes).unwrap();
        stalled.push(peer);
    };
    let (_, bytes) = hello(&config);
    begin(&[]);
    for cut in (1..=bytes.len()).step_by(16) {
        begin(&bytes[..cut]);
    }
    begin(&[&bytes[..], &CLOSE_NOTIFY].concat());
    begin(&CLOSE_NOTIFY);
    // Behind the handshake: silence, half a request, half a connection.
    for end in ["", "GET / HTTP/1.1\r\n", "half"] {
        let mut stream = connect(&gateway, &config);
        match end {
            "half" => stream.sock.shutdown(Shutdown::Write).unwrap(),
            text => {
                stream.write_all(text.as_bytes()).unwrap();
                stream.flush().unwrap();
            }
        }
        stalled.push(stream.sock);
    }
    // The first answer means that all of it was looked at.
    home.run(&["health"]).ok();
    let cpu_before = cpu_ms(gateway.pid());
    for peer in &mut stalled {
        wait_for_the_end(peer);
    }
    let waited = begun.elapsed();
    let cpu = cpu_ms(gateway.pid()) - cpu_before;
    assert!(waited < GONE, "{waited:?}");
    assert!(
        u128::from(cpu) * 100 < waited.as_millis() * 2,
        "{cpu} ms in {waited:?}"
    );
    home.run(&["health"]).ok();
}

#[test]
fn a_request_in_records_of_one_byte_is_answered() {
    let home = home();
    let gateway = home.gateway(&[]);
    let mut stream = connect(&gateway, &modern(&home));
    let request = "GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    for byte in request.bytes() {
        stream.write_all(&[byte]).unwrap();
        stream.flush().unwrap();
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[test]
fn a_handshake_in_records_of_one_byte_goes_on() {
    let home = home();
    let gateway = home.gateway(&[]);
    let (mut tls, bytes) = hello(&modern(&home));
    let mut socket = socket(gateway.port);
    for byte in &bytes[5..] {
        socket.write_all(&[22, 3, 1, 0, 1, *byte]).unwrap();
    }
    while tls.is_handshaking() {
        tls.complete_io(&mut socket).unwrap();
    }
    let answer = get(&mut Stream::new(tls, socket), "/health");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[test]
fn who_changes_keys_for_ever_is_cut_and_nobody_else() {
    let home = home();
    let gateway = home.gateway(&[]);
    let config = modern(&home);
    let mut other = connect(&gateway, &config);
    let mut stream = connect(&gateway, &config);
    for _ in 0..100 {
        stream.conn.refresh_traffic_keys().unwrap();
        if stream.flush().is_err() {
            break;
        }
    }
    wait_for_the_end(&mut stream.sock);
    assert!(get(&mut other, "/health").starts_with("HTTP/1.1 200"));
}

#[test]
fn the_gateway_ends_with_a_close_frame_and_then_a_close_notify() {
    let home = home();
    let gateway = home.gateway(&[]);
    let mut stream = connect(&gateway, &modern(&home));
    let upgrade = format!(
        "GET / HTTP/1.1\r\nHost: localhost:{}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        gateway.port
    );
    stream.write_all(upgrade.as_bytes()).unwrap();
    // A close frame with code 1000, and a key of zeroes, which masks nothing.
    stream.write_all(&[0x88, 0x82, 0, 0, 0, 0, 3, 232]).unwrap();
    stream.flush().unwrap();
    let mut heard = Vec::new();
    // An end without the word is an error of rustls's.
    stream.read_to_end(&mut heard).unwrap();
    assert!(heard.starts_with(b"HTTP/1.1 101"), "{heard:?}");
    assert!(heard.ends_with(&[0x88, 2, 3, 232]), "{heard:?}");
}

#[test]
fn a_long_file_reaches_a_slow_reader_whole() {
    let home = home();
    let pages = home.state().join("pages");
    fs::create_dir_all(&pages).unwrap();
    let file: Vec<u8> = (0..6_000_000_u32).map(|n| (n >> 3) as u8).collect();
    fs::write(pages.join("index.html"), "x").unwrap();
    fs::write(pages.join("long.js"), &file).unwrap();
    home.configure(&format!(
        "{{ gateway: {{ tls: {{ enabled: true }}, controlUi: {{ root: '{}' }} }} }}",
        pages.display()
    ));
    let gateway = home.gateway(&[]);
    let mut stream = connect(&gateway, &modern(&home));
    let request = "GET /long.js HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    stream.flush().unwrap();
    // The gateway has more to say than the system takes for a reader that does not read.
    let other = get(&mut connect(&gateway, &modern(&home)), "/health");
    assert!(other.starts_with("HTTP/1.1 200"));
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).unwrap();
    let start = heard.windows(4).position(|at| at == b"\r\n\r\n").unwrap() + 4;
    assert!(
        heard[start..] == file,
        "{} of {}",
        heard.len() - start,
        file.len()
    );
}
