//! Asking a host about its gateway, over `ssh`: where it listens, and its token.

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value;

use super::fault::{FaultKind, SshFault};
use super::tunnel::how;
use super::words::{self, Login};
use crate::client::GatewayUrl;
use crate::config::PORT_DEFAULT;
use crate::config::pin::Pins;
use crate::io::sys;
use crate::limits::{SSH_ANSWER_BYTES_MAX, SSH_ASK_MS, SSH_STDERR_BYTES_MAX};

/// What a host says about its gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The port that it serves, or is configured for.
    pub port: u16,
    /// The version, where it runs.
    pub version: Option<String>,
    /// How the port was found, for people.
    pub source: &'static str,
}

/// A login shell of somebody else reads these, so they are constants within single quotes. A shell
/// without a terminal often lacks the directories where programs of a person are.
macro_rules! at_the_host {
    ($script:literal) => {
        concat!(
            "sh -c 'PATH=\"$PATH:$HOME/.local/bin:$HOME/.cargo/bin:/usr/local/bin\"; export PATH; ",
            $script,
            "'"
        )
    };
}

const STATUS: &str = at_the_host!(
    "clawdia gateway status --json 2>/dev/null || \
     cat \"$HOME/.clawdia/clawdia.json\" 2>/dev/null || \
     cat \"$HOME/.clawdbot/clawdbot.json\" 2>/dev/null || echo {}"
);
const TOKEN: &str = at_the_host!("exec clawdia token --json");
const FINGERPRINT: &str = at_the_host!("exec clawdia gateway fingerprint --json");

/// Asks for the gateway's port and version: the running gateway, else a configuration file, else
/// the port that gateways have without one.
///
/// # Errors
///
/// When the host does not let us in.
pub fn facts(login: &Login) -> Result<Facts, SshFault> {
    Ok(read_facts(&run(login, STATUS)?))
}

/// Asks for the secret of the gateway there. It goes to that gateway alone.
///
/// # Errors
///
/// When the host does not let us in, or has no `clawdia` or no secret.
pub fn token(login: &Login) -> Result<Shared, SshFault> {
    let answer: Value = serde_json::from_str(&run(login, TOKEN)?).unwrap_or_default();
    let secret = answer["secret"]
        .as_str()
        .filter(|secret| !secret.is_empty());
    let secret = secret
        .ok_or_else(|| SshFault::new(FaultKind::Other, "`clawdia token` there gave no secret"))?;
    let is_password = answer["source"]
        .as_str()
        .is_some_and(|source| source.contains("gateway.auth.password"));
    Ok(match is_password {
        true => Shared::Password(secret.to_owned()),
        false => Shared::Token(secret.to_owned()),
    })
}

/// Asks for the pin of the certificate of the gateway there. `ssh` knows that host by its key, so
/// what it says is as good as a pin that a person brought over.
///
/// # Errors
///
/// When the host does not let us in, or has no `clawdia` or no certificate.
pub fn fingerprint(login: &Login) -> Result<String, SshFault> {
    let answer: Value = serde_json::from_str(&run(login, FINGERPRINT)?).unwrap_or_default();
    let pins = answer["sha256"].as_str().map(Pins::parse);
    match pins {
        Some(Ok(pins)) => Ok(pins.to_string()),
        _ => Err(SshFault::new(
            FaultKind::Other,
            "`clawdia gateway fingerprint` there gave none",
        )),
    }
}

/// The secret that clients of a gateway share.
pub enum Shared {
    Token(String),
    Password(String),
}

fn read_facts(text: &str) -> Facts {
    let fallback = Facts {
        port: PORT_DEFAULT,
        version: None,
        source: "the port of a gateway without configuration",
    };
    let Ok(value) = json5::from_str::<Value>(text) else {
        return fallback;
    };
    let url = value["url"]
        .as_str()
        .and_then(|url| GatewayUrl::parse(url).ok());
    if let Some(url) = url {
        return Facts {
            port: url.port,
            version: value["version"].as_str().map(str::to_owned),
            source: "the running gateway",
        };
    }
    let configured = value["gateway"]["port"].as_u64();
    match configured.and_then(|port| u16::try_from(port).ok()) {
        Some(port) if port > 0 => Facts {
            port,
            version: None,
            source: "the configuration there",
        },
        _ => fallback,
    }
}

/// Runs `script` at the host; what it printed.
fn run(login: &Login, script: &'static str) -> Result<String, SshFault> {
    let fault = |fault: std::io::Error| {
        SshFault::new(FaultKind::NoProgram, format!("ssh cannot be run: {fault}"))
    };
    let mut command = Command::new(&login.program);
    command
        .args(words::ask(login, script))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    sys::die_with_this_thread(&mut command);
    let mut child = command.spawn().map_err(fault)?;
    let group = Pid::from_child(&child);
    let printed = read_all(child.stdout.take(), SSH_ANSWER_BYTES_MAX);
    let said = read_all(child.stderr.take(), SSH_STDERR_BYTES_MAX);
    let in_time = printed.recv_timeout(Duration::from_millis(SSH_ASK_MS));
    if in_time.is_err() {
        // The group may be gone already.
        let _ = kill_process_group(group, Signal::KILL);
    }
    let status = child.wait().map_err(fault)?;
    let said = said.recv().unwrap_or_default();
    match in_time {
        Err(_) => Err(SshFault::new(
            FaultKind::Unreachable,
            format!("{} did not answer in time", login.target),
        )),
        Ok(printed) if status.success() => Ok(printed),
        Ok(_) => Err(SshFault::read(&said, &how(status))),
    }
}

/// Reads a stream to its end on a thread of its own, keeping its first `bytes_max`.
fn read_all(
    stream: Option<impl Read + Send + 'static>,
    bytes_max: usize,
) -> mpsc::Receiver<String> {
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut stream) = stream {
            // What came before a failed read is what there is.
            let _ = stream
                .by_ref()
                .take(bytes_max as u64)
                .read_to_end(&mut bytes);
            let _ = std::io::copy(&mut stream, &mut std::io::sink());
        }
        let _ = tell.send(String::from_utf8_lossy(&bytes).into_owned());
    });
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_comes_from_the_gateway_then_its_configuration_then_the_default() {
        let port = |text: &str| (read_facts(text).port, read_facts(text).version);
        assert_eq!(
            port(r#"{"url":"ws://127.0.0.1:4000","version":"0.1.0"}"#),
            (4000, Some("0.1.0".into()))
        );
        assert_eq!(port("{ gateway: { port: 5000, }, } // mine"), (5000, None));
        for text in [
            "",
            "{}",
            "motd",
            "{gateway:{port:0}}",
            "{gateway:{port:99999}}",
            "[1]",
        ] {
            assert_eq!(port(text), (PORT_DEFAULT, None), "{text}");
        }
    }

    #[test]
    fn what_the_hosts_shell_reads_is_one_quoted_word() {
        for script in [STATUS, TOKEN, FINGERPRINT] {
            assert_eq!(script.matches('\'').count(), 2, "{script}");
            assert!(script.starts_with("sh -c '") && script.ends_with('\''));
        }
    }
}
