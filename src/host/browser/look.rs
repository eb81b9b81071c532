//! Whether a browser control server keeps others out: it has to ask for its secret at every route
//! and every upgrade, since any page and any user of the machine can reach its port.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::{Fault, http};
use crate::limits::BROWSER_LOOK_MS;

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// It asks for its secret and takes ours.
    Kept,
    /// It answers requests that show no secret.
    OpenToRequests,
    /// It opens a socket for whoever asks.
    OpenToUpgrades,
    /// It does not take ours.
    RefusesUs,
}

/// Knocks without the secret, and then with it.
///
/// # Errors
///
/// Nothing answers.
pub fn look(address: SocketAddr, token: &str) -> Result<Guard, Fault> {
    let status = |fields: &str| {
        let deadline = Instant::now() + Duration::from_millis(BROWSER_LOOK_MS);
        http::status(address, fields, deadline)
    };
    let is_refused = |status: u16| matches!(status, 401 | 403);
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n";
    if !is_refused(status("Connection: close\r\n")?) {
        return Ok(Guard::OpenToRequests);
    }
    // A server that knows no upgrades cuts the connection or answers like any other request.
    if status(upgrade).is_ok_and(|status| status == 101) {
        return Ok(Guard::OpenToUpgrades);
    }
    let shown = format!("Connection: close\r\nAuthorization: Bearer {token}\r\n");
    match is_refused(status(&shown)?) {
        true => Ok(Guard::RefusesUs),
        false => Ok(Guard::Kept),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;

    /// Answers each request with what `answer` says to its head.
    fn server(answer: fn(&str) -> u16) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let lines = BufReader::new(&stream).lines().map_while(Result::ok);
                let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
                let status = answer(&head.join("\n"));
                let _ = write!(stream, "HTTP/1.1 {status} x\r\n\r\n");
            }
        });
        address
    }

    #[test]
    fn a_server_that_lets_others_in_is_told_from_one_that_does_not() {
        fn has(head: &str, field: &str) -> bool {
            head.contains(field)
        }
        type Answer = fn(&str) -> u16;
        let cases: [(Answer, Guard); 4] = [
            (
                |head| if has(head, "Bearer own") { 200 } else { 401 },
                Guard::Kept,
            ),
            (|_| 200, Guard::OpenToRequests),
            (
                |head| if has(head, "Upgrade:") { 101 } else { 401 },
                Guard::OpenToUpgrades,
            ),
            (|_| 401, Guard::RefusesUs),
        ];
        for (answer, guard) in cases {
            assert_eq!(look(server(answer), "own"), Ok(guard));
        }
    }
}
