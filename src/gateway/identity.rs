//! What the gateway knows about itself, given once at start, and where its randomness is from.

/// Random bytes from outside: the system's in service, a seed's in a simulation.
pub trait Entropy: Send {
    /// Fills `bytes`.
    fn fill(&mut self, bytes: &mut [u8]);
}

/// Facts about this process that do not change while it runs.
#[derive(Clone, Debug, Default)]
pub struct Identity {
    /// The program's version.
    pub version: String,
    /// The machine's name.
    pub host: String,
    /// Its address for people, such as `192.0.2.2`.
    pub ip: String,
    /// Such as `linux 6.8.0`.
    pub platform: String,
    /// Such as `Linux`.
    pub device_family: String,
    /// Such as `x64`.
    pub model_identifier: String,
    /// As in `gateway.bind`.
    pub bind_mode: &'static str,
    /// Where the gateway listens, for people.
    pub bind: String,
    /// The port that it really listens on.
    pub port: u16,
    /// Whether clients of that port come by https and wss, whatever a newer configuration says.
    pub tls: bool,
    /// The configuration file, whether it exists or not.
    pub config_path: String,
    /// The state directory.
    pub state_dir: String,
    /// The log file.
    pub log_path: String,
    /// Origins that are the gateway's own, beyond the request's Host.
    pub allowed_hosts: Vec<String>,
    /// The user that this process runs as.
    pub uid: u32,
    /// Bytes that all outboxes together may hold; 0 leaves it to the configuration.
    pub outbox_total_bytes_max: usize,
    /// When the process started.
    pub started_unix_ms: u64,
}

impl super::Gateway {
    /// A random id of the usual form, version 4 of RFC 9562 5.4.
    pub(super) fn uuid(&mut self) -> String {
        let mut bytes = [0u8; 16];
        self.entropy.fill(&mut bytes);
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        let hex = hex(&bytes);
        [
            &hex[..8],
            &hex[8..12],
            &hex[12..16],
            &hex[16..20],
            &hex[20..],
        ]
        .join("-")
    }

    /// 128 random bits as lower-case hex: tokens and short ids.
    pub(super) fn random_hex(&mut self) -> String {
        let mut bytes = [0u8; 16];
        self.entropy.fill(&mut bytes);
        hex(&bytes)
    }

    /// How long the gateway has been up.
    pub(super) fn uptime_ms(&self) -> u64 {
        self.now
            .unix_ms
            .saturating_sub(self.identity.started_unix_ms)
    }
}

/// Lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut out = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        out.push(char::from(DIGITS[usize::from(byte >> 4)]));
        out.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    out
}
