//! What the configuration wishes of Tailscale.

use super::bind::Bound;
use crate::config::{BindMode, Config, TailscaleMode};
use crate::io::state_dir::StartFault;
use crate::io::tailnet::{Keeper, Publish, Wish};
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

/// Starts what keeps the tailnet.
///
/// # Errors
///
/// When the system gives no thread.
pub fn keeper(
    config: &Config,
    bound: &Bound,
    wake: Arc<dyn Fn() + Send + Sync>,
) -> Result<Keeper, StartFault> {
    Keeper::start(wish(config, bound), wake)
        .map_err(|fault| StartFault::io("start a thread for", Path::new("tailscale"), fault))
}

fn wish(config: &Config, bound: &Bound) -> Wish {
    let gateway = &config.gateway;
    let mode = gateway.tailscale.mode;
    Wish {
        socket: gateway.tailscale.socket.as_ref().map(Into::into),
        look: gateway.is_behind_tailscale() || bound.mode == BindMode::Tailnet,
        publish: (mode != TailscaleMode::Off).then(|| Publish {
            target: target(bound, gateway.tls.enabled),
            funnel: mode == TailscaleMode::Funnel,
            reset_on_exit: gateway.tailscale.reset_on_exit,
        }),
    }
}

/// Tailscale's daemon reaches the gateway on loopback, where headers of its own are believed.
fn target(bound: &Bound, tls: bool) -> Result<String, String> {
    let Bound { address, port, .. } = bound;
    match address.parse::<IpAddr>() {
        // The daemon takes any certificate of loopback when it is told so.
        Ok(ip) if ip.is_loopback() && tls => Ok(format!("https+insecure://127.0.0.1:{port}")),
        Ok(ip) if ip.is_loopback() => Ok(format!("http://127.0.0.1:{port}")),
        _ => Err(format!(
            "not published: the gateway listens on {address} and not on this machine alone \
             (run: clawdia config set gateway.bind loopback)"
        )),
    }
}
