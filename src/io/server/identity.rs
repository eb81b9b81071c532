//! What the gateway says about the machine it runs on.

use super::bind::Bound;
use super::source::Source;
use crate::gateway::{Identity, LoadedConfig};
use crate::io::interfaces::outward_address;
use crate::now::Now;

/// Gathers it once, at start.
pub fn gather(source: &Source, loaded: &LoadedConfig, bound: &Bound, start: Now) -> Identity {
    let system = rustix::system::uname();
    let text = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
    let sysname = text(system.sysname());
    let paths = &source.options.paths;
    Identity {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        host: text(system.nodename()),
        ip: outward_address().map_or_else(|| bound.address.clone(), |ip| ip.to_string()),
        platform: format!("{} {}", sysname.to_lowercase(), text(system.release())),
        device_family: sysname,
        model_identifier: text(system.machine()),
        bind_mode: bound.mode.as_str(),
        bind: bound.address.clone(),
        port: bound.port,
        tls: loaded.config.gateway.tls.enabled,
        config_path: loaded.document.path().to_owned(),
        state_dir: paths.state_dir.display().to_string(),
        log_path: source.log_path(&loaded.config).display().to_string(),
        allowed_hosts: Vec::new(),
        uid: rustix::process::geteuid().as_raw(),
        outbox_total_bytes_max: crate::io::sys::memory_bytes().map_or(0, |bytes| bytes / 4),
        started_unix_ms: start.unix_ms,
    }
}
