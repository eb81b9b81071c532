//! `clawdia gateway fingerprint`: what others know the gateway's certificate by.

use serde_json::json;

use super::super::exit::{Failure, Outcome};
use super::super::out::{Out, Paint};
use super::super::setup::Setup;
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
    /// Where others reach the gateway that has it.
    url: GatewayUrl,
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
        .mend("clawdia gateway run"));
    };
    let files: Vec<String> = place
        .paths()
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    let host = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .to_lowercase();
    let url = setup.local_url(config)?;
    Ok(Seen {
        leaf: pair.leaf().to_vec(),
        source: files[0].clone(),
        url: GatewayUrl {
            secure: true,
            host,
            ..url
        },
    })
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
        url,
    })
}

fn print(seen: &Seen, out: &mut Out) -> Outcome {
    let own = crate::io::tls::pin::Own::of(&seen.leaf);
    let sha256 = own.certificate.to_string();
    let spki = own.key.map(|key| key.to_string());
    let until = Facts::read(&seen.leaf).map(|facts| facts.not_after_s);
    let GatewayUrl { host, port, .. } = &seen.url;
    let remote = format!("clawdia config set gateway.remote.tlsFingerprint {sha256}");
    let once = format!(
        "clawdia --url {} --tls-fingerprint {sha256} --token-file FILE status",
        seen.url
    );
    let node = format!("--host {host} --port {port} --tls --tls-fingerprint {sha256}");
    let (node, clawdbot_node) = (
        format!("clawdia node run {node} --token-file FILE"),
        format!("clawdbot node run {node}"),
    );
    if out.wants_json() {
        out.json(&json!({
            "source": seen.source,
            "sha256": sha256,
            "spki": spki,
            "notAfterMs": until.map(|seconds| seconds * 1_000),
            "paste": {
                "remote": remote, "once": once, "node": node, "clawdbotNode": clawdbot_node,
            },
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
    out.line("")?;
    out.line("To paste on another machine, where you trust the way that this came:")?;
    for line in [remote, once, node, clawdbot_node] {
        out.line(&format!("  {line}"))?;
    }
    Ok(())
}
