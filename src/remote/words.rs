//! The words of the `ssh` commands: an argument list, never a line for a shell.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::target::SshTarget;
use crate::limits::{SSH_ALIVE_COUNT_MAX, SSH_ALIVE_INTERVAL_S, SSH_CONNECT_S};

/// How a target is logged in to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// The program: OpenSSH's `ssh`, found on the path.
    pub program: PathBuf,
    /// Where.
    pub target: SshTarget,
    /// The private key's file; without it the person's own `ssh` configuration decides.
    pub identity: Option<PathBuf>,
}

impl Login {
    /// A login by the `ssh` on the path.
    pub fn new(target: SshTarget, identity: Option<PathBuf>) -> Self {
        Self {
            program: "ssh".into(),
            target,
            identity,
        }
    }
}

/// `ssh` that carries `127.0.0.1:local_port` to `127.0.0.1:remote_port` of the target, and nothing
/// else. It ends when the port cannot be had or the peer is dead, and never asks a question.
pub fn tunnel(login: &Login, local_port: u16, remote_port: u16) -> Vec<OsString> {
    let forward = format!("127.0.0.1:{local_port}:127.0.0.1:{remote_port}");
    let own = ["-N", "-o", "ExitOnForwardFailure=yes", "-L", &forward];
    words(login, &own, None)
}

/// `ssh` that runs `script` at the target. The remote user's shell reads it, so it is a constant.
pub fn ask(login: &Login, script: &'static str) -> Vec<OsString> {
    words(login, &["-o", "RemoteCommand=none"], Some(script))
}

fn words(login: &Login, own: &[&str], script: Option<&'static str>) -> Vec<OsString> {
    let settings = [
        // No question can be answered, so none is asked.
        "BatchMode=yes".to_owned(),
        format!("ConnectTimeout={SSH_CONNECT_S}"),
        format!("ServerAliveInterval={SSH_ALIVE_INTERVAL_S}"),
        format!("ServerAliveCountMax={SSH_ALIVE_COUNT_MAX}"),
        // A shared connection would outlive this process and answer for it.
        "ControlMaster=no".to_owned(),
        "ControlPath=none".to_owned(),
        // What a tunnel has no use for is not lent to the host.
        "ForwardAgent=no".to_owned(),
        "ForwardX11=no".to_owned(),
        "PermitLocalCommand=no".to_owned(),
    ];
    let mut words: Vec<OsString> = vec!["-T".into()];
    for setting in settings {
        words.extend(["-o".into(), setting.into()]);
    }
    words.extend(own.iter().map(OsString::from));
    if let Some(identity) = &login.identity {
        words.extend(["-o".into(), "IdentitiesOnly=yes".into(), "-i".into()]);
        words.push(plain(identity));
    }
    if let Some(port) = login.target.port() {
        words.extend(["-p".into(), port.to_string().into()]);
    }
    // Nothing behind it is an option.
    words.extend(["--".into(), login.target.destination().into()]);
    words.extend(script.map(OsString::from));
    words
}

/// ssh_config(5) expands `%` and `${…}` in the name of an identity; a doubled `%` stands for itself.
fn plain(path: &Path) -> OsString {
    match path.to_str() {
        Some(text) => text.replace('%', "%%").into(),
        None => path.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(target: &str, identity: Option<&str>) -> Login {
        let target = SshTarget::parse(target).unwrap();
        Login::new(target, identity.map(Into::into))
    }

    fn text(words: Vec<OsString>) -> Vec<String> {
        let words = words.into_iter().map(OsString::into_string);
        words.collect::<Result<_, _>>().unwrap()
    }

    fn settings(words: &[String]) -> Vec<&str> {
        let pairs = words.windows(2).filter(|pair| pair[0] == "-o");
        pairs.map(|pair| pair[1].as_str()).collect()
    }

    #[test]
    fn a_tunnel_is_quiet_bounded_and_on_loopback_at_both_ends() {
        let words = text(tunnel(&login("you@host:2222", Some("/k y%")), 4000, 18789));
        for setting in [
            "BatchMode=yes",
            "ExitOnForwardFailure=yes",
            "ServerAliveInterval=15",
            "ServerAliveCountMax=3",
            "ControlPath=none",
        ] {
            assert!(settings(&words).contains(&setting), "{setting}: {words:?}");
        }
        assert!(words.contains(&"-N".to_owned()));
        let forward = words.iter().position(|word| word == "-L").unwrap();
        assert_eq!(words[forward + 1], "127.0.0.1:4000:127.0.0.1:18789");
        let identity = words.iter().position(|word| word == "-i").unwrap();
        assert_eq!(words[identity + 1], "/k y%%");
        assert_eq!(words[words.len() - 4..], ["-p", "2222", "--", "you@host"]);
    }

    #[test]
    fn whom_the_host_may_be_is_left_to_the_persons_own_configuration() {
        let words = text(tunnel(&login("host", None), 1, 2)).join(" ");
        for word in ["StrictHostKeyChecking", "UserKnownHostsFile", "-F", "-i"] {
            assert!(!words.contains(&format!("{word} ")) && !words.contains(&format!("{word}=")));
        }
        assert!(words.ends_with("-- host"), "{words}");
    }

    #[test]
    fn a_question_is_one_word_behind_the_host() {
        let words = text(ask(&login("you@[::1]", None), "sh -c 'a'"));
        assert_eq!(words[words.len() - 3..], ["--", "you@::1", "sh -c 'a'"]);
        assert!(!words.contains(&"-N".to_owned()) && !words.contains(&"-L".to_owned()));
    }
}
