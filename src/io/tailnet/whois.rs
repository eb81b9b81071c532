//! Asking Tailscale's daemon who is behind an address, over its Unix socket.

use crate::limits::{TAILSCALE_ANSWER_BYTES_MAX, TAILSCALE_MS};
use crate::tailnet::person::Person;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, connect, socket};
use std::io::{Read, Write};
use std::net::IpAddr;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// The daemon's socket on Linux.
pub const SOCKET: &str = "/var/run/tailscale/tailscaled.sock";

/// Asks; None where it is nobody, or where the daemon does not say in time.
pub fn ask(path: &Path, ip: IpAddr) -> Option<Person> {
    let deadline = Instant::now() + Duration::from_millis(TAILSCALE_MS);
    let answer = exchange(path, ip, deadline).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    // RFC 9112 4: the version, then the status.
    (head.split(' ').nth(1)? == "200").then(|| Person::read(body))?
}

fn exchange(path: &Path, ip: IpAddr, deadline: Instant) -> std::io::Result<String> {
    let left = || {
        let left = deadline.saturating_duration_since(Instant::now());
        left.max(Duration::from_millis(1))
    };
    let descriptor = socket(AddressFamily::UNIX, SocketType::STREAM, None)?;
    // A daemon that accepts nobody makes `connect` wait, for so long at most (unix(7)).
    set_socket_timeout(&descriptor, Timeout::Send, Some(left()))?;
    connect(&descriptor, &SocketAddrUnix::new(path)?)?;
    let mut stream = UnixStream::from(descriptor);
    // With HTTP/1.0 the answer is not in chunks and ends with the connection.
    let request =
        format!("GET /localapi/v0/whois?addr={ip} HTTP/1.0\r\nHost: local-tailscaled.sock\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    let mut piece = [0; 4_096];
    loop {
        if Instant::now() >= deadline {
            return Err(std::io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left()))?;
        match stream.read(&mut piece)? {
            0 => break,
            len => answer.extend_from_slice(&piece[..len]),
        }
        if answer.len() as u64 > TAILSCALE_ANSWER_BYTES_MAX {
            return Err(std::io::ErrorKind::InvalidData.into());
        }
    }
    String::from_utf8(answer).map_err(|_| std::io::ErrorKind::InvalidData.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    fn answered(answer: impl Fn(UnixStream) + Send + 'static) -> Option<Person> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tailscaled.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let daemon = std::thread::spawn(move || answer(listener.accept().unwrap().0));
        let person = ask(&path, "100.64.0.7".parse().unwrap());
        daemon.join().unwrap();
        person
    }

    fn head(stream: &mut UnixStream) -> String {
        let mut text = String::new();
        while !text.ends_with("\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            text.push(char::from(byte[0]));
        }
        text
    }

    #[test]
    fn the_daemon_is_asked_as_its_own_program_does() {
        let person = answered(|mut stream| {
            assert_eq!(
                head(&mut stream),
                "GET /localapi/v0/whois?addr=100.64.0.7 HTTP/1.0\r\nHost: local-tailscaled.sock\r\n\r\n"
            );
            let body = r#"{"Node":{"ID":1},"UserProfile":{"LoginName":"me@example.com"}}"#;
            write!(
                stream,
                "HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{body}"
            )
            .unwrap();
        });
        assert_eq!(person.unwrap().login, "me@example.com");
    }

    #[test]
    fn what_is_no_answer_is_nobody() {
        let good = r#"{"Node":{"ID":1},"UserProfile":{"LoginName":"me@example.com"}}"#;
        for answer in [
            format!("HTTP/1.0 404 Not Found\r\n\r\n{good}"),
            format!("HTTP/1.0 403 Forbidden\r\n\r\n{good}"),
            format!("HTTP/1.0 200 OK\r\n{good}"),
            "HTTP/1.0 200 OK\r\n\r\nno match for IP:port".to_owned(),
            "x".repeat(TAILSCALE_ANSWER_BYTES_MAX as usize + 10_000),
            format!(
                "HTTP/1.0 200 OK\r\n\r\n{good}{}",
                " ".repeat(TAILSCALE_ANSWER_BYTES_MAX as usize)
            ),
            String::new(),
        ] {
            let person = answered(move |mut stream| {
                head(&mut stream);
                // The answer may be more than anybody reads.
                let _ = stream.write_all(answer.as_bytes());
            });
            assert_eq!(person, None);
        }
        let nowhere = Path::new("/nonexistent/tailscaled.sock");
        assert_eq!(ask(nowhere, "100.64.0.7".parse().unwrap()), None);
    }
}
