//! TLS for clients that measure: they believe one certificate, the server's own.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion,
};

use crate::client::{tcp, upgrade};

/// Sessions of a crowd that comes back.
const SESSIONS: usize = 256;

/// What a client believes, and whether it takes up former sessions.
#[derive(Clone)]
pub struct Trust(Arc<ClientConfig>);

impl Trust {
    /// Believes the certificate in this file.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn new(
        pem: &Path,
        version: &'static SupportedProtocolVersion,
        resumes: bool,
    ) -> io::Result<Self> {
        let leaf = CertificateDer::from_pem_file(pem).map_err(io::Error::other)?;
        let mut roots = RootCertStore::empty();
        roots.add(leaf).map_err(io::Error::other)?;
        let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&[version])
            .map_err(io::Error::other)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.resumption = match resumes {
            true => Resumption::in_memory_sessions(SESSIONS),
            false => Resumption::disabled(),
        };
        Ok(Self(Arc::new(config)))
    }

    fn shake_hands(&self, mut socket: TcpStream) -> io::Result<Stream> {
        let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
        let mut tls = ClientConnection::new(self.0.clone(), name).map_err(io::Error::other)?;
        while tls.is_handshaking() {
            tls.complete_io(&mut socket)?;
        }
        Ok(StreamOwned::new(tls, socket))
    }
}

/// A connection over TLS.
pub type Stream = StreamOwned<ClientConnection, TcpStream>;

/// What a party speaks through.
pub trait Wire: Read + Write + Send {}

impl<T: Read + Write + Send> Wire for T {}

/// A port of this machine, and whether TLS is spoken there.
#[derive(Clone)]
pub struct Door {
    port: u16,
    trust: Option<Trust>,
}

impl From<u16> for Door {
    fn from(port: u16) -> Self {
        Self { port, trust: None }
    }
}

impl Door {
    /// A port where TLS is spoken.
    pub fn secure(port: u16, trust: Trust) -> Self {
        Self {
            port,
            trust: Some(trust),
        }
    }

    /// What is added to the name of a figure.
    pub fn suffix(&self) -> &'static str {
        match self.trust {
            Some(_) => " over TLS",
            None => "",
        }
    }

    /// Connects and upgrades.
    ///
    /// # Errors
    ///
    /// When the server does not take it.
    pub fn open(&self) -> io::Result<Box<dyn Wire>> {
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        let mut plain = tcp(addr)?;
        let Some(trust) = &self.trust else {
            upgrade(&mut plain, addr)?;
            return Ok(Box::new(plain));
        };
        let mut stream = trust.shake_hands(plain)?;
        upgrade(&mut stream, addr)?;
        Ok(Box::new(stream))
    }
}
