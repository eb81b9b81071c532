//! Who gets in: bind × secret × Host × Origin × proxy fields × where from, every cell.
//!
//! What is expected is said here once more, in the plainest way, and each cell of the product is
//! tried on a gateway of its own.

use clawdia::driver::device::{Device, Proof};
use clawdia::driver::{Address, Driver, Options, TOKEN, UID, operator_params};
use serde_json::Value;

#[derive(Clone, Copy, Debug, PartialEq)]
enum From {
    /// 127.0.0.1.
    Loopback,
    Elsewhere,
    /// Elsewhere, and in `gateway.trustedProxies`.
    Proxy,
    /// The gateway's own user at the Unix socket.
    Owner,
    /// Another user there.
    Stranger,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fields {
    None,
    Forwarded,
    /// A hop that no client has.
    ForwardedLoopback,
    ForwardedTwice,
    Via,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Page {
    None,
    Own,
    Listed,
    Foreign,
    Null,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Secret {
    None,
    Right,
    Wrong,
}

#[derive(Clone, Copy, Debug)]
struct Cell {
    bind: &'static str,
    secret: Secret,
    host: &'static str,
    page: Page,
    fields: Fields,
    from: From,
}

const BINDS: [&str; 2] = ["loopback", "lan"];
const SECRETS: [Secret; 3] = [Secret::None, Secret::Right, Secret::Wrong];
const LOOPBACK_HOST: &str = "127.0.0.1:18789";
const SOCKET_HOST: &str = "gateway.sock";
const HOSTS: [&str; 5] = [
    LOOPBACK_HOST,
    "192.0.2.2:18789",
    "gw.example",
    "evil.example",
    SOCKET_HOST,
];
const PAGES: [Page; 5] = [
    Page::None,
    Page::Own,
    Page::Listed,
    Page::Foreign,
    Page::Null,
];
const FIELDS: [Fields; 5] = [
    Fields::None,
    Fields::Forwarded,
    Fields::ForwardedLoopback,
    Fields::ForwardedTwice,
    Fields::Via,
];
const FROM: [From; 5] = [
    From::Loopback,
    From::Elsewhere,
    From::Proxy,
    From::Owner,
    From::Stranger,
];

/// What becomes of a cell, in words.
fn expected(cell: &Cell) -> &'static str {
    if cell.from == From::Stranger {
        return "not accepted";
    }
    let hop_made_up = cell.fields == Fields::ForwardedLoopback && cell.from == From::Proxy;
    if cell.fields == Fields::ForwardedTwice || hop_made_up {
        return "400";
    }
    let at_socket = cell.from == From::Owner;
    if cell.host == "evil.example" || cell.host == SOCKET_HOST && !at_socket {
        return "403";
    }
    if matches!(cell.page, Page::Foreign | Page::Null) {
        return "403";
    }
    let direct = cell.fields == Fields::None;
    let is_owner = at_socket && direct && cell.host == SOCKET_HOST && cell.page == Page::None;
    match cell.secret {
        _ if is_owner => {}
        Secret::None => return "unauthorized: gateway token missing",
        Secret::Wrong => return "unauthorized: gateway token mismatch",
        Secret::Right => {}
    }
    let local = direct
        && match cell.from {
            From::Loopback => cell.host == LOOPBACK_HOST,
            From::Owner => matches!(cell.host, LOOPBACK_HOST | SOCKET_HOST),
            _ => false,
        };
    match local && matches!(cell.page, Page::None | Page::Own) {
        true => "paired and in",
        false => "pairing required",
    }
}

fn address(cell: &Cell) -> Address {
    let mut address = match cell.from {
        From::Loopback => Address::default(),
        From::Elsewhere => Address::remote([203, 0, 113, 9]),
        From::Proxy => Address::remote([10, 0, 0, 1]),
        From::Owner => Address::socket(UID),
        From::Stranger => Address::socket(UID + 1),
    };
    address.host = cell.host.into();
    let forwarded: &[(&str, &str)] = match cell.fields {
        Fields::None => &[],
        Fields::Forwarded => &[("X-Forwarded-For", "198.51.100.7")],
        Fields::ForwardedLoopback => &[("X-Forwarded-For", "127.0.0.1")],
        Fields::ForwardedTwice => &[("X-Forwarded-For", "198.51.100.7"); 2],
        Fields::Via => &[("Via", "1.1 proxy")],
    };
    for (name, value) in forwarded {
        address = address.with(name, value);
    }
    match cell.page {
        Page::None => address,
        Page::Own => {
            let own = format!("http://{}", cell.host);
            address.with("Origin", &own)
        }
        Page::Listed => address.with("Origin", "https://page.example"),
        Page::Foreign => address.with("Origin", "https://evil.example"),
        Page::Null => address.with("Origin", "null"),
    }
}

fn seen(cell: &Cell) -> String {
    let config = format!(
        "{{ gateway: {{ bind: '{}', auth: {{ token: '{TOKEN}' }}, trustedProxies: ['10.0.0.0/8'],
            controlUi: {{ allowedOrigins: ['https://page.example', 'https://gw.example'] }} }} }}",
        cell.bind
    );
    let mut driver = Driver::new(Options {
        config,
        ..Options::default()
    });
    let conn = match driver.try_open(&address(cell)) {
        Ok(conn) => conn,
        Err(answer) if answer.is_empty() => return "not accepted".into(),
        Err(answer) => return answer.split(' ').nth(1).unwrap_or("").to_owned(),
    };
    let mut params = operator_params();
    match cell.secret {
        Secret::None => params["auth"] = serde_json::json!({}),
        Secret::Right => {}
        Secret::Wrong => params["auth"]["token"] = "wrong".into(),
    }
    let device = Device::new(7);
    let answer = driver.connect(conn, params, Some((&device, Proof::V2)));
    let refused = |error: &Value| {
        let text = error["message"].as_str().unwrap_or("");
        text.split(" (").next().unwrap_or("").to_owned()
    };
    match answer["ok"] == true {
        true => {
            assert!(
                answer["payload"]["auth"]["deviceToken"].is_string(),
                "{answer}"
            );
            "paired and in".into()
        }
        false => refused(&answer["error"]),
    }
}

#[test]
fn every_cell_is_as_it_is_said_here() {
    let mut cells = Vec::new();
    for bind in BINDS {
        for secret in SECRETS {
            for host in HOSTS {
                for page in PAGES {
                    for fields in FIELDS {
                        cells.extend(FROM.map(|from| Cell {
                            bind,
                            secret,
                            host,
                            page,
                            fields,
                            from,
                        }));
                    }
                }
            }
        }
    }
    let wrong: Vec<String> = cells
        .iter()
        .filter_map(|cell| {
            let (seen, expected) = (seen(cell), expected(cell));
            (seen != expected).then(|| format!("{cell:?}: {seen}, not {expected}"))
        })
        .collect();
    let shown = wrong
        .iter()
        .take(10)
        .cloned()
        .collect::<Vec<_>>()
        .join("\n");
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{shown}",
        wrong.len(),
        cells.len()
    );
    // Each way out is taken somewhere, so the product is not about nothing.
    for way in [
        "not accepted",
        "400",
        "403",
        "unauthorized: gateway token missing",
        "unauthorized: gateway token mismatch",
        "pairing required",
        "paired and in",
    ] {
        assert!(cells.iter().any(|cell| expected(cell) == way), "{way}");
    }
}
