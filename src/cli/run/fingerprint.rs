//! `clawdia gateway fingerprint`: what others know the gateway's certificate by.

use serde_json::{Value, json};

use super::super::exit::{Failure, Outcome};
use super::super::out::{Out, Paint};
use super::super::setup::Setup;
use super::reach;
use crate::client::{GatewayUrl, tls};
use crate::config::Config;
use crate::io::clock;
use crate::io::tls::certificate::Place;
use crate::io::tls::x509::Facts;
use crate::log::iso::iso_utc;

/// A certificate and where it was seen.
struct Seen {
    leaf: Vec<u8>,
    source: String,
    /// Where others reach the gateway that has it, if they can.
    url: Option<GatewayUrl>,
    /// Why it is not what the gateway shows now, and the command that changes that.
    waits: Option<(&'static str, &'static str)>,
}

/// `gateway fingerprint`
pub fn run(setup: &Setup, out: &mut Out) -> Outcome {
    let config = setup.client_config()?;
    let seen = match &setup.globals.url {
        Some(text) => shown(GatewayUrl::parse(text).map_err(Failure::usage)?, setup)?,
        None => kept(&config, setup)?,
    };
    print(&seen, out)
}

/// The certificate in this gateway's own files; no gateway has to run.
fn kept(config: &Config, setup: &Setup) -> Result<Seen, Failure> {
    let tls = &config.gateway.tls;
    let place = Place::of(tls, &setup.paths.state_dir);
    let loaded = place.load(clock::now());
    let pair = loaded.map_err(|fault| Failure::configuration(fault.to_string()))?;
    let Some(pair) = pair else {
        let failure =
            Failure::failed("there is no certificate yet: the gateway makes one when it starts");
        return Err(match tls.enabled {
            true => failure,
            false => failure.mend("clawdia config set gateway.tls.enabled true"),
        }
        .mend(match setup.lock_holder() {
            Some(_) => "clawdia gateway restart",
            None => "clawdia gateway run",
        }));
    };
    let files: Vec<String> = place
        .paths()
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    let url = setup.local_url(config)?;
    let reached = |ip: std::net::IpAddr| GatewayUrl {
        secure: true,
        host: ip.to_string(),
        ..url.clone()
    };
    Ok(Seen {
        waits: waits(tls.enabled, pair.leaf(), setup),
        leaf: pair.leaf().to_vec(),
        source: files[0].clone(),
        url: reach::configured(config).map(reached),
    })
}

/// Whether the gateway that runs shows something else than its next start will.
fn waits(enabled: bool, leaf: &[u8], setup: &Setup) -> Option<(&'static str, &'static str)> {
    const RESTART: &str = "clawdia gateway restart";
    let off = "TLS is off: nobody is shown this certificate";
    let Some(port) = setup.lock_holder().and_then(|holder| holder.port) else {
        return (!enabled).then_some((off, "clawdia config set gateway.tls.enabled true"));
    };
    let url = GatewayUrl {
        secure: true,
        ..GatewayUrl::loopback(port)
    };
    match (tls::look(&url, setup.deadline()), enabled) {
        (Ok(_), false) => Some(("the gateway speaks TLS until it starts again", RESTART)),
        (Ok(shown), true) if shown != leaf => {
            Some(("the gateway that runs shows another certificate", RESTART))
        }
        (Ok(_), true) => None,
        (Err(_), true) => Some(("the gateway that runs does not speak TLS yet", RESTART)),
        (Err(_), false) => Some((off, "clawdia config set gateway.tls.enabled true")),
    }
}

/// The certificate that is shown at an address, whoever is there.
fn shown(url: GatewayUrl, setup: &Setup) -> Result<Seen, Failure> {
    if !url.secure {
        let fault = format!("{url} has no certificate: a fingerprint is of a wss:// address");
        return Err(Failure::usage(fault));
    }
    Ok(Seen {
        leaf: tls::look(&url, setup.deadline())?,
        source: format!("shown at {url}"),
        url: Some(url),
        waits: None,
    })
}

fn print(seen: &Seen, out: &mut Out) -> Outcome {
    let own = crate::io::tls::pin::Own::of(&seen.leaf);
    let sha256 = own.certificate.to_string();
    let spki = own.key.map(|key| key.to_string());
    let until = Facts::read(&seen.leaf).map(|facts| facts.not_after_s);
    let remote = format!("clawdia config set gateway.remote.tlsFingerprint {sha256}");
    let mut paste = vec![("remote", remote)];
    if let Some(url) = &seen.url {
        let GatewayUrl { host, port, .. } = url;
        let once =
            format!("clawdia --url {url} --tls-fingerprint {sha256} --token-file FILE status");
        let node = format!("--host {host} --port {port} --tls --tls-fingerprint {sha256}");
        paste.extend([
            ("once", once),
            ("node", format!("clawdia node run {node} --token-file FILE")),
            ("clawdbotNode", format!("clawdbot node run {node}")),
        ]);
    }
    if out.wants_json() {
        let lines = paste
            .iter()
            .map(|(name, line)| ((*name).to_owned(), line.as_str().into()));
        out.json(&json!({
            "source": seen.source,
            "sha256": sha256,
            "spki": spki,
            "notAfterMs": until.map(|seconds| seconds * 1_000),
            "address": seen.url.as_ref().map(ToString::to_string),
            "waits": seen.waits.map(|(why, _)| why),
            "paste": Value::Object(lines.collect()),
        }))?;
        return Ok(());
    }
    out.field("certificate", Paint::Plain, &seen.source)?;
    out.field("sha256", Paint::Plain, &sha256)?;
    if let Some(spki) = spki {
        out.field("key", Paint::Plain, &spki)?;
    }
    if let Some(seconds) = until {
        let date = iso_utc(seconds * 1_000);
        out.field(
            "good until",
            Paint::Plain,
            date.split('T').next().unwrap_or(&date),
        )?;
    }
    if let Some((why, command)) = seen.waits {
        let told = format!("{why}: {}", out.hinted(command));
        out.field("not yet", Paint::Warning, &told)?;
    }
    out.line("")?;
    if seen.url.is_none() {
        out.line("The gateway listens on loopback only: other machines reach it by ssh (clawdia remote up), or after")?;
        let open = format!("  {}", out.hinted(reach::OPEN));
        return Ok(out.line(&open)?);
    }
    out.line("To paste on another machine, where you trust the way that this came:")?;
    for (_, line) in paste {
        out.line(&format!("  {line}"))?;
    }
    Ok(())
}
