//! The gateway's certificate and key: read from files, checked, and made where none were given.
//!
//! What we make ourselves is one file with the key and its certificate, so that there is never
//! one without the other. What an operator names is only ever read.

use rcgen::{
    CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::x509::Facts;
use crate::config::TlsConfig;
use crate::config::paths::expand_home;
use crate::io::atomic;
use crate::io::state_dir::{StartFault, check_owner, is_open_to_others};
use crate::limits::PEM_FILE_BYTES_MAX;
use crate::log::iso::civil;
use crate::now::Now;

/// Key and certificate that we made, in the state directory.
pub const OWN_FILE: &str = "gateway-tls.pem";
/// How long one of ours is good for: clients pin it, and a renewal would break their pins.
const OWN_VALID_YEARS: u64 = 10;
const DAY_MS: u64 = 86_400_000;

/// A certificate with its chain, and the key that proves it is ours.
#[derive(Debug)]
pub struct Pair {
    /// The leaf first.
    pub chain: Vec<CertificateDer<'static>>,
    pub key: PrivateKeyDer<'static>,
}

/// Where the gateway's certificate is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the state directory, made by us.
    Own(PathBuf),
    /// In two files that the configuration names.
    Given { certificate: PathBuf, key: PathBuf },
}

impl Place {
    /// Where the configuration says; relative paths are meant in the state directory.
    pub fn of(config: &TlsConfig, state_dir: &Path) -> Self {
        let home = std::env::home_dir();
        let at = |path: &String| state_dir.join(expand_home(path, home.as_deref()));
        match (&config.cert_path, &config.key_path) {
            (Some(certificate), Some(key)) => Self::Given {
                certificate: at(certificate),
                key: at(key),
            },
            _ => Self::Own(state_dir.join(OWN_FILE)),
        }
    }

    /// The files to watch for a renewal.
    pub fn paths(&self) -> Vec<&Path> {
        match self {
            Self::Own(path) => vec![path],
            Self::Given { certificate, key } => vec![certificate, key],
        }
    }

    /// Reads and checks what is there; None where ours was not made yet.
    ///
    /// # Errors
    ///
    /// Files that cannot be read, do not belong together, or are out of date. Nothing is mended:
    /// clients know the gateway by its certificate.
    pub fn load(&self, now: Now) -> Result<Option<Pair>, StartFault> {
        match self {
            Self::Own(path) => load_own(path, now),
            Self::Given { certificate, key } => {
                let refuse = |fault: String| {
                    let files = format!("{} and {}", certificate.display(), key.display());
                    StartFault::refused(format!(
                        "the TLS certificate {files}: {fault} (mend gateway.tls.certPath and \
                         .keyPath; or unset both, and the gateway makes a certificate of its own)"
                    ))
                };
                let chain = read(certificate).map_err(refuse)?;
                let key = read(key).map_err(refuse)?;
                Pair::parse(&chain, &key, now).map(Some).map_err(refuse)
            }
        }
    }

    /// The same, and makes ours where there is none.
    ///
    /// # Errors
    ///
    /// As [`Place::load`], or when it cannot be made.
    pub fn load_or_create(&self, names: &[String], now: Now) -> Result<Pair, StartFault> {
        if let Some(pair) = self.load(now)? {
            return Ok(pair);
        }
        let Self::Own(path) = self else {
            return Err(StartFault::refused("no TLS certificate"));
        };
        let made = make(names, now).map_err(|fault| StartFault::io("make", path, fault))?;
        match atomic::create(path, made.as_bytes()) {
            // Another process was first: its certificate is ours too.
            Err(fault) if fault.kind() == io::ErrorKind::AlreadyExists => {}
            created => created.map_err(|fault| StartFault::io("write", path, fault))?,
        }
        load_own(path, now)?.ok_or_else(|| {
            let gone = io::Error::from(io::ErrorKind::NotFound);
            StartFault::io("read", path, gone)
        })
    }
}

fn load_own(path: &Path, now: Now) -> Result<Option<Pair>, StartFault> {
    let meta = match fs::symlink_metadata(path) {
        Ok(meta) => meta,
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(fault) => return Err(StartFault::io("read", path, fault)),
    };
    let refuse = |fault: String| {
        StartFault::refused(format!(
            "the TLS certificate {}: {fault} (bring it back from a backup; or remove the file, and \
             a new one is made, which clients that pinned this one have to pin again)",
            path.display()
        ))
    };
    check_owner(path, &meta)?;
    if is_open_to_others(&meta) {
        return Err(refuse(
            "was open to other users, who may know the key now".into(),
        ));
    }
    let both = read(path).map_err(refuse)?;
    Pair::parse(&both, &both, now).map(Some).map_err(refuse)
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let fault = |fault: io::Error| format!("cannot read {}: {fault}", path.display());
    if fs::metadata(path).map_err(fault)?.len() > PEM_FILE_BYTES_MAX {
        return Err(format!("{} is too long", path.display()));
    }
    fs::read(path).map_err(fault)
}

impl Pair {
    /// Reads PEM texts and checks that they belong together and are good now.
    ///
    /// # Errors
    ///
    /// What is wrong with them.
    pub fn parse(chain: &[u8], key: &[u8], now: Now) -> Result<Self, String> {
        let chain: Vec<_> = CertificateDer::pem_slice_iter(chain)
            .collect::<Result<_, _>>()
            .map_err(|fault| format!("the certificate is damaged: {fault}"))?;
        let leaf = chain.first().ok_or("there is no certificate in it")?;
        let facts = Facts::read(leaf).ok_or("the certificate is damaged")?;
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|fault| format!("the private key is missing or damaged: {fault}"))?;
        let signer = any_supported_type(&key)
            .map_err(|fault| format!("the private key is of no use: {fault}"))?;
        CertifiedKey::new(chain.clone(), signer)
            .keys_match()
            .map_err(|_| "the private key is not the certificate's")?;
        let now_s = now.unix_ms / 1_000;
        if now_s > facts.not_after_s {
            let (year, month, day) = civil(facts.not_after_s / 86_400);
            return Err(format!("it expired on {year:04}-{month:02}-{day:02}"));
        }
        if now_s < facts.not_before_s {
            let (year, month, day) = civil(facts.not_before_s / 86_400);
            return Err(format!(
                "it is good from {year:04}-{month:02}-{day:02} on only"
            ));
        }
        Ok(Self { chain, key })
    }

    /// The gateway's own certificate, DER.
    pub fn leaf(&self) -> &[u8] {
        self.chain.first().map_or(&[], |leaf| leaf.as_ref())
    }
}

/// A new key and a certificate for it that it signed itself, as PEM.
fn make(names: &[String], now: Now) -> Result<String, rcgen::Error> {
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
    let mut params = CertificateParams::new(names)?;
    params
        .distinguished_name
        .push(DnType::CommonName, "clawdia");
    // A clock that is a day behind is no reason to be refused.
    let (year, month, day) = civil((now.unix_ms / DAY_MS).saturating_sub(1));
    let date = |year: u64| date_time_ymd(year as i32, month as u8, day.min(28) as u8);
    params.not_before = date(year);
    params.not_after = date(year + OWN_VALID_YEARS);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let certificate = params.self_signed(&key)?;
    Ok(key.serialize_pem() + &certificate.pem())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::tls::pin::Own;
    use std::os::unix::fs::PermissionsExt as _;

    const NOW: Now = Now {
        mono_ms: 0,
        unix_ms: 1_790_000_000_000,
    };

    fn names() -> Vec<String> {
        ["localhost", "127.0.0.1", "::1", "gw.example"]
            .map(str::to_owned)
            .into()
    }

    fn given(dir: &Path, chain: &str, key: &str) -> Result<Option<Pair>, StartFault> {
        let place = Place::Given {
            certificate: dir.join("chain"),
            key: dir.join("key"),
        };
        fs::write(dir.join("chain"), chain).unwrap();
        fs::write(dir.join("key"), key).unwrap();
        place.load(NOW)
    }

    #[test]
    fn ours_is_made_once_closed_to_others_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let place = Place::of(&TlsConfig::default(), dir.path());
        assert!(place.load(NOW).unwrap().is_none());
        let made = place.load_or_create(&names(), NOW).unwrap();
        let again = place.load_or_create(&names(), NOW).unwrap();
        assert_eq!(Own::of(made.leaf()), Own::of(again.leaf()));
        let path = dir.path().join(OWN_FILE);
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(place.load(NOW).unwrap_err().exit_code, 78);
    }

    #[test]
    fn a_certificate_that_is_half_written_is_refused_at_every_length_and_stays() {
        let dir = tempfile::tempdir().unwrap();
        let place = Place::of(&TlsConfig::default(), dir.path());
        place.load_or_create(&names(), NOW).unwrap();
        let path = dir.path().join(OWN_FILE);
        let whole = fs::read(&path).unwrap();
        // A last line without its end is whole too.
        for len in (0..whole.len() - 1).step_by(7) {
            fs::write(&path, &whole[..len]).unwrap();
            let fault = place.load_or_create(&names(), NOW).unwrap_err();
            assert_eq!(fault.exit_code, 78, "{len}");
            assert_eq!(fs::read(&path).unwrap(), &whole[..len]);
        }
    }

    #[test]
    fn what_an_operator_names_is_checked_and_never_made() {
        let dir = tempfile::tempdir().unwrap();
        let (one, two) = (make(&names(), NOW).unwrap(), make(&names(), NOW).unwrap());
        assert!(given(dir.path(), &one, &one).unwrap().is_some());
        let swapped = given(dir.path(), &one, &two).unwrap_err();
        assert!(
            swapped.message.contains("not the certificate's"),
            "{swapped}"
        );
        let old = Now {
            unix_ms: NOW.unix_ms - 11 * 365 * DAY_MS,
            ..NOW
        };
        let expired = make(&names(), old).unwrap();
        let fault = given(dir.path(), &expired, &expired).unwrap_err();
        assert!(fault.message.contains("expired on 2025-"), "{fault}");
        let early = Now {
            unix_ms: NOW.unix_ms + 9 * DAY_MS,
            ..NOW
        };
        let early = make(&names(), early).unwrap();
        let fault = given(dir.path(), &early, &early).unwrap_err();
        assert!(fault.message.contains("on only"), "{fault}");
        for (chain, key) in [("", one.as_str()), (&one, ""), ("x", "y")] {
            assert_eq!(given(dir.path(), chain, key).unwrap_err().exit_code, 78);
        }
        fs::remove_file(dir.path().join("key")).unwrap();
        let place = Place::Given {
            certificate: dir.path().join("chain"),
            key: dir.path().join("key"),
        };
        assert_eq!(
            place.load_or_create(&names(), NOW).unwrap_err().exit_code,
            78
        );
        assert!(!dir.path().join("key").exists());
    }
}
