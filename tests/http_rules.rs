//! Plain requests: what is refused by its head alone, before a byte of its body is read.

use clawdia::driver::{Driver, Options, TOKEN};

fn status(driver: &mut Driver, request: &str) -> u16 {
    let answer = driver.http(request);
    let code = answer.split(' ').nth(1).and_then(|code| code.parse().ok());
    code.unwrap_or_else(|| panic!("{request:?}: {answer:?}"))
}

fn ask(method: &str, path: &str, fields: &[(&str, &str)], body: &str) -> String {
    let mut head = format!("{method} {path} HTTP/1.1\r\n");
    if !fields.iter().any(|(name, _)| *name == "Host") {
        head += "Host: 127.0.0.1:18789\r\n";
    }
    for (name, value) in fields {
        head += &format!("{name}: {value}\r\n");
    }
    if !body.is_empty() {
        head += &format!("Content-Length: {}\r\n", body.len());
    }
    head + "\r\n" + body
}

const RIGHT: (&str, &str) = ("Authorization", "Bearer testtoken");

#[test]
fn a_path_has_one_spelling() {
    let mut driver = Driver::default();
    for path in [
        "/api/%252fchannels",
        "//health",
        "/%2e%2e/health",
        "/a/../health",
        "/health%00",
        "/a%5cb",
        "/V1/chat/completions",
        "/Tools/invoke",
    ] {
        assert_eq!(
            status(&mut driver, &ask("GET", path, &[RIGHT], "")),
            400,
            "{path}"
        );
    }
    assert_eq!(
        status(&mut driver, &ask("GET", "/health?token=x", &[], "")),
        200
    );
}

#[test]
fn who_shows_no_secret_has_no_body_read() {
    let mut driver = Driver::default();
    for path in [
        "/v1/chat/completions",
        "/v1/responses",
        "/tools/invoke",
        "/hooks/wake",
    ] {
        // The head alone is answered, although a body is announced that never comes.
        let only_head = ask("POST", path, &[("Content-Length", "1000000")], "");
        assert_eq!(status(&mut driver, &only_head), 401, "{path}");
        for field in [
            ("Authorization", "Bearer wrong"),
            ("Authorization", "Basic dGVzdHRva2Vu"),
            ("Authorization", "Bearer"),
            ("X-Token", TOKEN),
        ] {
            assert_eq!(
                status(&mut driver, &ask("POST", path, &[field], "{}")),
                401,
                "{field:?}"
            );
        }
        let by_url = format!("{path}?token={TOKEN}");
        assert_eq!(
            status(&mut driver, &ask("POST", &by_url, &[], "{}")),
            401,
            "{path}"
        );
        assert_eq!(
            status(&mut driver, &ask("POST", path, &[RIGHT, RIGHT], "{}")),
            401
        );
        let known = status(&mut driver, &ask("POST", path, &[RIGHT], "{}"));
        assert_ne!(known, 401, "{path}");
        let long = ask("POST", path, &[RIGHT, ("Content-Length", "999999999")], "");
        assert_eq!(status(&mut driver, &long), 413, "{path}");
    }
    // What is open to all takes no body at all.
    assert_eq!(status(&mut driver, &ask("POST", "/health", &[], "x")), 413);
}

#[test]
fn a_request_that_another_site_made_changes_nothing() {
    let mut driver = Driver::new(Options {
        config: "{ gateway: { controlUi: { allowedOrigins: ['https://page.example'] } } }".into(),
        ..Options::default()
    });
    let own = ("Origin", "http://127.0.0.1:18789");
    for (fields, refused) in [
        (&[RIGHT][..], false),
        (&[RIGHT, own], false),
        (&[RIGHT, ("Origin", "https://page.example")], false),
        (&[RIGHT, ("Sec-Fetch-Site", "same-origin")], false),
        (&[RIGHT, ("Origin", "https://evil.example")], true),
        (&[RIGHT, ("Origin", "null")], true),
        (&[RIGHT, own, own], true),
        (&[RIGHT, ("Referer", "https://evil.example/x")], true),
        (&[RIGHT, ("Sec-Fetch-Site", "cross-site")], true),
        (&[RIGHT, own, ("Sec-Fetch-Site", "cross-site")], true),
    ] {
        let status = status(&mut driver, &ask("POST", "/v1/responses", fields, "{}"));
        assert_eq!(status == 403, refused, "{fields:?}: {status}");
    }
    let answer = driver.http(&ask(
        "GET",
        "/health",
        &[("Origin", "https://evil.example")],
        "",
    ));
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(
        !answer.to_lowercase().contains("access-control-allow"),
        "{answer}"
    );
}

#[test]
fn host_and_forwarding_fields_are_judged_as_for_an_upgrade() {
    let mut driver = Driver::default();
    for (fields, expected) in [
        (&[("Host", "evil.example")][..], 403),
        (&[("Host", "127.0.0.1"), ("Host", "127.0.0.1")], 400),
        (
            &[
                ("X-Forwarded-For", "1.1.1.1"),
                ("X-Forwarded-For", "1.1.1.1"),
            ],
            400,
        ),
        (&[("Host", "localhost:1")], 200),
    ] {
        assert_eq!(
            status(&mut driver, &ask("GET", "/health", fields, "")),
            expected,
            "{fields:?}"
        );
    }
}

#[test]
fn guesses_over_http_lock_whoever_is_not_on_this_machine() {
    let mut driver = Driver::default();
    let own = ("Origin", "http://127.0.0.1:18789");
    let wrong = ("Authorization", "Bearer wrong");
    for _ in 0..10 {
        assert_eq!(
            status(
                &mut driver,
                &ask("POST", "/v1/responses", &[wrong, own], "{}")
            ),
            401
        );
    }
    let locked = ask("POST", "/v1/responses", &[RIGHT, own], "{}");
    assert_eq!(status(&mut driver, &locked), 429);
    // A program of this machine is no page.
    assert_ne!(
        status(&mut driver, &ask("POST", "/v1/responses", &[RIGHT], "{}")),
        429
    );
}

#[test]
fn a_page_is_confined_by_its_headers() {
    let mut driver = Driver::default();
    let page = driver.http(&ask("GET", "/", &[], ""));
    for field in [
        "script-src 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "object-src 'none'",
        "X-Frame-Options: DENY",
        "X-Content-Type-Options: nosniff",
        "Referrer-Policy: no-referrer",
    ] {
        assert!(page.contains(field), "{field}\n{page}");
    }
    assert!(
        !page.contains(TOKEN) && !page.contains("<script>"),
        "{page}"
    );
}
