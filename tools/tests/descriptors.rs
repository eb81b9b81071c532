//! A server without descriptors left: calm, and back when there are some.

use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use clawdia::wire::frame::Opcode;
use clawdia_tools::client::{connect, masked_frame, server_frame};

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(descriptors_max: u32) -> (Server, SocketAddr) {
    let program = env!("CARGO_BIN_EXE_wire-echo");
    let script = format!("ulimit -n {descriptors_max} && exec '{program}' 0 echo");
    let mut child = Command::new("sh")
        .args(["-c", &script])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let port = line.trim().strip_prefix("READY ").unwrap().parse().unwrap();
    (Server(child), SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
}

fn echo(stream: &mut TcpStream) {
    stream
        .write_all(&masked_frame(Opcode::Text, b"hello"))
        .unwrap();
    let expected = server_frame(Opcode::Text, b"hello");
    let mut reply = vec![0; expected.len()];
    stream.read_exact(&mut reply).unwrap();
    assert_eq!(reply, expected);
}

/// Clock ticks of processor time.
fn cpu_ticks(server: &Server) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", server.0.id())).unwrap();
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

#[test]
fn without_descriptors_the_served_stay_served_and_the_loop_does_not_spin() {
    let (server, addr) = start(40);
    let mut served: Vec<TcpStream> = Vec::new();
    let turned_away = loop {
        match connect(addr) {
            Ok(stream) => served.push(stream),
            Err(error) => break error,
        }
        assert!(served.len() < 40, "there is no limit");
    };
    // Dropped at once, not left waiting.
    assert_ne!(turned_away.kind(), ErrorKind::WouldBlock);
    let waiting: Vec<_> = (0..20).map(|_| TcpStream::connect(addr).unwrap()).collect();
    served.iter_mut().for_each(echo);
    // Half a second is 50 ticks to a loop that spins.
    let before = cpu_ticks(&server);
    std::thread::sleep(Duration::from_millis(500));
    assert!(cpu_ticks(&server) - before < 10, "the loop spins");
    served.iter_mut().for_each(echo);
    drop(waiting);
    served.truncate(1);
    let patience = Instant::now() + Duration::from_secs(10);
    let mut newcomer = loop {
        match connect(addr) {
            Ok(stream) => break stream,
            Err(_) => assert!(Instant::now() < patience, "never served again"),
        }
    };
    echo(&mut newcomer);
    echo(&mut served[0]);
}
