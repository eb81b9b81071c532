//! `clawdia security audit`: what lets others in, by how much it matters.

mod channels;
mod process;

use std::io::{BufRead, BufReader};
use std::net::IpAddr;

use serde_json::json;

use super::super::exit::{Failure, Outcome};
use super::super::out::{Out, Paint};
use super::super::setup::Setup;
use super::super::text::count;
use super::config::shared_with_gateway;
use crate::client::GatewayUrl;
use crate::config::{BindMode, Config, MdnsMode, TailscaleMode};
use crate::io::private;
use crate::limits::{AUDIT_LOG_BYTES_MAX, SECRET_CHARS_GOOD, SECRET_CHARS_MIN};
use crate::order;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Severity {
    Critical,
    Warning,
    Info,
}

impl Severity {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Warning => "warning",
            Self::Info => "info",
        }
    }
}

/// One finding.
#[derive(Debug)]
struct Finding {
    /// For scripts; it stays the same over versions.
    id: &'static str,
    severity: Severity,
    message: String,
    mend: String,
}

fn finding(
    id: &'static str,
    severity: Severity,
    message: impl Into<String>,
    mend: impl Into<String>,
) -> Finding {
    Finding {
        id,
        severity,
        message: message.into(),
        mend: mend.into(),
    }
}

/// Audits the configuration, the process that runs and the state directory. The gateway need not run.
pub fn run(setup: &Setup, out: &mut Out) -> Outcome {
    let config = setup.config()?;
    let mut found = of_config(&config);
    found.extend(process::look(setup, &config, &found));
    for fault in shared_with_gateway(setup, &config) {
        let id = match fault.path.as_str() {
            "hooks.token" => "hooks.token.shared",
            "browser.controlToken" => "browser.token.shared",
            _ => "channels.webhook.shared",
        };
        let text = format!(
            "{} is the gateway's own secret: who is shown it may do all here",
            fault.path
        );
        let mend = format!(
            "clawdia config set {} \"$(openssl rand -hex 32)\"",
            fault.path
        );
        found.push(finding(id, Severity::Critical, text, mend));
    }
    for fault in private::faults(&setup.paths.state_dir) {
        let severity = match fault.is_reachable {
            true => Severity::Critical,
            false => Severity::Info,
        };
        let (text, mend) = (fault.to_string(), fault.mend());
        found.push(finding("state.permissions", severity, text, mend));
    }
    let document = setup.document()?;
    if let Some(open) = crate::io::config_file::check_mode(&document) {
        let mend = format!("chmod 600 {}", document.path());
        found.push(finding(
            "config.permissions",
            Severity::Critical,
            open,
            mend,
        ));
    }
    found.extend(in_log(setup, &config));
    if rustix::process::geteuid().is_root() {
        let text = "this is run as root, and so is a gateway that is started like this";
        let mend = "sudo -u USER clawdia gateway install   # as a user of its own";
        found.push(finding("process.root", Severity::Warning, text, mend));
    }
    order::sort_by_key(&mut found, |finding| finding.severity);
    let critical = found
        .iter()
        .filter(|it| it.severity == Severity::Critical)
        .count();
    if out.wants_json() {
        let rows: Vec<_> = found
            .iter()
            .map(|it| {
                json!({"id": it.id, "severity": it.severity.as_str(), "message": it.message,
                       "mend": it.mend})
            })
            .collect();
        out.json(&json!({"ok": critical == 0, "findings": rows}))?;
    } else if found.is_empty() {
        out.done("nothing found that lets others in")?;
    } else {
        for finding in &found {
            print(finding, out)?;
        }
    }
    out.flush()?;
    match critical {
        0 => Ok(()),
        _ if out.wants_json() => Err(Failure::failed("").told()),
        number => {
            let told = count(number as u64, "critical finding");
            Err(Failure::failed(told))
        }
    }
}

fn print(finding: &Finding, out: &mut Out) -> Outcome {
    let paint = match finding.severity {
        Severity::Critical => Paint::Bad,
        Severity::Warning => Paint::Warning,
        Severity::Info => Paint::Dim,
    };
    let severity = out.paint(paint, finding.severity.as_str()).into_owned();
    out.line(&format!("{severity}: {} [{}]", finding.message, finding.id))?;
    let mend = format!("    mend: {}", out.hinted(&finding.mend));
    out.line(&mend)?;
    Ok(())
}

/// What the configuration alone shows.
fn of_config(config: &Config) -> Vec<Finding> {
    let mut found = Vec::new();
    let open = is_open(config);
    let on_internet = config.gateway.tailscale.mode == TailscaleMode::Funnel;
    secrets(config, open || on_internet, &mut found);
    tailscale(config, &mut found);
    network(config, open, &mut found);
    page(config, open, &mut found);
    remote(config, &mut found);
    channels::look(config, &mut found);
    found.extend(told_by_mdns(config).map(|mode| {
        finding(
            "discovery.told",
            if mode == MdnsMode::Full {
                Severity::Warning
            } else {
                Severity::Info
            },
            "the network is told by multicast DNS that a gateway is here",
            "clawdia config set discovery.mdns.mode off",
        )
    }));
    found
}

/// Whether and how much the network is told of the gateway; as it will be at the next start.
pub fn told_by_mdns(config: &Config) -> Option<MdnsMode> {
    let of_network = is_open(config) && config.gateway.bind != BindMode::Tailnet;
    match config.discovery.mdns.mode {
        Some(MdnsMode::Off) => None,
        Some(mode) => Some(mode),
        None => of_network.then_some(MdnsMode::Minimal),
    }
}

/// Whether other machines can reach the port.
pub fn is_open(config: &Config) -> bool {
    let gateway = &config.gateway;
    match gateway.bind {
        BindMode::Loopback => false,
        BindMode::Auto => gateway.auth.secret().is_some(),
        BindMode::Lan | BindMode::Tailnet => true,
        BindMode::Custom => gateway.custom_bind_host.is_some_and(|ip| !ip.is_loopback()),
    }
}

fn secrets(config: &Config, open: bool, found: &mut Vec<Finding>) {
    let auth = &config.gateway.auth;
    let renew = "clawdia config set gateway.auth.token \"$(openssl rand -hex 32)\"";
    match auth.secret() {
        None if open => found.push(finding(
            "auth.none",
            Severity::Critical,
            "other machines can reach the port and no secret is chosen: the gateway does not start",
            renew,
        )),
        None => {}
        Some(secret) => {
            let len = secret.expose().chars().count();
            let severity = match (len < SECRET_CHARS_MIN, open) {
                (true, true) => Some(Severity::Critical),
                (true, false) => Some(Severity::Warning),
                (false, _) if len < SECRET_CHARS_GOOD && open => Some(Severity::Warning),
                _ => None,
            };
            if let Some(severity) = severity {
                let text = format!("the gateway's secret has only {len} characters");
                found.push(finding("auth.short", severity, text, renew));
            }
        }
    }
    if config.browser.control().is_some() && config.browser.control_token.is_none() {
        found.push(finding(
            "browser.token.missing",
            Severity::Warning,
            "browser.controlUrl is set without browser.controlToken: that server lets everybody in",
            "clawdia config set browser.controlToken '${NAME}'   # and start it with that token",
        ));
    }
}

fn network(config: &Config, open: bool, found: &mut Vec<Finding>) {
    let gateway = &config.gateway;
    if open && !gateway.tls.enabled && gateway.bind != BindMode::Tailnet {
        found.push(finding(
            "bind.cleartext",
            Severity::Critical,
            "other machines reach the port without TLS: secrets and chats cross the network as they are",
            "clawdia config set gateway.tls.enabled true   # or: clawdia config set gateway.bind loopback",
        ));
    } else if open {
        found.push(finding(
            "bind.open",
            Severity::Info,
            format!(
                "gateway.bind is \"{}\": other machines reach the port",
                gateway.bind.as_str()
            ),
            "clawdia config set gateway.bind loopback   # and come by SSH",
        ));
    }
    for range in &gateway.trusted_proxies {
        let text = range.to_string();
        let prefix: u32 = text
            .rsplit('/')
            .next()
            .and_then(|len| len.parse().ok())
            .unwrap_or(128);
        let wide = match text.contains(':') {
            true => prefix < 48,
            false => text.contains('/') && prefix < 16,
        };
        if wide {
            found.push(finding(
                "proxies.wide",
                Severity::Warning,
                format!("gateway.trustedProxies has {text}: each of these addresses may say whose a request is"),
                "clawdia config set gateway.trustedProxies '[\"PROXY ADDRESS\"]'",
            ));
        }
    }
}

fn tailscale(config: &Config, found: &mut Vec<Finding>) {
    let gateway = &config.gateway;
    if gateway.tailscale.mode == TailscaleMode::Funnel {
        found.push(finding(
            "tailscale.funnel",
            Severity::Warning,
            "gateway.tailscale.mode is \"funnel\": the whole internet reaches the port",
            "clawdia config set gateway.tailscale.mode serve   # the tailnet alone",
        ));
    }
    if gateway.allow_tailscale() {
        found.push(finding(
            "tailscale.identities",
            Severity::Info,
            "persons of the tailnet need no secret, only a device that was let in",
            "clawdia config set gateway.auth.allowTailscale false",
        ));
    }
}

fn page(config: &Config, open: bool, found: &mut Vec<Finding>) {
    let page = &config.gateway.control_ui;
    if page.allow_insecure_auth {
        let severity = if open {
            Severity::Critical
        } else {
            Severity::Warning
        };
        found.push(finding(
            "page.insecure",
            severity,
            "gateway.controlUi.allowInsecureAuth lets a page in without a device",
            "clawdia config unset gateway.controlUi.allowInsecureAuth",
        ));
    }
    for origin in &page.allowed_origins {
        let host = origin
            .strip_prefix("http://")
            .and_then(|rest| rest.split(':').next());
        let local = |host: &str| {
            host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
        };
        if host.is_some_and(|host| !local(host)) {
            found.push(finding(
                "origins.cleartext",
                Severity::Warning,
                format!("gateway.controlUi.allowedOrigins has {origin}: whoever is on its network can speak as that page"),
                "clawdia config set gateway.controlUi.allowedOrigins '[\"https://…\"]'",
            ));
        }
    }
}

fn remote(config: &Config, found: &mut Vec<Finding>) {
    let remote = &config.gateway.remote;
    let has_secret = remote.token.is_some() || remote.password.is_some();
    let url = remote
        .url
        .as_deref()
        .and_then(|url| GatewayUrl::parse(url).ok());
    if has_secret && url.is_some_and(|url| !url.secure && !url.is_loopback()) {
        found.push(finding(
            "remote.cleartext",
            Severity::Critical,
            "gateway.remote.url is ws:// to another machine and a secret is kept for it",
            "clawdia config set gateway.remote.url wss://…   # or reach it by SSH",
        ));
    }
}

/// A secret in the log: whoever reads logs has it.
fn in_log(setup: &Setup, config: &Config) -> Option<Finding> {
    let secrets = setup.local_secrets(config).ok()?;
    let path = setup.paths.log_file();
    let file = std::fs::File::open(&path).ok()?;
    let values: Vec<String> = [secrets.token, secrets.password]
        .into_iter()
        .flatten()
        .map(|secret| secret.value)
        .filter(|value| value.len() >= SECRET_CHARS_MIN / 2)
        .collect();
    let mut reader = BufReader::new(std::io::Read::take(file, AUDIT_LOG_BYTES_MAX));
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line).is_ok_and(|len| len > 0) {
        let text = String::from_utf8_lossy(&line);
        if values.iter().any(|value| text.contains(value.as_str())) {
            return Some(finding(
                "log.secret",
                Severity::Critical,
                format!("{} holds the gateway's secret", path.display()),
                format!(
                    "rm {} && clawdia config set gateway.auth.token \"$(openssl rand -hex 32)\"",
                    path.display()
                ),
            ));
        }
        line.clear();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::document::Document;

    fn ids(gateway: &str) -> Vec<(&'static str, &'static str)> {
        let text = format!("{{ gateway: {{ {gateway} }} }}");
        let loaded = Document::new("clawdia.json", text).load(&|_| None).unwrap();
        let mut found: Vec<_> = of_config(&loaded.config)
            .iter()
            .map(|it| (it.id, it.severity.as_str()))
            .collect();
        found.sort_unstable();
        found
    }

    const GOOD: &str = "auth: { token: '0123456789abcdef0123456789abcdef' }";

    #[test]
    fn a_gateway_as_it_comes_has_no_finding() {
        assert_eq!(ids(""), []);
        assert_eq!(ids(GOOD), []);
    }

    #[test]
    fn what_lets_others_in_is_found_by_its_weight() {
        let open = format!("bind: 'lan', {GOOD}");
        let told = ("discovery.told", "info");
        assert_eq!(ids(&open), [("bind.cleartext", "critical"), told]);
        assert_eq!(
            ids(&format!("{open}, tls: {{ enabled: true }}")),
            [("bind.open", "info"), told]
        );
        assert_eq!(
            ids(&format!("bind: 'tailnet', {GOOD}")),
            [("bind.open", "info")]
        );
        assert_eq!(ids("auth: { token: 'short' }"), [("auth.short", "warning")]);
        let identities = ("tailscale.identities", "info");
        assert_eq!(ids("tailscale: { mode: 'serve' }"), [identities]);
        let off = "tailscale: { mode: 'serve' }, auth: { allowTailscale: false }";
        assert_eq!(ids(off), []);
        let funnel = "tailscale: { mode: 'funnel' }, auth: { mode: 'password', password: 'short' }";
        let found = [("auth.short", "critical"), ("tailscale.funnel", "warning")];
        assert_eq!(ids(funnel), found);
        let short = "bind: 'tailnet', auth: { token: 'short' }";
        assert_eq!(
            ids(short),
            [("auth.short", "critical"), ("bind.open", "info")]
        );
        assert_eq!(
            ids("bind: 'tailnet'"),
            [("auth.none", "critical"), ("bind.open", "info")]
        );
        assert_eq!(
            ids("trustedProxies: ['10.0.0.0/8']"),
            [("proxies.wide", "warning")]
        );
        assert_eq!(
            ids("trustedProxies: ['10.0.0.7', '10.1.0.0/16', '::1']"),
            []
        );
        let page = "controlUi: { allowInsecureAuth: true, allowedOrigins: ['http://ui.example', 'https://a.example'] }";
        assert_eq!(
            ids(page),
            [
                ("origins.cleartext", "warning"),
                ("page.insecure", "warning")
            ]
        );
        let remote = "remote: { url: 'ws://gw.example', token: '0123456789abcdef' }";
        assert_eq!(ids(remote), [("remote.cleartext", "critical")]);
    }
}
