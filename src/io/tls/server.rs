//! What a handshake is made with: the certificate, the protocol versions, the tickets.

use std::fmt;
use std::sync::Arc;

use rustls::crypto::ring::{Ticketer, default_provider};
use rustls::server::{NoServerSessionStorage, ServerConfig};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{Error, version};

use super::certificate::Pair;

/// Makes [`Acceptor`]s that accept one another's tickets.
pub struct Maker {
    provider: Arc<rustls::crypto::CryptoProvider>,
    tickets: Arc<dyn rustls::server::ProducesTickets>,
}

impl Maker {
    /// With ticket keys of its own, which change every six hours.
    ///
    /// # Errors
    ///
    /// When the system gives no random bytes.
    pub fn new() -> Result<Self, Error> {
        Ok(Self {
            provider: Arc::new(default_provider()),
            tickets: Ticketer::new()?,
        })
    }

    /// An acceptor that shows this certificate.
    ///
    /// # Errors
    ///
    /// When the key is of no kind that is known here.
    pub fn acceptor(&self, pair: &Pair) -> Result<Acceptor, Error> {
        let key = self
            .provider
            .key_provider
            .load_private_key(pair.key.clone_key())?;
        let certified = CertifiedKey::new(pair.chain.clone(), key);
        certified.keys_match()?;
        let mut config = ServerConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(&[&version::TLS13, &version::TLS12])?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
        // The peer keeps its session, we keep nothing for it: a fleet that comes back costs a
        // fraction of its first visit and no memory meanwhile.
        config.ticketer = self.tickets.clone();
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 1;
        // RFC 9325 3.8: a peer that means another protocol is refused before it is misled.
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Acceptor(Arc::new(config)))
    }
}

/// What new connections shake hands with.
#[derive(Clone)]
pub struct Acceptor(Arc<ServerConfig>);

impl Acceptor {
    pub(super) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.0)
    }
}

impl PartialEq for Acceptor {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Acceptor {}

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Acceptor")
    }
}
