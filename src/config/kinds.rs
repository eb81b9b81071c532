//! One scalar against its kind.

use super::cidr::{Cidr, CidrError};
use super::pin::Pins;
use super::redact::SENTINEL;
use super::secret::is_placeholder;
use super::table::Kind;
use super::types::{normalize_agent_id, parse_duration_ms};
use core::net::IpAddr;
use serde_json::Value;

/// What is wrong, and what would be right.
pub type Complaint = (String, String);

/// Checks a scalar whose references are resolved and brings it to its one form.
///
/// # Errors
/// What is wrong and what would be right, neither with a secret in it.
pub fn check(kind: Kind, value: &Value) -> Result<Value, Complaint> {
    let wrong = |what: &str| Err((what.to_owned(), expected(kind)));
    let text = value.as_str().map(str::trim);
    match (kind, text) {
        (Kind::Kept | Kind::KeptAs(_) | Kind::Open, _) => Ok(value.clone()),
        (Kind::Flag, _) if value.is_boolean() => Ok(value.clone()),
        (Kind::Whole(least, most), None) => match whole(value) {
            Some(n) if (least..=most).contains(&n) => Ok(Value::from(n)),
            Some(_) => wrong(&format!("is {value}")),
            None if value.is_number() => wrong(&format!("is {value}")),
            None => wrong(describe(value)),
        },
        (Kind::Number, None) => match value.as_f64() {
            Some(n) if n >= 0.0 => Ok(Value::from(n)),
            Some(_) => wrong(&format!("is {value}")),
            None => wrong(describe(value)),
        },
        (Kind::Text | Kind::Model, Some(_)) => Ok(value.clone()),
        // Ids of people and groups are often written as numbers.
        (Kind::Text, None) if value.is_number() => Ok(Value::String(value.to_string())),
        (Kind::Choice(words), Some(text)) if words.contains(&text) => Ok(Value::from(text)),
        (Kind::Choice(_), Some(text)) => wrong(&format!("is {text:?}")),
        (Kind::Secret, Some(text)) => secret(text, value),
        (Kind::Url(schemes), Some(text)) => match url(text, schemes) {
            true => Ok(Value::from(text)),
            false => wrong(&format!("is {:?}", without_user(text))),
        },
        (Kind::Ip, Some(text)) if text.parse::<IpAddr>().is_ok() => Ok(Value::from(text)),
        (Kind::Ip, Some(text)) => wrong(&format!("is {text:?}")),
        (Kind::Cidr, Some(text)) => match Cidr::parse(text) {
            Ok(_) => Ok(Value::from(text)),
            Err(CidrError::Everything) => Err((
                format!("is {text:?}, which {}", CidrError::Everything),
                "name the proxies' own addresses".to_owned(),
            )),
            Err(error) => wrong(&format!("is {text:?}: {error}")),
        },
        (Kind::Origin, Some(text)) => match origin(text) {
            Some(origin) => Ok(Value::String(origin)),
            None => wrong(&format!("is {text:?}")),
        },
        (Kind::Duration, Some(text)) if parse_duration_ms(text).is_some() => Ok(Value::from(text)),
        (Kind::Duration, Some(text)) => wrong(&format!("is {text:?}")),
        (Kind::AgentId, Some(text)) => match normalize_agent_id(text) {
            Some(id) => Ok(Value::String(id)),
            None => wrong(&format!("is {text:?}")),
        },
        (Kind::UrlPath, Some(text)) => match url_path(text) {
            Some(path) => Ok(Value::String(path)),
            None => wrong(&format!("is {text:?}")),
        },
        (Kind::Fingerprint, Some(text)) => match Pins::parse(text) {
            Ok(pins) => Ok(Value::String(pins.to_string())),
            Err(_) => wrong("is no SHA-256"),
        },
        _ => wrong(describe(value)),
    }
}

/// What would be right, as an order.
pub fn expected(kind: Kind) -> String {
    match kind {
        Kind::Flag => "use true or false".to_owned(),
        Kind::Whole(least, most) => format!("use a whole number from {least} to {most}"),
        Kind::Number => "use a number, zero or more".to_owned(),
        Kind::Text => "use a text in quotes".to_owned(),
        Kind::Choice(words) => {
            let words: Vec<String> = words.iter().map(|word| format!("{word:?}")).collect();
            format!("use one of {}", words.join(", "))
        }
        Kind::Secret => "use a text in quotes, or a reference: \"${NAME}\"".to_owned(),
        Kind::Url(schemes) => format!("use an address such as {}://host:port", schemes[0]),
        Kind::Ip => "use an IP address".to_owned(),
        Kind::Cidr => "use an address or a range such as 10.0.0.0/8".to_owned(),
        Kind::Origin => "use an origin such as https://host:port, without a path".to_owned(),
        Kind::Duration => "use a duration such as \"30m\", \"45s\" or \"2h\"".to_owned(),
        Kind::AgentId => "use letters, digits, _ and -, at most 64".to_owned(),
        Kind::UrlPath => "use a path such as \"/clawdia\"".to_owned(),
        Kind::Fingerprint => "use 64 hex digits, or spki: and 64 of them".to_owned(),
        Kind::Model => {
            "use \"provider/model\" or { primary: \"provider/model\", fallbacks: [ … ] }".to_owned()
        }
        Kind::List(_) => "use a list: [ … ]".to_owned(),
        Kind::Map(_) => "use an object: { … }".to_owned(),
        Kind::Open | Kind::Kept | Kind::KeptAs(_) => String::new(),
    }
}

/// `is a text`, and so on.
pub fn describe(value: &Value) -> &'static str {
    match value {
        Value::Null => "is null",
        Value::Bool(_) => "is true or false",
        Value::Number(_) => "is a number",
        Value::String(_) => "is a text",
        Value::Array(_) => "is a list",
        Value::Object(_) => "is an object",
    }
}

/// JSON5 writes whole numbers in many ways; `1e3` and `5.` are some.
fn whole(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| {
        value
            .as_f64()
            .filter(|n| n.fract() == 0.0 && (0.0..9_007_199_254_740_992.0).contains(n))
            .map(|n| n as u64)
    })
}

fn secret(text: &str, value: &Value) -> Result<Value, Complaint> {
    let instead = "write the secret, or remove the line".to_owned();
    if text.is_empty() {
        return Err(("is empty".to_owned(), instead));
    }
    if is_placeholder(text) {
        return Err((
            format!("is the word {text:?}, which a script left behind"),
            instead,
        ));
    }
    if text == SENTINEL {
        return Err((
            "is the stand-in for a hidden secret".to_owned(),
            "write the secret itself".to_owned(),
        ));
    }
    Ok(value.clone())
}

fn url(text: &str, schemes: &[&str]) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else {
        return false;
    };
    let host = rest.split(['/', '?', '#']).next().unwrap_or("");
    let host = host.rsplit('@').next().unwrap_or("");
    schemes
        .iter()
        .any(|known| scheme.eq_ignore_ascii_case(known))
        && !host.is_empty()
        && !host.starts_with(':')
        && !text.contains(|c: char| c.is_whitespace() || c.is_control())
}

/// An address without name and password in front of its host.
fn without_user(text: &str) -> String {
    match (text.split_once("://"), text.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://…@{rest}"),
        _ => text.to_owned(),
    }
}

fn origin(text: &str) -> Option<String> {
    let text = text.strip_suffix('/').unwrap_or(text).to_ascii_lowercase();
    let (scheme, host) = text.split_once("://")?;
    let scheme_fits = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
    let host_fits = !host.is_empty()
        && host
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b));
    (scheme_fits && host_fits).then_some(text)
}

fn url_path(text: &str) -> Option<String> {
    let path = text.trim_end_matches('/');
    let fits = path
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"-._~/".contains(&b))
        && !path.contains("//")
        && !path.split('/').any(|part| part == ".." || part == ".");
    match path {
        _ if !fits => None,
        "" => Some(String::new()),
        _ if path.starts_with('/') => Some(path.to_owned()),
        _ => Some(format!("/{path}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn ok(kind: Kind, value: Value) -> Value {
        check(kind, &value).unwrap_or_else(|e| panic!("{value}: {e:?}"))
    }

    fn refused(kind: Kind, value: Value) -> String {
        check(kind, &value).expect_err(&value.to_string()).0
    }

    #[test]
    fn whole_numbers_are_written_in_many_ways() {
        let kind = Kind::Whole(1, 65_535);
        assert_eq!(ok(kind, json!(18789)), json!(18789));
        assert_eq!(ok(kind, json!(1000.0)), json!(1000));
        for value in [
            json!(0),
            json!(65_536),
            json!(1.5),
            json!(-1),
            json!("18789"),
            json!(null),
        ] {
            refused(kind, value);
        }
    }

    #[test]
    fn a_secret_is_never_empty_or_left_behind_by_a_script() {
        for text in ["", " ", "undefined", "null", " NULL", SENTINEL] {
            refused(Kind::Secret, json!(text));
        }
        assert_eq!(ok(Kind::Secret, json!("s3cret")), json!("s3cret"));
        assert_eq!(refused(Kind::Secret, json!(12)), "is a number");
    }

    #[test]
    fn no_complaint_shows_what_may_be_a_secret() {
        let what = refused(Kind::Url(&["wss"]), json!("https://u:hunter2@host"));
        assert!(!what.contains("hunter2"), "{what}");
    }

    #[test]
    fn addresses_have_the_right_scheme_and_a_host() {
        let kind = Kind::Url(&["ws", "wss"]);
        ok(kind, json!("ws://127.0.0.1:18789"));
        ok(kind, json!("wss://host/path"));
        for text in [
            "host:1",
            "http://host",
            "ws://",
            "ws://:1",
            "ws://a b",
            "ws:///x",
        ] {
            refused(kind, json!(text));
        }
    }

    #[test]
    fn origins_and_paths_have_one_form() {
        assert_eq!(
            ok(Kind::Origin, json!("HTTPS://Host:8443/")),
            json!("https://host:8443")
        );
        for text in [
            "*",
            "host",
            "https://",
            "https://h/path",
            "https://u@h",
            "null",
        ] {
            refused(Kind::Origin, json!(text));
        }
        assert_eq!(ok(Kind::UrlPath, json!("ui/")), json!("/ui"));
        assert_eq!(ok(Kind::UrlPath, json!("/")), json!(""));
        for text in ["/a/../b", "/a//b", "/a b", "/?x"] {
            refused(Kind::UrlPath, json!(text));
        }
    }

    #[test]
    fn fingerprints_lose_their_colons() {
        let pairs = ["AB"; 32].join(":");
        assert_eq!(ok(Kind::Fingerprint, json!(pairs)), json!("ab".repeat(32)));
        refused(Kind::Fingerprint, json!("ab"));
    }

    #[test]
    fn a_proxy_range_of_everything_is_refused() {
        assert!(refused(Kind::Cidr, json!("0.0.0.0/0")).contains("covers every address"));
        ok(Kind::Cidr, json!("127.0.0.1"));
    }
}
