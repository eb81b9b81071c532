//! Where an upgrade comes from: pages, names, proxies.

use super::*;

/// The status of the answer to an upgrade; 101 where it is agreed to.
fn status(driver: &mut Driver, from: &Address) -> u16 {
    match driver.try_open(from) {
        Ok(_) => 101,
        Err(response) => {
            let code = response.split(' ').nth(1);
            code.and_then(|code| code.parse().ok()).unwrap_or(0)
        }
    }
}

fn named(host: &str) -> Address {
    Address {
        host: host.into(),
        ..Address::default()
    }
}

#[test]
fn a_page_of_another_origin_is_refused_whatever_it_claims_to_be() {
    let local = Address::default;
    for origin in [
        "https://evil.example",
        "http://127.0.0.1:18790",
        "https://127.0.0.1:18789",
        "http://localhost:18789",
        "null",
        "http://127.0.0.1:18789.evil.example",
        "http://127.0.0.1:18789/path",
        "127.0.0.1:18789",
        "",
        "file://",
    ] {
        let mut driver = Driver::default();
        assert_eq!(
            status(&mut driver, &local().with("Origin", origin)),
            403,
            "{origin}"
        );
    }
    let mut driver = Driver::default();
    let own = local().with("Origin", "http://127.0.0.1:18789");
    assert_eq!(status(&mut driver, &own), 101);
    assert_eq!(status(&mut driver, &local()), 101, "a program sends none");
    let twice = own.with("Origin", "http://127.0.0.1:18789");
    assert_eq!(status(&mut driver, &twice), 403);
}

#[test]
fn a_listed_page_may_connect_and_no_other() {
    let mut driver =
        configured("{gateway: {controlUi: {allowedOrigins: ['https://page.example']}}}");
    for (origin, expected) in [
        ("https://page.example", 101),
        ("https://page.example:443", 101),
        ("http://page.example", 403),
        ("https://page.example:8443", 403),
        ("https://sub.page.example", 403),
    ] {
        let from = Address::default().with("Origin", origin);
        assert_eq!(status(&mut driver, &from), expected, "{origin}");
    }
}

#[test]
fn a_foreign_name_in_host_is_refused() {
    let mut driver = Driver::default();
    for (host, expected) in [
        ("127.0.0.1:18789", 101),
        ("localhost:18789", 101),
        ("[::1]:18789", 101),
        ("192.0.2.2", 101),
        ("evil.example", 403),
        ("evil.example:18789", 403),
        ("localhost.evil.example", 403),
        ("127.0.0.1.evil.example", 403),
        ("", 403),
    ] {
        assert_eq!(status(&mut driver, &named(host)), expected, "{host}");
        let origin = format!("http://{host}");
        if expected == 403 {
            let from = named(host).with("Origin", &origin);
            assert_eq!(status(&mut driver, &from), 403, "{host} and its own origin");
        }
    }
}

#[test]
fn a_page_without_a_device_is_refused_unless_that_is_allowed() {
    let from = Address::default().with("Origin", "http://127.0.0.1:18789");
    for (config, good) in [
        ("{}", false),
        ("{gateway: {controlUi: {allowInsecureAuth: true}}}", true),
    ] {
        let mut driver = configured(config);
        let conn = driver.open(&from);
        let answer = driver.connect(conn, operator_params(), None);
        assert_eq!(answer["ok"], good);
        if !good {
            let error = refused(&mut driver, conn, &answer, 1008);
            let expected = "control ui requires HTTPS or localhost (secure context)";
            assert_eq!(text(&error), expected);
            assert_eq!(error["code"], "INVALID_REQUEST");
        }
    }
}

#[test]
fn each_sign_of_a_proxy_or_a_foreign_peer_makes_a_connection_remote() {
    let local = Address::default;
    let others = [
        local().with("Forwarded", "for=127.0.0.1"),
        local().with("X-Forwarded-For", "127.0.0.1"),
        local().with("X-Forwarded-Proto", "http"),
        local().with("X-Forwarded-Host", "127.0.0.1"),
        local().with("X-Real-IP", "127.0.0.1"),
        local().with("Via", "1.1 proxy"),
        named("192.0.2.2:18789"),
        named("127.0.0.1:18790"),
        // Without a port it is port 80 that is meant.
        named("localhost"),
        Address {
            ip: "192.0.2.7".parse().unwrap(),
            ..local()
        },
    ];
    for from in others {
        let mut driver = Driver::default();
        // Somebody of the same address is in already: that proves nothing.
        driver.operator();
        let conn = driver.open(&from);
        let device = Device::new(2);
        let answer = driver.connect(conn, operator_params(), Some((&device, Proof::V2)));
        let error = refused(&mut driver, conn, &answer, 1008);
        assert_eq!(text(&error), "pairing required", "{from:?}");
    }
    for host in ["127.0.0.1:18789", "localhost:18789", "[::1]:18789"] {
        let mut driver = Driver::default();
        let conn = driver.open(&named(host));
        let device = Device::new(2);
        let answer = driver.connect(conn, operator_params(), Some((&device, Proof::V2)));
        assert_eq!(answer["ok"], true, "{host}");
    }
}

#[test]
fn forwarding_fields_are_believed_from_trusted_proxies_alone() {
    let forwarded = |hops: &str| Address::default().with("X-Forwarded-For", hops);
    let remote_ip = |config: &str, from: &Address| {
        let mut driver = configured(config);
        let admin = driver.open(&Address::default());
        driver.connect(admin, operator_params(), None);
        let conn = driver.open(from);
        let device = Device::new(2);
        driver.connect(conn, operator_params(), Some((&device, Proof::V2)));
        let told = driver.events(admin, "device.pair.requested");
        told[0]["remoteIp"].as_str().unwrap_or("").to_owned()
    };
    let trusting = "{gateway: {trustedProxies: ['127.0.0.1', '10.0.0.0/8']}}";
    for (config, hops, expected) in [
        ("{}", "8.8.8.8", "127.0.0.1"),
        (trusting, "8.8.8.8", "8.8.8.8"),
        (trusting, "1.1.1.1, 8.8.8.8, 10.1.2.3", "8.8.8.8"),
    ] {
        assert_eq!(remote_ip(config, &forwarded(hops)), expected, "{hops}");
    }
    let mut driver = configured(trusting);
    for bad in [
        forwarded("8.8.8.8, 127.0.0.1"),
        forwarded("127.evil"),
        forwarded("0.0.0.0"),
        forwarded("8.8.8.8").with("X-Forwarded-For", "9.9.9.9"),
    ] {
        assert_eq!(status(&mut driver, &bad), 400, "{bad:?}");
    }
}
