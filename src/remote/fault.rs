//! Why `ssh` failed, read from what it said: a reason, whether waiting helps, and what mends it.

use std::fmt;

use super::target::SshTarget;

/// Why there is no tunnel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SshFault {
    /// What callers decide by.
    pub kind: FaultKind,
    /// One sentence, without a trailing full stop.
    pub message: String,
}

/// The kinds of failure that callers tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// There is no `ssh` program, or it cannot be run.
    NoProgram,
    /// The host's key was never accepted here.
    UnknownKey,
    /// The host shows another key than before.
    ChangedKey,
    /// The host let none of the keys in.
    Denied,
    /// The host's name is not known.
    UnknownHost,
    /// The host cannot be reached, or the connection to it was lost.
    Unreachable,
    /// Another process has the local port.
    PortTaken,
    /// The tunnel stands and nothing comes through it.
    Silent,
    /// Anything else.
    Other,
}

impl SshFault {
    /// A fault of `kind` that reads as `message`.
    pub fn new(kind: FaultKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }

    /// Reads what `ssh` wrote before it ended; `how` says how it ended.
    pub fn read(stderr: &str, how: &str) -> Self {
        // What one carried connection met says nothing about the tunnel.
        let lines: Vec<&str> = stderr
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with("channel "))
            .collect();
        for (words, kind) in SIGNS {
            if let Some(line) = lines.iter().rev().find(|line| line.contains(words)) {
                return Self::new(kind, *line);
            }
        }
        match lines.last() {
            Some(line) => Self::new(FaultKind::Other, format!("{line} ({how})")),
            None => Self::new(FaultKind::Other, format!("ssh {how} without a word")),
        }
    }

    /// Whether only a person can mend it. A host that was let in before may refuse for a while
    /// (its disk is not mounted yet, say); a changed key is never waited out.
    pub fn is_final(&self, worked_before: bool) -> bool {
        match self.kind {
            FaultKind::NoProgram | FaultKind::UnknownKey | FaultKind::ChangedKey => true,
            FaultKind::Denied | FaultKind::UnknownHost | FaultKind::PortTaken => !worked_before,
            FaultKind::Unreachable | FaultKind::Silent | FaultKind::Other => false,
        }
    }

    /// The command that mends it, where one is known.
    pub fn mend(&self, target: &SshTarget) -> Option<String> {
        let port = target
            .port()
            .map_or(String::new(), |port| format!("-p {port} "));
        let to = format!("{port}{}", target.destination());
        Some(match self.kind {
            FaultKind::NoProgram => {
                "install an OpenSSH client (Debian: apt-get install openssh-client)".into()
            }
            FaultKind::UnknownKey => format!("ssh {to}   # once, to see and accept the host's key"),
            FaultKind::ChangedKey => format!(
                "ssh {to}   # says which line of known_hosts differs; ask the host's owner first"
            ),
            FaultKind::Denied => format!("ssh-copy-id {to}   # or ssh-add, or --identity FILE"),
            FaultKind::PortTaken => "the same with --local-port PORT".into(),
            FaultKind::UnknownHost | FaultKind::Unreachable => format!("ssh -v {to}"),
            FaultKind::Silent | FaultKind::Other => return None,
        })
    }
}

impl fmt::Display for SshFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// What OpenSSH writes, the most telling first: several lines may stand there, and a later loss
/// is not hidden by an earlier warning.
const SIGNS: [(&str, FaultKind); 16] = [
    (
        "REMOTE HOST IDENTIFICATION HAS CHANGED",
        FaultKind::ChangedKey,
    ),
    ("Host key verification failed", FaultKind::UnknownKey),
    ("Address already in use", FaultKind::PortTaken),
    ("cannot listen to port", FaultKind::PortTaken),
    ("Permission denied", FaultKind::Denied),
    ("Too many authentication failures", FaultKind::Denied),
    ("Could not resolve hostname", FaultKind::UnknownHost),
    ("Connection refused", FaultKind::Unreachable),
    ("timed out", FaultKind::Unreachable),
    ("No route to host", FaultKind::Unreachable),
    ("Network is unreachable", FaultKind::Unreachable),
    ("not responding", FaultKind::Unreachable),
    ("Connection reset", FaultKind::Unreachable),
    ("Broken pipe", FaultKind::Unreachable),
    ("closed by remote host", FaultKind::Unreachable),
    ("Connection closed by", FaultKind::Unreachable),
];

/// Whether `ssh` said that the far end has nothing on the port that is carried to it.
pub fn far_port_is_closed(stderr: &str) -> bool {
    stderr
        .lines()
        .any(|line| line.contains("open failed: connect failed: Connection refused"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> SshFault {
        SshFault::read(text, "ended with 255")
    }

    #[test]
    fn what_ssh_says_is_told_apart() {
        for (text, kind) in [
            (
                "you@host: Permission denied (publickey).",
                FaultKind::Denied,
            ),
            ("Host key verification failed.", FaultKind::UnknownKey),
            (
                "@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.",
                FaultKind::ChangedKey,
            ),
            (
                "bind [127.0.0.1]:1: Address already in use\nCould not request local forwarding.",
                FaultKind::PortTaken,
            ),
            (
                "ssh: Could not resolve hostname h: Name or service not known",
                FaultKind::UnknownHost,
            ),
            (
                "ssh: connect to host h port 22: Connection refused",
                FaultKind::Unreachable,
            ),
            ("Timeout, server h not responding.", FaultKind::Unreachable),
            (
                "client_loop: send disconnect: Broken pipe",
                FaultKind::Unreachable,
            ),
            ("unheard of", FaultKind::Other),
            ("", FaultKind::Other),
        ] {
            assert_eq!(read(text).kind, kind, "{text}");
        }
        assert_eq!(read("a\nb\n\n").message, "b (ended with 255)");
        let carried = "channel 2: open failed: connect failed: Connection refused\nother";
        assert_eq!(read(carried).kind, FaultKind::Other);
    }

    #[test]
    fn what_only_a_person_can_mend_is_not_repeated() {
        let target = SshTarget::parse("you@host:7").unwrap();
        for text in [
            "Host key verification failed.",
            "Permission denied (publickey).",
        ] {
            let fault = read(text);
            assert!(fault.is_final(false));
            assert!(fault.mend(&target).unwrap().contains("-p 7 you@host"));
        }
        assert!(!read("Permission denied (publickey).").is_final(true));
        assert!(read("Host key verification failed.").is_final(true));
        assert!(!read("Connection refused").is_final(false));
    }

    #[test]
    fn a_closed_port_at_the_far_end_is_no_fault_of_the_tunnel() {
        let text = "channel 2: open failed: connect failed: Connection refused\n";
        assert!(far_port_is_closed(text));
        assert!(!far_port_is_closed(
            "ssh: connect to host h port 22: Connection refused"
        ));
    }
}
