//! The `gateway` section: where it listens, who may come in, how much they may send.

use crate::config::{Cidr, Secret};
use crate::limits;
use core::net::IpAddr;
use serde::Deserialize;

/// The port without any setting.
pub const PORT_DEFAULT: u16 = 18_789;

/// Settings of the gateway itself.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct GatewayConfig {
    /// Absent in a file that nobody set up yet.
    pub mode: Option<GatewayMode>,
    /// The file's port; see `paths::gateway_port` for what outranks it.
    pub port: Option<u16>,
    pub bind: BindMode,
    /// The address of `bind: "custom"`.
    pub custom_bind_host: Option<IpAddr>,
    pub auth: AuthConfig,
    pub remote: RemoteConfig,
    /// Peers whose forwarded headers are believed.
    pub trusted_proxies: Vec<Cidr>,
    /// Connections of these peers begin with a PROXY header, which is believed; others' must not.
    pub proxy_protocol: bool,
    pub control_ui: ControlUiConfig,
    pub nodes: NodesConfig,
    pub reload: ReloadConfig,
    pub limits: LimitsConfig,
    pub tls: TlsConfig,
    pub tailscale: TailscaleConfig,
    pub http: HttpConfig,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GatewayMode {
    /// This machine runs the gateway.
    Local,
    /// This machine uses a gateway elsewhere; running one here is refused.
    Remote,
}

/// Which addresses the gateway listens on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BindMode {
    #[default]
    Loopback,
    /// All interfaces.
    Lan,
    /// The Tailscale address; refuses to start without one.
    Tailnet,
    /// Loopback, else the tailnet, else all interfaces; the last two only with a chosen secret.
    Auto,
    /// `custom_bind_host`.
    Custom,
}

impl BindMode {
    /// As in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Loopback => "loopback",
            Self::Lan => "lan",
            Self::Tailnet => "tailnet",
            Self::Auto => "auto",
            Self::Custom => "custom",
        }
    }
}

/// The gateway's own shared secret.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct AuthConfig {
    /// Absent: `Password` where only a password is set, else `Token`.
    pub mode: Option<AuthMode>,
    pub token: Option<Secret>,
    pub password: Option<Secret>,
    /// Absent: on exactly when `tailscale.mode` is `serve`.
    pub allow_tailscale: Option<bool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuthMode {
    Token,
    Password,
}

impl AuthConfig {
    /// Which secret a client must show.
    pub fn effective_mode(&self) -> AuthMode {
        match self.mode {
            Some(mode) => mode,
            None if self.token.is_none() && self.password.is_some() => AuthMode::Password,
            None => AuthMode::Token,
        }
    }

    /// The configured secret of the effective mode.
    pub fn secret(&self) -> Option<&Secret> {
        match self.effective_mode() {
            AuthMode::Token => self.token.as_ref(),
            AuthMode::Password => self.password.as_ref(),
        }
    }
}

impl GatewayConfig {
    /// Whether Tailscale's daemon on this machine may bring others' connections.
    pub fn is_behind_tailscale(&self) -> bool {
        self.tailscale.mode != TailscaleMode::Off || self.allow_tailscale()
    }

    /// Whether a verified Tailscale identity counts as a secret.
    pub fn allow_tailscale(&self) -> bool {
        self.auth.allow_tailscale.unwrap_or(
            self.tailscale.mode == TailscaleMode::Serve
                && self.auth.effective_mode() == AuthMode::Token,
        )
    }
}

/// The gateway elsewhere that the commands of this machine talk to.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct RemoteConfig {
    /// `ws://` or `wss://`.
    pub url: Option<String>,
    pub token: Option<Secret>,
    pub password: Option<Secret>,
    /// Pins of the server's certificate, as [`crate::config::pin::Pins`] prints them.
    pub tls_fingerprint: Option<String>,
    pub transport: Option<RemoteTransport>,
    pub ssh_target: Option<String>,
    pub ssh_identity: Option<String>,
    /// The gateway's port on the host that `ssh_target` names.
    pub remote_port: Option<u16>,
}

impl RemoteConfig {
    /// The target, where the remote gateway is reached by an SSH tunnel.
    pub fn ssh(&self) -> Option<&str> {
        let target = self.ssh_target.as_deref()?;
        match self.transport {
            Some(RemoteTransport::Ssh) => Some(target),
            None if self.url.is_none() => Some(target),
            Some(RemoteTransport::Direct) | None => None,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RemoteTransport {
    Ssh,
    Direct,
}

/// The web page served on the gateway's port.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ControlUiConfig {
    pub enabled: bool,
    /// A directory of static files to serve instead of the built-in page.
    pub root: Option<String>,
    /// The path prefix of the page: empty, or with a leading and no trailing slash.
    pub base_path: String,
    /// Origins that may connect besides the gateway's own: `scheme://host[:port]`, lower case.
    pub allowed_origins: Vec<String>,
    /// Lets a browser without a secure context in by the shared secret alone.
    pub allow_insecure_auth: bool,
}

/// What nodes may be asked to do, on top of the platform's list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct NodesConfig {
    pub allow_commands: Vec<String>,
    pub deny_commands: Vec<String>,
    pub browser: BrowserNodeConfig,
}

/// Which node's browser is used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct BrowserNodeConfig {
    pub mode: BrowserMode,
    /// A node's id, the start of one, or its name.
    pub node: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BrowserMode {
    /// The only one that is connected, unless one is named.
    #[default]
    Auto,
    /// None, unless one is named.
    Manual,
    Off,
}

/// What happens when the configuration file changes while the gateway runs.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ReloadConfig {
    pub mode: ReloadMode,
    pub debounce_ms: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReloadMode {
    Off,
    /// Every change restarts.
    Restart,
    /// What can change live does; the rest waits for a restart.
    Hot,
    /// What can change live does; the rest restarts.
    #[default]
    Hybrid,
}

/// Bounds that an operator may change. Units are in the names of `crate::limits`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct LimitsConfig {
    /// Longest message in bytes, advertised as `policy.maxPayload`.
    #[serde(rename = "maxPayload")]
    pub max_payload_bytes: usize,
    /// Unfinished handshakes of one address.
    #[serde(rename = "handshakesPerIp")]
    pub handshakes_per_ip_max: usize,
    /// Unfinished handshakes of all addresses.
    #[serde(rename = "handshakes")]
    pub handshakes_max: usize,
    /// Queued bytes above which a peer that takes none is cut.
    #[serde(rename = "maxBufferedBytes")]
    pub outbox_soft_bytes: usize,
    /// Queued bytes of all peers together.
    #[serde(rename = "maxBufferedBytesTotal")]
    pub outbox_total_bytes_max: usize,
    /// Memory in bytes that the process may use, beside what its system allows.
    #[serde(rename = "memory")]
    pub memory_bytes_max: Option<u64>,
    /// Interval of the `tick` event.
    #[serde(rename = "tickIntervalMs")]
    pub tick_interval_ms: u64,
    /// Between two pings; who answers none of the last is gone.
    #[serde(rename = "pingIntervalMs")]
    pub ping_interval_ms: u64,
}

/// TLS on the gateway's port.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TlsConfig {
    pub enabled: bool,
    /// Makes a self-signed certificate where none is given.
    pub auto_generate: bool,
    pub cert_path: Option<String>,
    pub key_path: Option<String>,
    /// Certificates of clients must be signed by this authority.
    pub ca_path: Option<String>,
}

/// Publishing the port by the `tailscale` program.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TailscaleConfig {
    pub mode: TailscaleMode,
    pub reset_on_exit: bool,
    /// The daemon's socket, where it is not the usual one.
    pub socket: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TailscaleMode {
    #[default]
    Off,
    /// To the tailnet only.
    Serve,
    /// To the whole internet; demands a password.
    Funnel,
}

/// Plain HTTP endpoints that are off unless asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct HttpConfig {
    pub endpoints: HttpEndpoints,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct HttpEndpoints {
    pub chat_completions: HttpEndpoint,
    pub responses: HttpEndpoint,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct HttpEndpoint {
    pub enabled: bool,
    pub max_body_bytes: Option<usize>,
}

impl Default for ControlUiConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            root: None,
            base_path: String::new(),
            allowed_origins: Vec::new(),
            allow_insecure_auth: false,
        }
    }
}

impl Default for ReloadConfig {
    fn default() -> Self {
        Self {
            mode: ReloadMode::Hybrid,
            debounce_ms: 300,
        }
    }
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            max_payload_bytes: limits::MESSAGE_BYTES_MAX,
            handshakes_per_ip_max: limits::HANDSHAKES_PER_IP_MAX,
            handshakes_max: limits::HANDSHAKES_MAX,
            outbox_soft_bytes: limits::OUTBOX_SOFT_BYTES,
            outbox_total_bytes_max: limits::OUTBOX_TOTAL_BYTES_MAX,
            memory_bytes_max: None,
            tick_interval_ms: limits::TICK_INTERVAL_MS,
            ping_interval_ms: limits::PING_INTERVAL_MS,
        }
    }
}

impl Default for TlsConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            auto_generate: true,
            cert_path: None,
            key_path: None,
            ca_path: None,
        }
    }
}
