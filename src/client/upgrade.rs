//! The HTTP request that turns a connection into a WebSocket (RFC 6455 4.1).

use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::error::ClientError;
use super::random;
use super::transport::Transport;
use super::url::GatewayUrl;
use crate::limits::{HTTP_HEAD_BYTES_MAX, HTTP_HEADERS_MAX};

/// RFC 6455 1.3: what a server appends to the key before hashing.
const KEY_SUFFIX: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Asks for the upgrade and checks the answer; returns the bytes that came after its head.
pub fn upgrade(
    transport: &mut dyn Transport,
    url: &GatewayUrl,
    deadline: Instant,
) -> Result<Vec<u8>, ClientError> {
    let key = STANDARD.encode(random::bytes::<16>()?);
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\nUser-Agent: clawdia/{}\r\n\r\n",
        url.path,
        url.host_field(),
        env!("CARGO_PKG_VERSION"),
    );
    transport
        .write_all(request.as_bytes(), deadline)
        .map_err(|error| lost(&error))?;

    let mut head = Vec::with_capacity(1024);
    loop {
        if let Some(end) = check_answer(&head, &key)? {
            return Ok(head.split_off(end));
        }
        if head.len() >= HTTP_HEAD_BYTES_MAX {
            return Err(ClientError::protocol("the answer's HTTP head has no end"));
        }
        let mut chunk = [0; 4096];
        match transport.read(&mut chunk, deadline) {
            Ok(0) if !url.secure => {
                return Err(ClientError::protocol(
                    "closed without an HTTP answer; a port that speaks TLS answers wss:// alone \
                     (run: clawdia gateway fingerprint)",
                ));
            }
            Ok(0) => return Err(ClientError::protocol("closed without an HTTP answer")),
            Ok(count) => head.extend_from_slice(&chunk[..count]),
            Err(error) => return Err(lost(&error)),
        }
    }
}

/// Where the head ends, or `None` while bytes are missing.
fn check_answer(bytes: &[u8], key: &str) -> Result<Option<usize>, ClientError> {
    let mut headers = [httparse::EMPTY_HEADER; HTTP_HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    let end = match response.parse(bytes) {
        Ok(httparse::Status::Complete(end)) => end,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err(ClientError::protocol("the peer does not speak HTTP")),
    };
    let status = response.code.unwrap_or(0);
    if status != 101 {
        return Err(ClientError::protocol(format!(
            "the peer answered HTTP {status} instead of a WebSocket"
        )));
    }
    let header = |name: &str| {
        response
            .headers
            .iter()
            .find(|h| h.name.eq_ignore_ascii_case(name))
            .map(|h| h.value)
    };
    let digest = sha1_smol::Sha1::from(format!("{key}{KEY_SUFFIX}")).digest();
    if header("sec-websocket-accept") != Some(STANDARD.encode(digest.bytes()).as_bytes()) {
        return Err(ClientError::protocol("the WebSocket accept key is wrong"));
    }
    if header("sec-websocket-extensions").is_some() {
        return Err(ClientError::protocol("an extension that nobody asked for"));
    }
    Ok(Some(end))
}

fn lost(error: &std::io::Error) -> ClientError {
    super::ws::lost(error, "the WebSocket upgrade")
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
    const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="; // RFC 6455 1.3

    fn answer(status: &str, extra: &str) -> String {
        format!("HTTP/1.1 {status}\r\nUpgrade: websocket\r\n{extra}\r\n")
    }

    /// A peer that says the same for ever.
    struct Endless(&'static [u8], usize);

    impl Transport for Endless {
        fn read(&mut self, buf: &mut [u8], _: Instant) -> std::io::Result<usize> {
            self.1 += 1;
            assert!(self.1 < 100_000, "it is read for ever");
            buf[..self.0.len()].copy_from_slice(self.0);
            Ok(self.0.len())
        }

        fn write_all(&mut self, _: &[u8], _: Instant) -> std::io::Result<()> {
            Ok(())
        }

        fn wait(&mut self, _: std::os::fd::BorrowedFd<'_>, _: Instant) -> std::io::Result<bool> {
            Ok(true)
        }
    }

    #[test]
    fn an_answer_without_end_is_given_up() {
        let url = GatewayUrl::loopback(1);
        for line in ["HTTP/1.1 101 OK\r\n", "a: b\r\n", "\r\n"] {
            let mut peer = Endless(line.as_bytes(), 0);
            assert!(
                upgrade(&mut peer, &url, Instant::now()).is_err(),
                "{line:?}"
            );
        }
    }

    #[test]
    fn the_right_key_is_accepted_and_the_rest_is_left() {
        let head = answer("101 OK", &format!("Sec-WebSocket-Accept: {ACCEPT}\r\n"));
        let bytes = format!("{head}frames");
        assert_eq!(
            check_answer(bytes.as_bytes(), KEY).unwrap(),
            Some(head.len())
        );
        assert_eq!(check_answer(&head.as_bytes()[..30], KEY).unwrap(), None);
    }

    #[test]
    fn anything_else_is_refused_by_name() {
        let wrong = answer("101 OK", "Sec-WebSocket-Accept: eA==\r\n");
        assert!(check_answer(wrong.as_bytes(), KEY).is_err());
        let missing = answer("101 OK", "");
        assert!(check_answer(missing.as_bytes(), KEY).is_err());
        let compressed = answer(
            "101 OK",
            &format!("Sec-WebSocket-Accept: {ACCEPT}\r\nSec-WebSocket-Extensions: x\r\n"),
        );
        assert!(check_answer(compressed.as_bytes(), KEY).is_err());
        let page = check_answer(answer("403 No", "").as_bytes(), KEY).unwrap_err();
        assert!(page.message.contains("403"), "{page}");
        assert!(check_answer(b"SSH-2.0-OpenSSH_9.6\r\n", KEY).is_err());
    }
}
