//! TLS on the served port: the certificate at the start, and whenever its files change.

use crate::config::Config;
use crate::gateway::auth::address::Authority;
use crate::io::clock;
use crate::io::interfaces::outward_address;
use crate::io::state_dir::StartFault;
use crate::io::tls::Acceptor;
use crate::io::tls::certificate::{Pair, Place};
use crate::io::tls::pin::Own;
use crate::io::tls::server::Maker;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// What shows the gateway's certificate, and reads it again.
pub struct Tls {
    maker: Maker,
    place: Place,
    names: Vec<String>,
}

impl Tls {
    /// None where the configuration does not ask for TLS; then nothing of it is built.
    ///
    /// # Errors
    ///
    /// When the system gives no random bytes.
    pub fn new(
        config: &Config,
        state_dir: &Path,
        address: &str,
    ) -> Result<Option<Self>, StartFault> {
        let tls = &config.gateway.tls;
        if !tls.enabled {
            return Ok(None);
        }
        let place = Place::of(tls, state_dir);
        let maker = Maker::new()
            .map_err(|fault| StartFault::io("make ticket keys for", state_dir, fault))?;
        Ok(Some(Self {
            maker,
            place,
            names: names(config, address),
        }))
    }

    /// An acceptor with the certificate as it is in its files now.
    ///
    /// # Errors
    ///
    /// What is wrong with the files: there is no way back to speaking without TLS.
    pub fn acceptor(&self) -> Result<Acceptor, StartFault> {
        self.show(&self.place.load_or_create(&self.names, clock::now())?)
    }

    /// The same without making anything: ours may be missing still.
    ///
    /// # Errors
    ///
    /// As [`Tls::acceptor`].
    pub fn check(&self) -> Result<(), StartFault> {
        match self.place.load(clock::now())? {
            Some(pair) => self.show(&pair).map(drop),
            None => Ok(()),
        }
    }

    fn show(&self, pair: &Pair) -> Result<Acceptor, StartFault> {
        self.maker.acceptor(pair).map_err(|fault| {
            StartFault::refused(format!("the TLS certificate cannot be used: {fault}"))
        })
    }

    /// SHA-256 of the certificate that is in its files now, as hex.
    pub fn fingerprint(&self) -> Option<String> {
        let pair = self.place.load(clock::now()).ok().flatten()?;
        let pin = Own::of(pair.leaf()).certificate;
        Some(pin.to_string().replace(':', "").to_ascii_lowercase())
    }

    /// The files to watch.
    pub fn paths(&self) -> Vec<PathBuf> {
        self.place.paths().into_iter().map(PathBuf::from).collect()
    }
}

/// What a certificate that we make is good for: this machine's names and addresses, the address
/// that is listened on, and the hosts of the configured origins.
fn names(config: &Config, address: &str) -> Vec<String> {
    let mut names: Vec<String> = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).into();
    let mut add = |name: String| {
        let is_name = name.is_ascii() && !name.is_empty() && !name.contains(['*', '_', ' ']);
        if is_name && !names.contains(&name) {
            names.push(name);
        }
    };
    let host = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .to_lowercase();
    add(host);
    let listens = match address.parse::<IpAddr>() {
        Ok(ip) if ip.is_unspecified() => outward_address().map(|ip| ip.to_string()),
        _ => Some(address.to_owned()),
    };
    listens.into_iter().for_each(&mut add);
    for origin in &config.gateway.control_ui.allowed_origins {
        let authority = origin
            .split_once("://")
            .map_or("", |(_, authority)| authority);
        if let Some(Authority { host, .. }) = Authority::parse(authority) {
            add(host.to_string().trim_matches(['[', ']']).to_owned());
        }
    }
    names
}
