//! What a failed connection means, and the command that mends it.

use super::exit::Failure;
use super::text::span;
use crate::client::secret::{Secrets, Target};
use crate::client::{ClientError, ErrorKind, GatewayError, GatewayUrl};

/// What a failure is explained with.
pub struct Tried<'a> {
    /// Where.
    pub url: &'a GatewayUrl,
    /// Whom that is.
    pub target: Target,
    /// What was sent.
    pub secrets: &'a Secrets,
    /// The host behind the tunnel that was used.
    pub ssh: Option<String>,
    /// The gateway has not let us in yet.
    pub connecting: bool,
    /// `--url` was given.
    pub url_given: bool,
}

/// Turns the error of a connection or a call into what a person is told: which secret was
/// used, from where it was read, and the command that mends it.
pub fn explain(error: ClientError, tried: &Tried<'_>) -> Failure {
    let failure = Failure::from(error.clone());
    let failure = failure.fact("gateway", tried.url.to_string());
    let failure = match &tried.ssh {
        Some(host) => failure.fact("behind", format!("ssh {host}")),
        None => failure,
    };
    match &error.kind {
        ErrorKind::Unreachable => unreachable(failure, tried),
        ErrorKind::Timeout => failure.mend("the same with --timeout 60s"),
        ErrorKind::Gateway(answer) => refused(failure, answer, tried),
        ErrorKind::Protocol | ErrorKind::Closed { code: 1006, .. } if tried.connecting => {
            behind_tunnel(failure, tried)
        }
        ErrorKind::Closed { code: 1008, reason } if reason.starts_with("unauthorized") => {
            unauthorized(failure, reason, tried)
        }
        _ => failure,
    }
}

fn unreachable(mut failure: Failure, tried: &Tried<'_>) -> Failure {
    match tried.target {
        Target::Other if !tried.url_given => {
            failure.message = "no gateway runs here".into();
            failure.mend("clawdia gateway run")
        }
        Target::Remote => failure
            .fact("address", "from gateway.remote.url in the configuration")
            .mend("clawdia gateway probe"),
        _ => failure,
    }
}

/// `ssh` takes a connection before it knows whether anybody listens at the far end.
fn behind_tunnel(mut failure: Failure, tried: &Tried<'_>) -> Failure {
    let (Some(host), Some(port)) = (&tried.ssh, tried.url.far_port) else {
        return failure;
    };
    failure.message = format!("no gateway answers on port {port} of {host}");
    failure
        .mend(format!("ssh {host} clawdia gateway status"))
        .mend(format!("clawdia remote up {host}   # looks for its port"))
        .mend(format!(
            "ssh {host} clawdia gateway fingerprint   # if it speaks TLS: then the same with --tls-fingerprint PIN"
        ))
}

/// What a schema says of parameters, in the words of people.
const SCHEMA_WORDS: [(&str, &str); 7] = [
    ("must NOT have fewer than 1 characters", "is empty"),
    ("must NOT have fewer than", "has fewer than"),
    ("must NOT have more than", "has more than"),
    ("must be >=", "is less than"),
    ("must be <=", "is more than"),
    ("must be equal to constant", "is none of its words"),
    ("must have required property", "there is no"),
];

fn plainly(message: &str) -> Option<String> {
    let (start, faults) = message.split_once(" params: ")?;
    let faults = faults.split("; ");
    let faults = faults.filter(|it| {
        // The other things that it might have been.
        !it.ends_with(": must be null") && !it.ends_with(": must match a schema in anyOf")
    });
    let mut faults: Vec<&str> = faults
        .map(|it| it.strip_prefix("at /").unwrap_or(it))
        .collect();
    faults.dedup();
    let told = format!("{start} params: {}", faults.join("; "));
    let words = SCHEMA_WORDS.iter();
    Some(words.fold(told, |told, (schema, plain)| told.replace(schema, plain)))
}

fn refused(mut failure: Failure, answer: &GatewayError, tried: &Tried<'_>) -> Failure {
    let message = answer.message.as_str();
    if let Some(told) = plainly(message) {
        failure.message = told;
    }
    if message.contains("too many attempts") {
        return match answer.retry_after_ms {
            Some(ms) => failure.fact("wait", span(ms)),
            None => failure,
        };
    }
    if let Some(fault) = message.strip_prefix("unauthorized: pairing code ") {
        // The text goes on with the command that makes a new one.
        let fault = fault.split(" (").next().unwrap_or(fault);
        failure.message = format!("the gateway refused the pairing code: {fault}");
        return failure
            .fact("on", "the gateway's machine, or any paired operator")
            .mend_there("clawdia devices pair   # prints a new one");
    }
    if message.starts_with("unauthorized: ") {
        return unauthorized(failure, message, tried);
    }
    if answer.code == "NOT_PAIRED" {
        let request = answer.details["requestId"].as_str().unwrap_or("--latest");
        failure.message = "this device is not paired with the gateway yet".into();
        let approve = format!("clawdia devices approve {request}");
        let failure = failure
            .fact("request", request)
            .fact("on", "the gateway's machine, or any paired device");
        return match tried.target {
            Target::Own => failure.mend(approve),
            Target::Remote | Target::Tunnel | Target::Other => failure.mend_there(approve),
        };
    }
    if let Some(scope) = message.strip_prefix("missing scope: ") {
        return failure.fact("scope", scope).mend("clawdia devices list");
    }
    failure
}

fn unauthorized(mut failure: Failure, reason: &str, tried: &Tried<'_>) -> Failure {
    let what = if reason.contains("password") {
        "password"
    } else {
        "token"
    };
    if tried.secrets.is_empty() && reason.contains("mismatch") {
        failure.message = "the gateway does not take the token that it gave this device: \
            the device was removed there, or its token revoked"
            .into();
        return failure
            .fact("reason", reason)
            .fact("on", "the gateway's machine, or any paired device")
            .mend_there("clawdia devices pair   # lets it in again, or: clawdia devices rotate");
    }
    if tried.secrets.is_empty() {
        failure.message = format!("the gateway wants a {what}, and none was sent");
        failure = failure.fact(what_fact(what), none_because(tried));
        return how_to_set(failure, what, tried);
    }
    failure.message = format!("the gateway refused the {what}");
    let source = tried.secrets.source();
    failure = failure.fact(what_fact(what), format!("from {source}"));
    failure = failure.fact("reason", reason);
    if source.starts_with("CLAWDIA_") {
        let variable = source.split(' ').next().unwrap_or_default();
        failure = failure.mend(format!("unset {variable}"));
    }
    match tried.target {
        Target::Own if source.starts_with("--") || source.starts_with("CLAWDIA_") => {
            failure.mend("clawdia token   # prints the right one")
        }
        // What the files say now is not what the gateway started with.
        Target::Own => failure
            .mend("clawdia gateway run --force   # so that it reads the new one")
            .mend(format!(
                "the same with --{what} …   # if it was started with one of its own"
            )),
        Target::Remote | Target::Tunnel | Target::Other => how_to_set(failure, what, tried),
    }
}

fn what_fact(what: &str) -> &'static str {
    if what == "password" {
        "password"
    } else {
        "token"
    }
}

fn none_because(tried: &Tried<'_>) -> String {
    match tried.target {
        Target::Own => "none: neither the configuration nor the state directory has one".into(),
        Target::Remote => "none: the configuration has none in gateway.remote".into(),
        Target::Tunnel => "none: `clawdia token` on the host gave none".into(),
        Target::Other if tried.url.is_loopback() => format!(
            "none: port {} is not held by the gateway of this state directory",
            tried.url.port
        ),
        Target::Other => "none: this address is not gateway.remote.url".into(),
    }
}

fn how_to_set(failure: Failure, what: &str, tried: &Tried<'_>) -> Failure {
    let once = if what == "password" {
        "the same with --password PASSWORD"
    } else {
        "the same with --token-file FILE"
    };
    match tried.target {
        Target::Own => failure
            .mend(once)
            .mend(format!("clawdia config set gateway.auth.{what} …")),
        Target::Remote => failure.mend(format!("clawdia config set gateway.remote.{what} …")),
        Target::Tunnel => failure.mend(once),
        Target::Other => failure.mend(once).mend(format!(
            "clawdia config set gateway.remote.url {} && clawdia config set gateway.remote.{what} …",
            tried.url
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::secret::Secret;
    use serde_json::{Value, json};

    fn answer(error: Value) -> ClientError {
        ClientError::gateway(GatewayError::from_response(&error, Value::Null))
    }

    fn unauthorized(text: &str) -> ClientError {
        answer(json!({"code":"INVALID_REQUEST","message":text}))
    }

    fn told(error: ClientError, target: Target, source: Option<&str>) -> String {
        let url = GatewayUrl::parse("ws://127.0.0.1:18789").unwrap();
        let secrets = Secrets {
            token: source.map(|source| Secret::new("hush", source)),
            password: None,
        };
        let tried = Tried {
            url: &url,
            target,
            secrets: &secrets,
            ssh: None,
            connecting: true,
            url_given: true,
        };
        let failure = explain(error, &tried);
        let text = format!(
            "{}\n{:?}\n{:?}",
            failure.message,
            failure.facts,
            [&failure.mend[..], &failure.mend_there].concat()
        );
        assert!(!text.contains("hush"), "the secret itself is never shown");
        text
    }

    #[test]
    fn every_refusal_names_the_secret_its_origin_and_the_command_that_mends_it() {
        let mismatch = || unauthorized("unauthorized: gateway token mismatch (…)");
        let missing = || unauthorized("unauthorized: gateway token missing (…)");
        let cases = [
            (
                mismatch(),
                Target::Own,
                Some("--token"),
                "--token",
                "clawdia token",
            ),
            (
                mismatch(),
                Target::Own,
                Some("CLAWDIA_GATEWAY_TOKEN (environment)"),
                "CLAWDIA_GATEWAY_TOKEN (environment)",
                "unset CLAWDIA_GATEWAY_TOKEN\"",
            ),
            (
                mismatch(),
                Target::Own,
                Some("gateway.auth.token"),
                "gateway.auth.token",
                "gateway run",
            ),
            (
                mismatch(),
                Target::Remote,
                Some("gateway.remote.token"),
                "gateway.remote.token",
                "config set gateway.remote.token",
            ),
            (
                missing(),
                Target::Remote,
                None,
                "has none in gateway.remote",
                "config set gateway.remote.token",
            ),
            (
                missing(),
                Target::Other,
                None,
                "not held by the gateway",
                "--token-file",
            ),
        ];
        for (error, target, source, origin, mend) in cases {
            let text = told(error, target, source);
            assert!(text.contains("token") && text.contains(origin), "{text}");
            assert!(text.contains(mend), "{text}");
        }
        let password = unauthorized("unauthorized: gateway password missing (…)");
        let text = told(password, Target::Other, None);
        assert!(
            text.contains("wants a password") && text.contains("--password"),
            "{text}"
        );
    }

    #[test]
    fn a_device_that_is_not_paired_is_told_how_to_be() {
        let error = answer(json!({"code":"NOT_PAIRED","message":"pairing required",
            "details":{"requestId":"r-1"}}));
        assert!(told(error, Target::Remote, None).contains("clawdia devices approve r-1"));
    }

    #[test]
    fn a_refused_code_is_not_taken_for_a_missing_token() {
        let text =
            "unauthorized: pairing code unknown, used or expired (run: clawdia devices pair)";
        let told = told(unauthorized(text), Target::Other, None);
        assert!(told.contains("code: unknown, used or expired\n"), "{told}");
        assert!(
            told.contains("clawdia devices pair") && !told.contains("token"),
            "{told}"
        );
    }

    #[test]
    fn a_token_of_this_device_that_counts_no_more_is_not_called_missing() {
        let text = told(
            unauthorized("unauthorized: gateway token mismatch (provide gateway auth token)"),
            Target::Other,
            None,
        );
        assert!(
            text.contains("the token that it gave this device: the device was removed"),
            "{text}"
        );
        assert!(text.contains("clawdia devices pair"), "{text}");
    }

    #[test]
    fn what_a_schema_says_is_told_in_words() {
        for (said, plain) in [
            (
                "at /label: must NOT have more than 64 characters; at /label: must be null; \
                 at /label: must match a schema in anyOf",
                "label: has more than 64 characters",
            ),
            (
                "at /a: must be equal to constant; at /a: must be equal to constant",
                "a: is none of its words",
            ),
            (
                "at /limit: must be >= 1; must have required property 'key'",
                "limit: is less than 1; there is no 'key'",
            ),
        ] {
            let error = unauthorized(&format!("invalid sessions.patch params: {said}"));
            let wanted = format!("invalid sessions.patch params: {plain}\n");
            let told = told(error, Target::Own, None);
            assert!(told.starts_with(&wanted), "{told}");
        }
    }

    #[test]
    fn a_lock_out_says_how_long_it_lasts() {
        let error = answer(json!({"code":"INVALID_REQUEST","retryAfterMs":300_000,
            "message":"unauthorized: too many attempts"}));
        assert!(told(error, Target::Own, Some("--token")).contains("5 min"));
    }

    #[test]
    fn a_missing_gateway_is_answered_with_how_to_start_one() {
        let url = GatewayUrl::loopback(18789);
        let tried = Tried {
            url: &url,
            target: Target::Other,
            secrets: &Secrets::default(),
            ssh: None,
            connecting: true,
            url_given: false,
        };
        let failure = explain(ClientError::new(ErrorKind::Unreachable, "x"), &tried);
        assert_eq!(failure.mend, ["clawdia gateway run"]);
    }
}
