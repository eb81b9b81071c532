//! From an address to a connection that the gateway has let in.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::error::{ClientError, ErrorKind, GatewayError};
use super::identity::{Device, Identity, ProofFields};
use super::party::Party;
use super::secret::{self, Secrets};
use super::session::{Client, Hello};
use super::tokens::{GatewayIdentity, TokenStore};
use super::url::GatewayUrl;
use super::ws::WebSocket;

/// The protocol versions that this client speaks.
const PROTOCOL: (u32, u32) = (3, 4);

/// Everything that a connection needs to know.
pub struct ConnectOptions<'a> {
    /// Where.
    pub url: &'a GatewayUrl,
    /// What proves that we may: chosen by [`secret::choose`].
    pub secrets: &'a Secrets,
    /// What a stored device token is bound to; `None` keeps and sends none.
    pub gateway: Option<&'a GatewayIdentity>,
    /// Pins of the certificates that the gateway may show; without them an authority that this
    /// machine trusts has to have signed it.
    pub pin: Option<&'a str>,
    /// Who has the device key, asked for it once the gateway has answered.
    pub identity: &'a dyn Device,
    /// Where device tokens are kept.
    pub tokens: &'a TokenStore,
    /// `client.mode`: `cli`, `probe` or `node`.
    pub mode: &'a str,
    /// Send credentials over an unencrypted network all the same.
    pub insecure: bool,
    /// Asked once the connection stands and before a credential leaves: whether the gateway is
    /// still the one that the secrets were chosen for.
    pub still_meant: &'a dyn Fn() -> bool,
}

/// Connects as a person at the command line.
pub fn connect(options: &ConnectOptions<'_>, deadline: Instant) -> Result<Client, ClientError> {
    connect_as(&Party::operator()?, options, deadline)
}

/// Connects as `party`, proves who we are, and waits for `hello-ok`.
///
/// A shared secret is preferred to a stored device token, since it also mends a token that
/// was revoked, and either to a pairing code; no more than one of them leaves this machine.
pub fn connect_as(
    party: &Party,
    options: &ConnectOptions<'_>,
    deadline: Instant,
) -> Result<Client, ClientError> {
    let stored = match (options.gateway, options.secrets.is_empty()) {
        (Some(gateway), true) => options.tokens.get(gateway, party.role)?,
        _ => None,
    };
    let shows_secret = stored.is_some() || !options.secrets.is_empty();
    let code = party.code.as_deref().filter(|_| !shows_secret);
    let sends_credential = shows_secret || code.is_some();
    secret::check_transport(options.url, sends_credential, options.pin, options.insecure)?;

    let mut ws = WebSocket::open(options.url, options.pin, deadline)?;
    let nonce = challenge(&mut ws, deadline)?;
    if sends_credential && !(options.still_meant)() {
        return Err(ClientError::new(
            ErrorKind::Security,
            "the port changed hands meanwhile, so the secret was not sent",
        ));
    }
    let token = match &options.secrets.token {
        Some(secret) => Some(secret.value.as_str()),
        None => stored.as_deref(),
    };
    let shown = Shown { token, code };
    let identity = options.identity.identity()?;
    let params = connect_params(party, options, identity, shown, &nonce, unix_ms());
    let request = json!({"type":"req","id":"connect","method":"connect","params":params});
    ws.send_text(&request.to_string(), deadline)?;
    let payload = answer(&mut ws, deadline)?;
    let hello = Hello::read(payload)?;
    if let (Some(gateway), Some(token)) = (options.gateway, &hello.device_token) {
        options.tokens.put(gateway, party.role, token)?;
    }
    Ok(Client::new(ws, hello))
}

/// Waits for the nonce that the proof has to sign.
fn challenge(ws: &mut WebSocket, deadline: Instant) -> Result<String, ClientError> {
    let message = parse(&ws.next_text(deadline)?)?;
    let nonce = message["payload"]["nonce"].as_str().unwrap_or("");
    if message["event"] != "connect.challenge" || nonce.is_empty() {
        return Err(ClientError::protocol(
            "the peer is a WebSocket server, but no gateway: it sent no challenge",
        ));
    }
    Ok(nonce.to_owned())
}

/// Waits for the answer to `connect`; events that come first are not for us yet.
fn answer(ws: &mut WebSocket, deadline: Instant) -> Result<Value, ClientError> {
    loop {
        let mut message = parse(&ws.next_text(deadline)?)?;
        if message["type"] != "res" || message["id"] != "connect" {
            continue;
        }
        let payload = message["payload"].take();
        if message["ok"] == true {
            return Ok(payload);
        }
        let error = GatewayError::from_response(&message["error"], payload);
        return Err(ClientError::gateway(error));
    }
}

/// The secret that `connect` shows, besides a password.
struct Shown<'a> {
    token: Option<&'a str>,
    code: Option<&'a str>,
}

fn connect_params(
    party: &Party,
    options: &ConnectOptions<'_>,
    identity: &Identity,
    shown: Shown<'_>,
    nonce: &str,
    signed_at_ms: u64,
) -> Value {
    let signature = identity.prove(&ProofFields {
        client_id: party.client_id,
        client_mode: options.mode,
        role: party.role,
        scopes: party.scopes,
        signed_at_ms,
        token: shown.token.or(shown.code).unwrap_or(""),
        nonce,
    });
    let mut params = json!({
        "minProtocol": PROTOCOL.0,
        "maxProtocol": PROTOCOL.1,
        "client": {
            "id": party.client_id,
            "version": env!("CARGO_PKG_VERSION"),
            "platform": std::env::consts::OS,
            "mode": options.mode,
        },
        "role": party.role,
        "scopes": party.scopes,
        "device": {
            "id": identity.device_id(),
            "publicKey": identity.public_key(),
            "signature": signature,
            "signedAt": signed_at_ms,
            "nonce": nonce,
        },
    });
    for (name, value) in &party.client {
        params["client"][name] = value.clone();
    }
    for (name, value) in &party.connect {
        params[name] = value.clone();
    }
    if let Some(token) = shown.token {
        params["auth"]["token"] = token.into();
    }
    if let Some(code) = shown.code {
        params["auth"]["bootstrapToken"] = code.into();
    }
    if let Some(password) = &options.secrets.password {
        params["auth"]["password"] = password.value.as_str().into();
    }
    params
}

/// Reads one message of the gateway.
pub(super) fn parse(text: &str) -> Result<Value, ClientError> {
    serde_json::from_str(text)
        .map_err(|error| ClientError::protocol(format!("the peer sent no JSON: {error}")))
}

fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |elapsed| elapsed.as_millis() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::secret::Secret;
    use crate::client::testing::{self, FakeGateway};
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use ring::signature::{ED25519, UnparsedPublicKey};

    struct Home {
        _dir: tempfile::TempDir,
        identity: Identity,
        tokens: TokenStore,
        still_meant: std::cell::Cell<bool>,
    }

    fn home() -> Home {
        let dir = tempfile::tempdir().unwrap();
        Home {
            identity: Identity::load_or_create(dir.path()).unwrap(),
            tokens: TokenStore::new(dir.path(), "default"),
            still_meant: true.into(),
            _dir: dir,
        }
    }

    impl Home {
        fn connect(
            &self,
            url: &GatewayUrl,
            secrets: &Secrets,
            gateway: Option<&GatewayIdentity>,
        ) -> Result<Client, ClientError> {
            let still_meant = || self.still_meant.get();
            let mut options = self.options(url, secrets, gateway);
            options.still_meant = &still_meant;
            connect(&options, testing::deadline())
        }

        fn options<'a>(
            &'a self,
            url: &'a GatewayUrl,
            secrets: &'a Secrets,
            gateway: Option<&'a GatewayIdentity>,
        ) -> ConnectOptions<'a> {
            ConnectOptions {
                url,
                secrets,
                gateway,
                pin: None,
                identity: &self.identity,
                tokens: &self.tokens,
                mode: "cli",
                insecure: false,
                still_meant: &|| true,
            }
        }
    }

    fn token(value: &str) -> Secrets {
        Secrets {
            token: Some(Secret::new(value, "--token")),
            password: None,
        }
    }

    #[test]
    fn the_proof_verifies_over_what_was_sent() {
        let fake = FakeGateway::start(|mut peer| {
            let connect = peer.welcome(json!({}));
            let p = &connect["params"];
            let device = &p["device"];
            assert_eq!(device["nonce"], "the-nonce");
            assert_eq!(
                (&p["minProtocol"], &p["maxProtocol"]),
                (&json!(3), &json!(4))
            );
            let scopes: Vec<&str> = p["scopes"]
                .as_array()
                .unwrap()
                .iter()
                .map(|s| s.as_str().unwrap())
                .collect();
            let text = format!(
                "v2|{}|cli|cli|operator|{}|{}|hush|the-nonce",
                device["id"].as_str().unwrap(),
                scopes.join(","),
                device["signedAt"]
            );
            let decode = |v: &Value| URL_SAFE_NO_PAD.decode(v.as_str().unwrap()).unwrap();
            let key = decode(&device["publicKey"]);
            UnparsedPublicKey::new(&ED25519, &key)
                .verify(text.as_bytes(), &decode(&device["signature"]))
                .unwrap();
            assert!(!peer.head.to_lowercase().contains("origin:"));
            assert!(
                !peer.head.contains("hush"),
                "no credential in the URL or head"
            );
        });
        home().connect(&fake.url(), &token("hush"), None).unwrap();
        fake.join();
    }

    #[test]
    fn a_device_token_goes_back_to_its_gateway_and_to_no_other() {
        let home = home();
        let a = GatewayIdentity::own();
        let first = FakeGateway::start(|mut peer| {
            peer.welcome(json!({"deviceToken":"token-of-a","role":"operator","scopes":[]}));
        });
        home.connect(&first.url(), &token("shared"), Some(&a))
            .unwrap();
        first.join();

        let again = FakeGateway::start(|mut peer| {
            let connect = peer.welcome(json!({}));
            assert_eq!(connect["params"]["auth"]["token"], "token-of-a");
        });
        home.connect(&again.url(), &Secrets::default(), Some(&a))
            .unwrap();
        again.join();

        let b = GatewayIdentity::configured(&GatewayUrl::loopback(1), None);
        for other in [Some(&b), None] {
            let foreign = FakeGateway::start(|mut peer| {
                let connect = peer.welcome(json!({}));
                assert!(connect["params"].get("auth").is_none());
                assert!(!connect.to_string().contains("token-of-a"));
            });
            home.connect(&foreign.url(), &Secrets::default(), other)
                .unwrap();
            foreign.join();
        }
    }

    #[test]
    fn a_pairing_code_is_shown_until_there_is_a_token() {
        let home = home();
        let own = GatewayIdentity::own();
        let node = Party {
            role: "node",
            code: Some("one-time".into()),
            ..Party::operator().unwrap()
        };
        let no_secrets = Secrets::default();
        let enter = |url: &GatewayUrl| {
            let options = home.options(url, &no_secrets, Some(&own));
            connect_as(&node, &options, testing::deadline()).unwrap();
        };
        home.tokens.put(&own, "operator", "another role's").unwrap();
        let first = FakeGateway::start(|mut peer| {
            let connect = peer.welcome(json!({"deviceToken":"token","role":"node","scopes":[]}));
            let auth = &connect["params"]["auth"];
            assert_eq!(*auth, json!({"bootstrapToken":"one-time"}));
            assert_eq!(connect["params"]["role"], "node");
        });
        enter(&first.url());
        first.join();
        let again = FakeGateway::start(|mut peer| {
            let connect = peer.welcome(json!({}));
            assert_eq!(connect["params"]["auth"], json!({"token":"token"}));
        });
        enter(&again.url());
        again.join();
    }

    #[test]
    fn a_shared_secret_keeps_the_stored_token_at_home() {
        let home = home();
        let own = GatewayIdentity::own();
        home.tokens.put(&own, "operator", "stored").unwrap();
        let fake = FakeGateway::start(|mut peer| {
            let connect = peer.welcome(json!({}));
            assert_eq!(connect["params"]["auth"], json!({"password":"pw"}));
        });
        let secrets = Secrets {
            token: None,
            password: Some(Secret::new("pw", "--password")),
        };
        home.connect(&fake.url(), &secrets, Some(&own)).unwrap();
        fake.join();
    }

    #[test]
    fn an_unencrypted_network_gets_no_credential() {
        let home = home();
        // Would fail as unreachable, not as a security error, were it tried.
        let url = GatewayUrl::parse("ws://192.0.2.1:1").unwrap();
        let error = home.connect(&url, &token("t"), None).err().unwrap();
        assert_eq!(error.kind, ErrorKind::Security);
        let gateway = GatewayIdentity::of(&url, None).unwrap();
        home.tokens.put(&gateway, "operator", "t").unwrap();
        let error = home.connect(&url, &Secrets::default(), Some(&gateway));
        assert_eq!(error.err().unwrap().kind, ErrorKind::Security);
    }

    #[test]
    fn a_port_that_changed_hands_while_connecting_gets_no_credential() {
        let home = home();
        home.still_meant.set(false);
        let fake = FakeGateway::start(|mut peer| {
            peer.send(&json!({"type":"event","event":"connect.challenge","payload":{"nonce":"n"}}));
            assert_eq!(peer.rest(), b"", "nothing more is sent");
        });
        let error = home.connect(&fake.url(), &token("t"), None).err().unwrap();
        assert_eq!(error.kind, ErrorKind::Security);
        fake.join();
    }

    #[test]
    fn a_refusal_carries_code_message_and_details() {
        let fake = FakeGateway::start(|mut peer| {
            let connect = peer.challenge();
            peer.refuse(
                &connect,
                json!({"code":"NOT_PAIRED","message":"pairing required","details":{"requestId":"r1"}}),
            );
        });
        let error = home()
            .connect(&fake.url(), &token("t"), None)
            .err()
            .unwrap();
        assert_eq!(error.code(), "NOT_PAIRED");
        assert_eq!(error.as_gateway().unwrap().details["requestId"], "r1");
        fake.join();
    }

    #[test]
    fn another_websocket_server_gets_no_credential() {
        let fake = FakeGateway::start(|mut peer| peer.send(&json!({"hello":"chat"})));
        let error = home()
            .connect(&fake.url(), &token("t"), None)
            .err()
            .unwrap();
        assert_eq!(error.kind, ErrorKind::Protocol);
        fake.join();
    }
}
