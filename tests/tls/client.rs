//! A client of TLS that believes one certificate, and a gateway that shows it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::Resumption;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion,
};

use crate::support::{Home, Running};

/// Well above what anything here takes, and well below what the gateway would wait.
pub const AT_ONCE: Duration = Duration::from_secs(8);

pub const ON: &str = "{ gateway: { tls: { enabled: true } } }";

/// A home whose gateway speaks TLS.
pub fn home() -> Home {
    let home = Home::new();
    home.configure(ON);
    home
}

/// The certificate that the gateway of this home made.
pub fn own_certificate(home: &Home) -> CertificateDer<'static> {
    certificate(&home.state().join("gateway-tls.pem"))
}

pub fn certificate(path: &Path) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(path).unwrap()
}

/// What believes this certificate, remembers sessions, and speaks these versions.
pub fn config(
    certificate: CertificateDer<'static>,
    versions: &[&'static SupportedProtocolVersion],
) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = Resumption::in_memory_sessions(8);
    Arc::new(config)
}

pub fn modern(home: &Home) -> Arc<ClientConfig> {
    config(own_certificate(home), rustls::ALL_VERSIONS)
}

pub type Stream = StreamOwned<ClientConnection, TcpStream>;

pub fn socket(port: u16) -> TcpStream {
    let socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
    socket.set_read_timeout(Some(AT_ONCE)).unwrap();
    socket.set_write_timeout(Some(AT_ONCE)).unwrap();
    socket.set_nodelay(true).unwrap();
    socket
}

/// A connection whose handshake is done.
pub fn connect(gateway: &Running, config: &Arc<ClientConfig>) -> Stream {
    let name = ServerName::try_from("localhost").unwrap();
    let mut tls = ClientConnection::new(config.clone(), name).unwrap();
    let mut socket = socket(gateway.port);
    while tls.is_handshaking() {
        tls.complete_io(&mut socket).unwrap();
    }
    StreamOwned::new(tls, socket)
}

/// Asks for a page; gives the whole answer.
pub fn get(stream: &mut (impl Read + Write), path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    stream.flush().unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8(answer).unwrap()
}
