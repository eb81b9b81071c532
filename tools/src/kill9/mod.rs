//! Load on a gateway that is killed again and again, and a ledger of what it promised.
//!
//! Read next: [`ledger`] (what was asked and answered), [`talker`] and [`keeper`] (who asks),
//! [`verify`] (what has to be there afterwards).

pub mod keeper;
pub mod ledger;
pub mod talker;
pub mod verify;

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clawdia::client::identity::Identity;
use clawdia::client::secret::{Secret, Secrets};
use clawdia::client::tokens::TokenStore;
use clawdia::client::{Client, ClientError, ConnectOptions, GatewayUrl, connect};

/// A gateway that lives and takes longer for one answer has lost it.
const ANSWER_MAX: Duration = Duration::from_secs(30);

/// How to reach the gateway, and whether it still is to be reached.
pub struct Access {
    url: GatewayUrl,
    secret: String,
    tokens: TokenStore,
    killed: AtomicBool,
    /// Messages to the session that all talkers share.
    pub shared: AtomicU64,
    /// The number of this life of the gateway, from 0.
    pub life: u32,
}

impl Access {
    /// To the gateway at `url`. No token is ever stored in `dir`.
    pub fn new(url: GatewayUrl, secret: &str, dir: &Path, life: u32, shared: u64) -> Self {
        Self {
            url,
            secret: secret.to_owned(),
            tokens: TokenStore::new(dir, "kill9"),
            killed: AtomicBool::new(false),
            shared: AtomicU64::new(shared),
            life,
        }
    }

    /// From now on nobody minds a broken connection.
    pub fn will_be_killed(&self) {
        self.killed.store(true, Ordering::SeqCst);
    }

    /// Connects with the gateway's own secret.
    ///
    /// # Errors
    ///
    /// As [`connect`].
    pub fn enter(&self, identity: &Identity) -> Result<Client, ClientError> {
        self.knock(identity, &self.secret)
    }

    /// Connects with `token`, a device's or the gateway's.
    ///
    /// # Errors
    ///
    /// As [`connect`].
    pub fn knock(&self, identity: &Identity, token: &str) -> Result<Client, ClientError> {
        let secrets = Secrets {
            token: Some(Secret::new(token, "the ledger")),
            password: None,
        };
        let options = ConnectOptions {
            url: &self.url,
            secrets: &secrets,
            gateway: None,
            pin: None,
            identity,
            tokens: &self.tokens,
            mode: "cli",
            insecure: false,
            still_meant: &|| true,
        };
        connect(&options, deadline())
    }

    /// The fault in a failed call or connection; a killed gateway is none.
    pub fn fault(&self, what: &str, error: &ClientError) -> Option<String> {
        let is_expected = self.killed.load(Ordering::SeqCst)
            && error.as_gateway().is_none()
            && error.kind != clawdia::client::ErrorKind::Timeout;
        (!is_expected).then(|| format!("{what}: {error} ({:?})", error.kind))
    }
}

/// When an answer must have come.
pub fn deadline() -> Instant {
    Instant::now() + ANSWER_MAX
}
