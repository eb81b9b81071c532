//! What belongs together: faults that no key shows by itself.

use super::control;
use super::fault::Fault;
use super::suggest::nearest;
use super::types::{
    AuthMode, BindMode, BrowserConfig, Config, GatewayConfig, GatewayMode, RemoteTransport,
    TailscaleMode,
};
use crate::limits::{MCP_SERVER_NAME_BYTES_MAX, MCP_SERVERS_MAX};
use std::collections::HashSet;

/// All such faults of a configuration.
pub fn check(config: &Config) -> Vec<Fault> {
    let mut faults = Vec::new();
    gateway(&config.gateway, &mut faults);
    agents(config, &mut faults);
    mcp(config, &mut faults);
    if config.hooks.enabled && config.hooks.token.is_none() {
        faults.push(Fault::new(
            "hooks.token",
            "is missing while webhooks are enabled",
            "set it, or set hooks.enabled to false",
        ));
    }
    telegram(config, &mut faults);
    browser(&config.browser, &mut faults);
    if config.hooks.enabled && config.hooks.path.is_empty() {
        faults.push(Fault::new(
            "hooks.path",
            "is the root, where everything else is served",
            "use a path of its own, such as \"/hooks\"",
        ));
    }
    let main_key = config.session.main_key.trim();
    if main_key.is_empty() || main_key.contains(':') {
        faults.push(Fault::new(
            "session.mainKey",
            format!("is {main_key:?}"),
            "use a name without a colon, such as \"main\"",
        ));
    }
    faults
}

/// Commands that nodes of the ecosystem have; a trailing `*` stands for anything.
pub const SCREEN_COMMANDS: &[&str] = &[
    "canvas.*",
    "camera.list",
    "camera.snap",
    "camera.clip",
    "screen.record",
    "location.get",
];
/// The same of computers.
pub const SYSTEM_COMMANDS: &[&str] = &[
    "system.run",
    "system.run.prepare",
    "system.which",
    "system.notify",
    "system.execApprovals.get",
    "system.execApprovals.set",
    "browser.proxy",
];
/// The same of phones that send messages.
pub const MESSAGE_COMMANDS: &[&str] = &["sms.send"];

/// What is valid and probably meant otherwise: commands of nodes that are near to one which is known.
pub fn remarks(config: &Config) -> Vec<Fault> {
    let nodes = &config.gateway.nodes;
    let known = [SCREEN_COMMANDS, SYSTEM_COMMANDS, MESSAGE_COMMANDS].concat();
    let is_known = |name: &str| {
        let start = name.strip_suffix('*');
        known.iter().any(|it| {
            it.strip_suffix('*')
                .is_some_and(|start| name.starts_with(start))
                || *it == name
                || start.is_some_and(|start| it.starts_with(start))
        })
    };
    let allowed = nodes.allow_commands.iter().map(|it| ("allowCommands", it));
    let denied = nodes.deny_commands.iter().map(|it| ("denyCommands", it));
    let unknown = allowed.chain(denied).filter(|(_, name)| !is_known(name));
    unknown
        .filter_map(|(key, name)| {
            let better = nearest(name, known.iter().copied())?;
            let what = format!("names {name}, which is no known command");
            let instead = format!("did you mean {better}?");
            Some(Fault::new(format!("gateway.nodes.{key}"), what, instead))
        })
        .collect()
}

/// Paths that have a meaning on every gateway, with all below them.
const SERVED: [&str; 7] = [
    "/health",
    "/healthz",
    "/readyz",
    "/startupz",
    "/metrics",
    "/v1",
    "/tools",
];

/// What is open to all takes nothing, so a webhook without a secret is none.
fn telegram(config: &Config, faults: &mut Vec<Fault>) {
    let mut seen = HashSet::new();
    for account in config.channels.accounts("telegram").into_iter().flatten() {
        let place = account.place();
        if let Err(what) = account.drafts() {
            faults.push(Fault::new(
                format!("{place}.streaming"),
                what,
                "use \"off\", \"partial\", \"block\" or \"progress\", and unset streamMode",
            ));
        }
        if !account.is_on() || account.webhook_url.is_none() {
            continue;
        }
        let mut fault = |key: &str, what: &str, instead: &str| {
            faults.push(Fault::new(format!("{place}.{key}"), what, instead));
        };
        let Some(hook) = account.webhook() else {
            fault(
                "webhookSecret",
                "is missing while webhookUrl is set",
                "set it to a long random text, or take webhookUrl away",
            );
            continue;
        };
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        let secret = hook.secret.expose();
        if !(1..=256).contains(&secret.len()) || !secret.chars().all(fits) {
            fault(
                "webhookSecret",
                "is none that Telegram takes",
                "use 1 to 256 letters, digits, _ and -",
            );
        }
        let own = SERVED.into_iter().chain([config.hooks.path.as_str()]);
        if hook.path.is_empty() || own.into_iter().any(|own| is_below(hook.path, own)) {
            fault(
                "webhookPath",
                "is where the gateway serves something else",
                "use a path of its own, such as \"/telegram-webhook\"",
            );
        }
        if !seen.insert((hook.path.to_owned(), secret.to_owned())) {
            fault(
                "webhookSecret",
                "is another account's on the same path",
                "use a secret of its own",
            );
        }
    }
}

fn is_below(path: &str, top: &str) -> bool {
    path.strip_prefix(top)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Secrets that are to open one thing alone and are the gateway's own; `is_own` knows that one,
/// which need not stand in the file.
pub fn shared_secrets(config: &Config, is_own: impl Fn(&str) -> bool) -> Vec<Fault> {
    const REFUSED: &str = "is the gateway's own secret, so every webhook is refused";
    const UNUSED: &str = "is the gateway's own secret, so the browser is not used";
    let browser = config.browser.control_token.clone();
    let secrets = [
        (
            config.hooks.token.clone(),
            "hooks.token".to_owned(),
            REFUSED,
        ),
        (browser, "browser.controlToken".to_owned(), UNUSED),
    ];
    let accounts = config.channels.accounts("telegram").into_iter().flatten();
    let accounts = accounts.map(|it| {
        let path = format!("{}.webhookSecret", it.place());
        (it.webhook_secret, path, REFUSED)
    });
    let shared = secrets.into_iter().chain(accounts);
    shared
        .filter(|(secret, ..)| secret.as_ref().is_some_and(|it| is_own(it.expose())))
        .map(|(_, path, what)| {
            let other = format!("choose another one: clawdia config set {path} SECRET");
            Fault::new(path, what, other)
        })
        .collect()
}

/// One line about all keys that other programs read and this one does not.
pub fn told_unserved(paths: &[String]) -> Option<String> {
    let told = || format!("kept, and not used by clawdia: {}", paths.join(", "));
    (!paths.is_empty()).then(told)
}

/// Its name stands in the names of its tools, which models take only so.
fn mcp(config: &Config, faults: &mut Vec<Fault>) {
    let fits = |name: &str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        (1..=MCP_SERVER_NAME_BYTES_MAX).contains(&name.len())
            && name.chars().all(plain)
            && !name.contains("__")
    };
    for (name, server) in &config.mcp.servers {
        if !fits(name) {
            faults.push(Fault::new(
                format!("mcp.servers.{name}"),
                "has a name that cannot stand before a tool's",
                "use at most 24 letters, digits, - and single _",
            ));
        }
        if server.is_on() && server.command.is_some() == server.url.is_some() {
            faults.push(Fault::new(
                format!("mcp.servers.{name}"),
                "needs either a command or a url",
                "set one of them, or set enabled to false",
            ));
        }
    }
    if config.mcp.servers.len() > MCP_SERVERS_MAX {
        faults.push(Fault::new(
            "mcp.servers",
            format!("has more than {MCP_SERVERS_MAX} entries"),
            "take some away",
        ));
    }
}

fn gateway(gateway: &GatewayConfig, faults: &mut Vec<Fault>) {
    let mut fault = |path: &str, what: &str, instead: &str| {
        faults.push(Fault::new(format!("gateway.{path}"), what, instead));
    };
    let auth = &gateway.auth;
    if auth.mode == Some(AuthMode::Password) && auth.password.is_none() {
        fault(
            "auth.password",
            "is missing while the auth mode is \"password\"",
            "set it, or set gateway.auth.mode to \"token\"",
        );
    }
    if auth.mode == Some(AuthMode::Token) && auth.token.is_none() && auth.password.is_some() {
        fault(
            "auth.mode",
            "is \"token\" while only a password is set",
            "set it to \"password\", or set gateway.auth.token",
        );
    }
    if gateway.bind == BindMode::Custom && gateway.custom_bind_host.is_none() {
        fault(
            "customBindHost",
            "is missing while bind is \"custom\"",
            "set it to the address to listen on",
        );
    }
    let remote = &gateway.remote;
    if gateway.mode == Some(GatewayMode::Remote)
        && remote.url.is_none()
        && remote.ssh_target.is_none()
    {
        fault(
            "remote.url",
            "is missing while the mode is \"remote\"",
            "set it to the gateway's address, such as \"wss://host\"",
        );
    }
    if remote.transport == Some(RemoteTransport::Ssh) && remote.ssh_target.is_none() {
        fault(
            "remote.sshTarget",
            "is missing while the transport is \"ssh\"",
            "set it to \"you@host\", or set gateway.remote.transport to \"direct\"",
        );
    }
    let tls = &gateway.tls;
    if tls.cert_path.is_some() != tls.key_path.is_some() {
        fault(
            "tls",
            "has only one of certPath and keyPath",
            "set both at once, as gateway.tls '{ enabled: true, certPath: \"…\", keyPath: \"…\" }'",
        );
    } else if tls.enabled && !tls.auto_generate && tls.cert_path.is_none() {
        fault(
            "tls.certPath",
            "is missing while TLS is enabled",
            "set certPath and keyPath, or set autoGenerate to true",
        );
    }
    if tls.ca_path.is_some() {
        fault(
            "tls.caPath",
            "asks for clients' certificates, which are not looked at",
            "unset it: clients show a token, a password or a device's key",
        );
    }
    let tailscale = gateway.tailscale.mode;
    if tailscale != TailscaleMode::Off
        && !matches!(gateway.bind, BindMode::Loopback | BindMode::Auto)
    {
        fault(
            "tailscale.mode",
            "publishes a port that must be reached only through Tailscale",
            "set gateway.bind to \"loopback\"",
        );
    }
    if tailscale == TailscaleMode::Funnel && auth.effective_mode() != AuthMode::Password {
        fault(
            "tailscale.mode",
            "is \"funnel\", which lets the whole internet in",
            "set gateway.auth.mode to \"password\" and a password",
        );
    }
    let limits = &gateway.limits;
    if limits.handshakes_per_ip_max > limits.handshakes_max {
        fault(
            "limits.handshakesPerIp",
            "is more than gateway.limits.handshakes",
            "lower it",
        );
    }
}

/// Who reaches a browser control server acts as whoever uses that browser, so it is no place for
/// a network that others share.
fn browser(browser: &BrowserConfig, faults: &mut Vec<Fault>) {
    let Some(url) = &browser.control_url else {
        return;
    };
    match control::address(url) {
        Err(what) => faults.push(Fault::new(
            "browser.controlUrl",
            what,
            "use http://127.0.0.1:PORT or a tailnet's address, or unset it",
        )),
        Ok(address) if !address.ip().is_loopback() && browser.control_token.is_none() => {
            faults.push(Fault::new(
                "browser.controlToken",
                "is missing while browser.controlUrl is on another machine",
                "set it to that server's token",
            ));
        }
        Ok(_) => {}
    }
}

fn agents(config: &Config, faults: &mut Vec<Fault>) {
    let mut seen = HashSet::new();
    let mut default: Option<&str> = None;
    for (i, agent) in config.agents.list.iter().enumerate() {
        let path = format!("agents.list[{i}]");
        if agent.id.is_empty() {
            faults.push(Fault::new(
                format!("{path}.id"),
                "is missing",
                "give every agent an id",
            ));
        } else if !seen.insert(agent.id.as_str()) {
            faults.push(Fault::new(
                format!("{path}.id"),
                format!("is {:?}, as another agent's", agent.id),
                "give every agent its own id",
            ));
        }
        if agent.default {
            if let Some(other) = default {
                faults.push(Fault::new(
                    format!("{path}.default"),
                    format!("is true while {other:?} is the default already"),
                    "let one agent be the default",
                ));
            }
            default = Some(&agent.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn faults(telegram: Value) -> Vec<String> {
        let config = json!({"channels": {"telegram": telegram}});
        let config: Config = serde_json::from_value(config).unwrap();
        let faults = check(&config).into_iter();
        faults.map(|fault| fault.to_string()).collect()
    }

    #[test]
    fn drafts_that_are_shown_in_two_ways_are_a_fault() {
        let both = json!({"streaming": "off", "streamMode": "block"});
        let own = json!({"accounts": {"work": {"streaming": "often"}}});
        for (telegram, start) in [
            (
                both,
                "channels.telegram.streaming: is \"off\", and streamMode",
            ),
            (
                own,
                "channels.telegram.accounts.work.streaming: is \"often\"",
            ),
        ] {
            let faults = faults(telegram);
            assert_eq!(faults.len(), 1, "{faults:?}");
            assert!(faults[0].starts_with(start), "{faults:?}");
        }
        assert_eq!(faults(json!({"streaming": {"mode": "block"}})), [""; 0]);
    }
}
