//! Which secret goes where: a pure choice, made before a connection is opened.

use std::fmt;

use super::error::{ClientError, ErrorKind};
use super::url::GatewayUrl;

/// A secret and where it was read, so that a refusal can say so.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    /// The secret itself; never printed.
    pub value: String,
    /// Where it was read, for people: `--token`, `gateway.auth.token in <file>`, …
    pub source: String,
}

impl Secret {
    /// A secret read from `source`.
    pub fn new(value: impl Into<String>, source: impl Into<String>) -> Self {
        Self {
            value: value.into(),
            source: source.into(),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret(from {})", self.source)
    }
}

/// The secrets of one place: each may be there or not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Secrets {
    /// A shared token.
    pub token: Option<Secret>,
    /// A shared password.
    pub password: Option<Secret>,
}

impl Secrets {
    /// Whether there is neither.
    pub fn is_empty(&self) -> bool {
        self.token.is_none() && self.password.is_none()
    }

    /// Where they come from, for people.
    pub fn source(&self) -> String {
        let sources: Vec<&str> = [&self.token, &self.password]
            .into_iter()
            .flatten()
            .map(|secret| secret.source.as_str())
            .collect();
        sources.join(" and ")
    }
}

/// Whom a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The gateway process that holds this state directory's lock, on the port it names.
    Own,
    /// The address that equals `gateway.remote.url`.
    Remote,
    /// The far end of an SSH tunnel of our own.
    Tunnel,
    /// Any other address, a foreign process on a local port included.
    Other,
}

/// Everything that might be sent.
#[derive(Clone, Debug, Default)]
pub struct Available {
    /// `--token`, `--token-file`, `--password`.
    pub flags: Secrets,
    /// `CLAWDIA_GATEWAY_TOKEN`, `CLAWDIA_GATEWAY_PASSWORD`.
    pub environment: Secrets,
    /// `gateway.auth.*`, or the generated token of the state directory.
    pub local: Secrets,
    /// `gateway.remote.*`, where the target is what that section names.
    pub remote: Secrets,
}

/// Chooses what is sent to `target`: what was asked for on the command line, then the
/// environment, then what belongs to the target. Never the local secret to anybody else.
pub fn choose(target: Target, available: &Available) -> Secrets {
    if !available.flags.is_empty() {
        return available.flags.clone();
    }
    if !available.environment.is_empty() {
        return available.environment.clone();
    }
    match target {
        Target::Own => available.local.clone(),
        Target::Remote | Target::Tunnel => available.remote.clone(),
        Target::Other => Secrets::default(),
    }
}

/// Decides whom `url` is: the remote one when it is exactly the configured address, our own
/// when it is 127.0.0.1 on the port that our locked process holds, with or without TLS as it
/// has it. Another loopback address is somebody else's: a tunnel may listen on `[::1]` or
/// 127.0.0.2 beside our gateway.
pub fn classify(url: &GatewayUrl, remote: Option<&GatewayUrl>, own: Option<&GatewayUrl>) -> Target {
    if remote == Some(url) {
        return Target::Remote;
    }
    let here = matches!(url.host.as_str(), "127.0.0.1" | "localhost");
    if here && own.is_some_and(|own| (own.secure, own.port) == (url.secure, url.port)) {
        return Target::Own;
    }
    Target::Other
}

/// Refuses to send a credential where anybody on the way could read it.
pub fn check_transport(
    url: &GatewayUrl,
    sends_credential: bool,
    pin: Option<&str>,
    insecure: bool,
) -> Result<(), ClientError> {
    if pin.is_some() && !url.secure {
        return Err(ClientError::new(
            ErrorKind::Configuration,
            format!("a certificate fingerprint is configured, but {url} has no TLS: use wss://"),
        ));
    }
    if sends_credential && !url.secure && !url.is_loopback() && !insecure {
        return Err(ClientError::new(
            ErrorKind::Security,
            format!(
                "SECURITY ERROR: {url} is not encrypted and not this machine, so the secret \
                 was not sent. Use wss://, or an SSH tunnel and ws://127.0.0.1:PORT; \
                 --insecure sends it all the same"
            ),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> GatewayUrl {
        GatewayUrl::parse(text).unwrap()
    }

    fn token(source: &str) -> Secrets {
        Secrets {
            token: Some(Secret::new("x", source)),
            password: None,
        }
    }

    fn all() -> Available {
        Available {
            flags: token("flag"),
            environment: token("env"),
            local: token("local"),
            remote: token("remote"),
        }
    }

    #[test]
    fn flags_then_environment_then_the_target_decide() {
        let none = Secrets::default();
        let mut available = all();
        for target in [Target::Own, Target::Remote, Target::Other] {
            assert_eq!(choose(target, &available).source(), "flag");
        }
        available.flags = none.clone();
        for target in [Target::Own, Target::Remote, Target::Other] {
            assert_eq!(choose(target, &available).source(), "env");
        }
        available.environment = none.clone();
        assert_eq!(choose(Target::Own, &available).source(), "local");
        assert_eq!(choose(Target::Remote, &available).source(), "remote");
        assert_eq!(choose(Target::Other, &available), none);
    }

    #[test]
    fn a_password_flag_keeps_the_environment_token_at_home() {
        let mut available = all();
        available.flags = Secrets {
            token: None,
            password: Some(Secret::new("p", "--password")),
        };
        assert_eq!(choose(Target::Own, &available).token, None);
    }

    #[test]
    fn a_tunnel_on_the_local_port_never_sees_the_local_token() {
        let local = url("ws://127.0.0.1:18789");
        // Our gateway runs there: own. It does not run, or on another port: somebody else's.
        let own = |port: u16| GatewayUrl::loopback(port);
        assert_eq!(classify(&local, None, Some(&own(18789))), Target::Own);
        assert_eq!(classify(&local, None, None), Target::Other);
        assert_eq!(classify(&local, None, Some(&own(18790))), Target::Other);
        let with_tls = url("wss://127.0.0.1:18789");
        assert_eq!(classify(&local, None, Some(&with_tls)), Target::Other);
        assert_eq!(classify(&with_tls, None, Some(&with_tls)), Target::Own);
        // It runs there, and a tunnel beside it on another loopback address.
        for beside in ["ws://[::1]:18789", "ws://127.0.0.2:18789"] {
            let beside = classify(&url(beside), None, Some(&own(18789)));
            assert_eq!(beside, Target::Other);
        }
    }

    #[test]
    fn the_remote_secret_goes_to_the_configured_address_alone() {
        let remote = url("ws://127.0.0.1:18790");
        let own = GatewayUrl::loopback(18789);
        let classify = |text: &str| classify(&url(text), Some(&remote), Some(&own));
        assert_eq!(classify("ws://127.0.0.1:18790"), Target::Remote);
        assert_eq!(classify("ws://localhost:18790"), Target::Other);
        assert_eq!(classify("wss://127.0.0.1:18790"), Target::Other);
        assert_eq!(classify("ws://127.0.0.1:18790/x"), Target::Other);
        assert_eq!(classify("ws://10.0.0.1:18789"), Target::Other);
        assert_eq!(classify("ws://127.evil.com:18789"), Target::Other);
    }

    #[test]
    fn credentials_cross_a_network_only_encrypted_or_when_forced() {
        let cases = [
            ("ws://127.0.0.1:1", true),
            ("ws://localhost:1", true),
            ("ws://[::1]:1", true),
            ("wss://example.org", true),
            ("ws://example.org", false),
            ("ws://192.168.1.2:1", false),
            ("ws://127.evil.com:1", false),
            ("ws://localhost.evil.com:1", false),
        ];
        for (text, allowed) in cases {
            let checked = check_transport(&url(text), true, None, false);
            assert_eq!(checked.is_ok(), allowed, "{text}");
            if let Err(error) = checked {
                assert_eq!(error.kind, ErrorKind::Security);
                assert!(error.message.contains("SECURITY ERROR"));
            }
            assert!(check_transport(&url(text), true, None, true).is_ok());
            assert!(check_transport(&url(text), false, None, false).is_ok());
        }
    }

    #[test]
    fn a_pin_without_tls_is_an_error_even_when_forced() {
        let error = check_transport(&url("ws://127.0.0.1:1"), false, Some("ab"), true);
        assert_eq!(error.unwrap_err().kind, ErrorKind::Configuration);
        assert!(check_transport(&url("wss://h"), true, Some("ab"), false).is_ok());
    }

    #[test]
    fn a_secret_is_never_printed() {
        assert!(!format!("{:?}", Secret::new("hunter2", "--token")).contains("hunter2"));
    }
}
