//! The upgrade parser against requests that a proxy in front of it could read differently.

use clawdia::limits::{HTTP_HEAD_BYTES_MAX, HTTP_LINE_BYTES_MAX};
use clawdia::wire::http::{HeaderSpace, Refusal, find_end, parse};
use clawdia::wire::upgrade::Upgrade;

/// What the parser makes of the first request of a connection.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Upgrade,
    Plain { body_len: u64 },
    Refused(u16),
    NeedsMore,
}

use Verdict::{NeedsMore, Plain, Refused};

fn judge(bytes: &[u8]) -> Verdict {
    let judged = (|| {
        let Some(end) = find_end(bytes, 0)? else {
            return Ok(NeedsMore);
        };
        let mut space = HeaderSpace::new();
        let head = parse(&bytes[..end], &mut space)?;
        if Upgrade::read(&head)?.is_some() {
            return Ok(Verdict::Upgrade);
        }
        Ok(Plain {
            body_len: head.content_len()?,
        })
    })();
    judged.unwrap_or_else(|refusal: Refusal| Refused(refusal.status))
}

const GOOD: &str = "GET /ws?a=b HTTP/1.1\r\n\
    Host: localhost:18789\r\n\
    Upgrade: websocket\r\n\
    Connection: keep-alive, Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";

/// The good request with one piece of text changed.
fn changed(from: &str, to: &str) -> Verdict {
    assert!(GOOD.contains(from), "{from}");
    judge(GOOD.replacen(from, to, 1).as_bytes())
}

/// The good request with one more line.
fn with(line: &str) -> Verdict {
    changed("\r\n\r\n", &format!("\r\n{line}\r\n\r\n"))
}

#[test]
fn a_good_request_is_an_upgrade_in_any_case_of_letters_and_wherever_it_is_cut() {
    assert_eq!(judge(GOOD.as_bytes()), Verdict::Upgrade);
    assert_eq!(
        changed("Upgrade: websocket", "UPGRADE: WebSocket"),
        Verdict::Upgrade
    );
    assert_eq!(changed("keep-alive, Upgrade", "upgrade"), Verdict::Upgrade);
    for cut in 1..GOOD.len() {
        assert_eq!(judge(&GOOD.as_bytes()[..cut]), NeedsMore, "cut at {cut}");
    }
}

#[test]
fn an_upgrade_is_a_get_of_version_1_1_with_one_host() {
    for method in ["POST", "PUT", "HEAD", "OPTIONS", "get"] {
        assert_eq!(changed("GET", method), Refused(400), "{method}");
    }
    assert_eq!(changed("HTTP/1.1", "HTTP/1.0"), Refused(400));
    assert_eq!(changed("HTTP/1.1", "HTTP/2.0"), Refused(505));
    assert_eq!(changed("HTTP/1.1", "HTTP/1.10"), Refused(400));
    assert_eq!(changed("Host: localhost:18789\r\n", ""), Refused(400));
    assert_eq!(with("Host: localhost:18789"), Refused(400));
    assert_eq!(with("host: evil.example"), Refused(400));
}

#[test]
fn the_tokens_of_upgrade_and_connection_have_to_be_there() {
    assert_eq!(
        changed("Upgrade: websocket", "Upgrade: h2c"),
        Plain { body_len: 0 }
    );
    assert_eq!(changed("keep-alive, Upgrade", "keep-alive"), Refused(400));
    assert_eq!(changed("keep-alive, Upgrade", "Upgradeable"), Refused(400));
}

#[test]
fn the_key_is_sixteen_bytes_of_base64_sent_once() {
    for key in [
        "",
        "dGhlIHNhbXBsZSBub25jZQ",
        "dGhlIHNhbXBsZSBub25jZR==",
        "dGhlIHNhbXBsZSBub25jZQ=x",
        "dGhlIHNhbXBsZSBub25j",
        "dGhlIHNhbXBsZSBub25jZTE2Nzg5",
        "!!hlIHNhbXBsZSBub25jZQ==",
        "dGhlIHNhbXBs ZSBub25jZQ==",
    ] {
        assert_eq!(
            changed("dGhlIHNhbXBsZSBub25jZQ==", key),
            Refused(400),
            "{key}"
        );
    }
    assert_eq!(
        with("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="),
        Refused(400)
    );
}

#[test]
fn another_version_is_answered_with_426() {
    for version in ["12", "8", "14", "013", "13, 8", ""] {
        let line = format!("Version: {version}");
        assert_eq!(changed("Version: 13", &line), Refused(426), "{version}");
    }
    assert_eq!(changed("Sec-WebSocket-Version: 13\r\n", ""), Refused(426));
    assert_eq!(with("Sec-WebSocket-Version: 13"), Refused(400));
}

#[test]
fn an_upgrade_with_a_body_is_refused_whatever_announces_it() {
    for line in [
        "Content-Length: 0",
        "Content-Length: 5",
        "content-length: 5",
        "Transfer-Encoding: chunked",
        "Transfer-Encoding: identity",
        "Transfer-Encoding: xchunked",
    ] {
        let Refused(status) = with(line) else {
            panic!("{line}")
        };
        assert!(matches!(status, 400 | 411), "{line}: {status}");
    }
}

#[test]
fn lengths_that_can_be_read_in_two_ways_are_refused() {
    let post =
        |lines: &str| judge(format!("POST /x HTTP/1.1\r\nHost: a\r\n{lines}\r\n\r\n").as_bytes());
    assert_eq!(post("Content-Length: 5"), Plain { body_len: 5 });
    assert_eq!(post("Content-Length: 5\r\nContent-Length: 5"), Refused(400));
    assert_eq!(post("Content-Length: 5\r\nContent-Length: 6"), Refused(400));
    assert_eq!(
        post("Content-Length: 5\r\nTransfer-Encoding: chunked"),
        Refused(400)
    );
    assert_eq!(
        post("Transfer-Encoding: chunked\r\nContent-Length: 5"),
        Refused(400)
    );
    assert_eq!(post("Transfer-Encoding: chunked"), Refused(411));
    assert_eq!(
        post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity"),
        Refused(411)
    );
    for len in [
        "+5",
        "-5",
        "5,5",
        "0x5",
        "5 5",
        "",
        "5a",
        "99999999999999999999999",
    ] {
        assert_eq!(
            post(&format!("Content-Length: {len}")),
            Refused(400),
            "{len}"
        );
    }
}

#[test]
fn line_ends_folds_and_names_are_read_strictly() {
    let bare_line_feed = GOOD.replace("\r\n", "\n");
    assert_eq!(judge(bare_line_feed.as_bytes()), Refused(400));
    assert_eq!(changed("websocket\r\n", "websocket\n"), Refused(400));
    assert_eq!(changed("websocket\r\n", "websocket\r"), Refused(400));
    assert_eq!(changed("\r\nUpgrade:", "\r\n Upgrade:"), Refused(400));
    assert_eq!(with("X-Folded: a\r\n b"), Refused(400));
    assert_eq!(with("X-Folded: a\r\n\tb"), Refused(400));
    assert_eq!(
        changed("Upgrade: websocket", "Upgrade : websocket"),
        Refused(400)
    );
    assert_eq!(with("Bad Name: x"), Refused(400));
    assert_eq!(with("Bad(Name): x"), Refused(400));
    assert_eq!(with(": x"), Refused(400));
    assert_eq!(with("NoColon"), Refused(400));
    assert_eq!(with("X-Nul: a\0b"), Refused(400));
    assert_eq!(with("X-Nu\0l: a"), Refused(400));
    assert_eq!(changed("/ws", "/w\0s"), Refused(400));
    assert_eq!(changed("GET /ws", "GET  /ws"), Refused(400));
    assert_eq!(changed("GET", " GET"), Refused(400));
}

#[test]
fn other_protocols_and_forms_of_target_are_refused_at_once() {
    assert_eq!(judge(b"\x16\x03\x01\x02\x00\x01\x00"), Refused(400));
    assert_eq!(judge(b"\r\nGET / HTTP/1.1\r\n"), Refused(400));
    assert_eq!(
        changed("/ws?a=b", "http://localhost:18789/ws"),
        Refused(400)
    );
    assert_eq!(changed("/ws?a=b", "*"), Refused(400));
    assert_eq!(
        judge(b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n"),
        Refused(400)
    );
    assert_eq!(judge(b"GET /\r\n\r\n"), Refused(400));
}

#[test]
fn a_second_request_behind_a_refused_one_is_not_part_of_its_head() {
    let hidden =
        GOOD.replace("Version: 13", "Version: 99") + "GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_eq!(judge(hidden.as_bytes()), Refused(426));
    let end = find_end(hidden.as_bytes(), 0).unwrap().unwrap();
    assert!(hidden[end..].starts_with("GET /hidden"));
}

#[test]
fn heads_and_lines_have_limits() {
    let long = |len| format!("X-Long: {}", "a".repeat(len));
    assert_eq!(with(&long(HTTP_LINE_BYTES_MAX - 20)), Verdict::Upgrade);
    assert_eq!(with(&long(HTTP_LINE_BYTES_MAX)), Refused(431));
    let target = format!("/{}", "a".repeat(HTTP_LINE_BYTES_MAX));
    assert_eq!(changed("/ws", &target), Refused(414));
    let many: String = (0..100).map(|n| format!("X-{n}: a\r\n")).collect();
    assert_eq!(changed("Host", &format!("{many}Host")), Refused(431));
    let endless = format!(
        "GET / HTTP/1.1\r\n{}",
        "X-More: a\r\n".repeat(HTTP_HEAD_BYTES_MAX / 11)
    );
    assert_eq!(judge(endless.as_bytes()), Refused(431));
}

#[test]
fn no_extension_is_ever_agreed_on() {
    let offer = GOOD.replace(
        "\r\n\r\n",
        "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
    );
    let mut space = HeaderSpace::new();
    let head = parse(offer.as_bytes(), &mut space).unwrap();
    let response = Upgrade::read(&head).unwrap().unwrap().response();
    let response = String::from_utf8(response.to_vec()).unwrap();
    assert!(response.starts_with("HTTP/1.1 101 "));
    assert!(response.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
    assert!(!response.to_ascii_lowercase().contains("extensions"));
}

#[test]
fn every_cut_of_a_head_is_found_at_the_same_end() {
    for cut in 0..GOOD.len() {
        let whole = find_end(GOOD.as_bytes(), cut.saturating_sub(1));
        let first = find_end(&GOOD.as_bytes()[..cut], 0).unwrap_or(None);
        assert_eq!((first, whole), (None, Ok(Some(GOOD.len()))), "{cut}");
    }
}
