//! TLS on the way to a gateway: who it is is settled before a byte of ours leaves.
//!
//! Either its certificate is pinned, then nothing else counts; or an authority that this machine
//! trusts has to have signed it for the name that we asked for. There is no third way.

use std::io::{self, Read, Write};
use std::os::fd::BorrowedFd;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, Error, RootCertStore,
    SignatureScheme,
};

use super::error::{ClientError, ErrorKind};
use super::transport::Transport;
use super::url::GatewayUrl;
use crate::config::pin::Pins;
use crate::io::tls::pin::Own;
use crate::limits::CLIENT_FAREWELL_MS;

/// A connection whose handshake is done.
pub struct Tls {
    tcp: Box<dyn Transport>,
    tls: ClientConnection,
}

impl Tls {
    /// Shakes hands with the gateway that `tcp` leads to.
    pub fn open(
        tcp: Box<dyn Transport>,
        url: &GatewayUrl,
        pins: Option<&str>,
        deadline: Instant,
    ) -> Result<Self, ClientError> {
        let trust = Trust::of(pins)?;
        Self::begin(tcp, url, &Arc::new(Verifier::new(trust)), deadline)
    }

    fn begin(
        tcp: Box<dyn Transport>,
        url: &GatewayUrl,
        verifier: &Arc<Verifier>,
        deadline: Instant,
    ) -> Result<Self, ClientError> {
        let name = ServerName::try_from(url.host.clone())
            .map_err(|_| ClientError::protocol(format!("{} is no name for TLS", url.host)))?;
        let tls = config(verifier.clone())
            .and_then(|config| ClientConnection::new(Arc::new(config), name))
            .map_err(|fault| verifier.explain(url, &fault))?;
        let mut this = Self { tcp, tls };
        this.shake_hands(deadline)
            .map_err(|error| match tls_fault(&error) {
                Some(fault) => verifier.explain(url, fault),
                None => super::ws::lost(&error, "the TLS handshake"),
            })?;
        Ok(this)
    }

    fn shake_hands(&mut self, deadline: Instant) -> io::Result<()> {
        self.send(deadline)?;
        while self.tls.is_handshaking() {
            self.receive(deadline)?;
        }
        Ok(())
    }

    fn send(&mut self, deadline: Instant) -> io::Result<()> {
        let Self { tcp, tls } = self;
        while tls.wants_write() {
            tls.write_tls(&mut Until { tcp, deadline })?;
        }
        Ok(())
    }

    /// Reads once and takes in what came; how many bytes that were.
    fn receive(&mut self, deadline: Instant) -> io::Result<usize> {
        let Self { tcp, tls } = self;
        let len = tls.read_tls(&mut Until { tcp, deadline })?;
        if len == 0 && tls.is_handshaking() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let Err(fault) = tls.process_new_packets() {
            // The alert that says why; the fault itself is what counts.
            let _ = self.send(deadline);
            return Err(io::Error::new(io::ErrorKind::InvalidData, fault));
        }
        // A key change asks for an answer.
        self.send(deadline)?;
        Ok(len)
    }

    fn take_plain(&mut self, buf: &mut [u8]) -> io::Result<Option<usize>> {
        match self.tls.reader().read(buf) {
            Ok(len) => Ok(Some(len)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            // The stream ended without a word of TLS: the protocol above knows what was whole.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(Some(0)),
            Err(error) => Err(error),
        }
    }
}

impl Transport for Tls {
    fn read(&mut self, buf: &mut [u8], deadline: Instant) -> io::Result<usize> {
        loop {
            if let Some(len) = self.take_plain(buf)? {
                return Ok(len);
            }
            self.receive(deadline)?;
        }
    }

    fn write_all(&mut self, mut bytes: &[u8], deadline: Instant) -> io::Result<()> {
        while !bytes.is_empty() {
            // It takes no more than its buffer has room for.
            let taken = self.tls.writer().write(bytes)?;
            bytes = &bytes[taken..];
            self.send(deadline)?;
        }
        Ok(())
    }

    fn wait(&mut self, wake: BorrowedFd<'_>, deadline: Instant) -> io::Result<bool> {
        loop {
            // What was decrypted already, no socket will announce.
            if self
                .tls
                .process_new_packets()
                .is_ok_and(|state| state.plaintext_bytes_to_read() > 0)
            {
                return Ok(true);
            }
            if !self.tcp.wait(wake, deadline)? {
                return Ok(false);
            }
            if self.receive(deadline)? == 0 {
                return Ok(true);
            }
        }
    }
}

impl Drop for Tls {
    fn drop(&mut self) {
        self.tls.send_close_notify();
        // A gateway that is gone already needs no telling.
        let soon = Instant::now() + Duration::from_millis(CLIENT_FAREWELL_MS);
        let _ = self.send(soon);
    }
}

/// The certificate that is shown at `url`, DER. It is believed nothing: the handshake ends there.
///
/// # Errors
///
/// When nobody shows one.
pub fn look(url: &GatewayUrl, deadline: Instant) -> Result<Vec<u8>, ClientError> {
    let tcp = super::transport::connect(url, deadline)?;
    let verifier = Arc::new(Verifier::new(Trust::Nobody));
    let begun = Tls::begin(tcp, url, &verifier, deadline);
    match (verifier.shown.get(), begun) {
        (Some(leaf), _) => Ok(leaf.clone()),
        (None, Err(error)) => Err(error),
        (None, Ok(_)) => Err(ClientError::protocol("no certificate was shown")),
    }
}

/// The transport below with a deadline, as rustls wants to see it.
struct Until<'t> {
    tcp: &'t mut Box<dyn Transport>,
    deadline: Instant,
}

impl Read for Until<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.tcp.read(buf, self.deadline)
    }
}

impl Write for Until<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.tcp.write_all(buf, self.deadline)?;
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn config(verifier: Arc<Verifier>) -> Result<ClientConfig, Error> {
    let mut config = ClientConfig::builder_with_provider(verifier.provider.clone())
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // A command makes one connection: there is nothing to resume, and a pin is looked at each time.
    config.resumption = rustls::client::Resumption::disabled();
    Ok(config)
}

/// Decides whether a certificate is the gateway's.
#[derive(Debug)]
struct Verifier {
    trust: Trust,
    provider: Arc<CryptoProvider>,
    /// The certificate that was shown, for the words about it.
    shown: OnceLock<Vec<u8>>,
}

/// Whom a gateway's certificate is believed.
#[derive(Debug)]
enum Trust {
    /// Nobody: it is only looked at.
    Nobody,
    Pinned(Pins),
    Authorities(Arc<WebPkiServerVerifier>),
}

impl Trust {
    /// The machine's authorities are read only where there is no pin.
    fn of(pins: Option<&str>) -> Result<Self, ClientError> {
        let fault = |text: String| ClientError::new(ErrorKind::Configuration, text);
        if let Some(pins) = pins {
            return Pins::parse(pins).map(Self::Pinned).map_err(fault);
        }
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let provider = Arc::new(ring::default_provider());
        let built = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
        built.map(Self::Authorities).map_err(|_| {
            fault(
                "this machine trusts no certificate authority, so the gateway's certificate has to \
                 be pinned: --tls-fingerprint"
                    .to_owned(),
            )
        })
    }
}

impl Verifier {
    fn new(trust: Trust) -> Self {
        Self {
            trust,
            provider: Arc::new(ring::default_provider()),
            shown: OnceLock::new(),
        }
    }

    /// A failed handshake in words, with what mends it.
    fn explain(&self, url: &GatewayUrl, fault: &Error) -> ClientError {
        let security = |text: String| ClientError::new(ErrorKind::Security, text);
        let Error::InvalidCertificate(reason) = fault else {
            return ClientError::protocol(match fault {
                Error::InvalidMessage(_) => {
                    format!("{url} does not speak TLS; is it ws:// that was meant?")
                }
                fault => format!("the TLS handshake with {url} failed: {fault}"),
            });
        };
        let got = self
            .shown
            .get()
            .map(|leaf| Own::of(leaf).certificate.to_string());
        let got = got.unwrap_or_default();
        match (&self.trust, reason) {
            (_, CertificateError::BadSignature) => security(format!(
                "{url} shows the certificate {got} and does not have its key: somebody stands in \
                 for the gateway; nothing was sent"
            )),
            (Trust::Pinned(pins), _) => security(format!(
                "the certificate of {url} is not the pinned one; nothing was sent. Expected {pins}, \
                 got {got}. Was it renewed? Compare with `clawdia gateway fingerprint` on the \
                 gateway's machine; if it is the same, pin it anew: --tls-fingerprint {got}, or where \
                 the pin is that of gateway.remote: \
                 clawdia config set gateway.remote.tlsFingerprint {got}"
            )),
            (Trust::Authorities(_) | Trust::Nobody, reason) => security(format!(
                "the certificate of {url} is not to be trusted ({reason:?}); nothing was sent. It \
                 is {got}: compare with `clawdia gateway fingerprint` on the gateway's machine, and \
                 if it is the same, pin it: --tls-fingerprint {got}"
            )),
        }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.shown.get_or_init(|| leaf.to_vec());
        match &self.trust {
            Trust::Pinned(pins) if Own::of(leaf).is_one_of(pins) => {
                Ok(ServerCertVerified::assertion())
            }
            Trust::Pinned(_) | Trust::Nobody => {
                Err(CertificateError::ApplicationVerificationFailure.into())
            }
            Trust::Authorities(verifier) => {
                verifier.verify_server_cert(leaf, chain, name, ocsp, now)
            }
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, leaf, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, leaf, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = &self.provider.signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}

/// rustls's own fault inside an I/O error.
fn tls_fault(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref()
}
