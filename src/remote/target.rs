//! Whom `ssh` is told to reach: a parsed `[user@]host[:port]`.
//!
//! What is accepted is a small alphabet, so that no target can be read as an option, name a
//! command, or mean anything to a shell or a configuration file.

use std::fmt;
use std::net::Ipv6Addr;

use crate::limits::{SSH_HOST_BYTES_MAX, SSH_USER_BYTES_MAX};

/// Where to log in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SshTarget {
    user: Option<String>,
    /// A name, an IPv4 or an IPv6 literal without brackets, in lower case.
    host: String,
    port: Option<u16>,
}

impl SshTarget {
    /// Reads `[user@]host[:port]`; an IPv6 address stands in brackets. Without a user or a port
    /// the person's own `ssh` configuration decides. The error is a sentence for people.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (user, rest) = match text.split_once('@') {
            Some((user, rest)) => (Some(check_user(user)?), rest),
            None => (None, text),
        };
        let (host, port) = match rest.strip_prefix('[') {
            Some(inside) => {
                let (address, after) = inside.split_once(']').ok_or_else(|| fault(text))?;
                let address: Ipv6Addr = address
                    .parse()
                    .map_err(|_| format!("`{}` is no IPv6 address", address.escape_debug()))?;
                (address.to_string(), after)
            }
            None if rest.matches(':').count() > 1 => {
                return Err(format!(
                    "`{}`: an IPv6 address stands in brackets, as in you@[2001:db8::1]:22",
                    rest.escape_debug()
                ));
            }
            None => {
                let end = rest.find(':').unwrap_or(rest.len());
                (check_host(&rest[..end], text)?, &rest[end..])
            }
        };
        Ok(Self {
            user,
            host,
            port: check_port(port, text)?,
        })
    }

    /// The port of the SSH server, where one was named.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// Whether the host is this machine by its name: there a tunnel to its own port would lead
    /// into itself.
    pub fn is_this_machine(&self) -> bool {
        let ip = self.host.parse::<std::net::IpAddr>();
        self.host == "localhost" || ip.is_ok_and(|ip| ip.is_loopback())
    }

    /// `user@host` as `ssh` takes it: IPv6 without brackets, no port.
    pub fn destination(&self) -> String {
        match &self.user {
            Some(user) => format!("{user}@{}", self.host),
            None => self.host.clone(),
        }
    }
}

impl fmt::Display for SshTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(user) = &self.user {
            write!(f, "{user}@")?;
        }
        if self.host.contains(':') {
            write!(f, "[{}]", self.host)?;
        } else {
            f.write_str(&self.host)?;
        }
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

/// POSIX 3.437 names the portable characters of a user name; `-` does not come first.
fn check_user(user: &str) -> Result<String, String> {
    let fits = (1..=SSH_USER_BYTES_MAX).contains(&user.len())
        && !user.starts_with('-')
        && user
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
    match fits {
        true => Ok(user.to_owned()),
        false => Err(format!(
            "`{}` is no user name: letters, digits, `.`, `_` and `-`, which is not the first",
            user.escape_debug()
        )),
    }
}

fn check_host(host: &str, whole: &str) -> Result<String, String> {
    let fits = (1..=SSH_HOST_BYTES_MAX).contains(&host.len())
        && host.starts_with(|c: char| c.is_ascii_alphanumeric())
        && host
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
    match fits {
        true => Ok(host.to_ascii_lowercase()),
        false => Err(fault(whole)),
    }
}

fn check_port(text: &str, whole: &str) -> Result<Option<u16>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let digits = text.strip_prefix(':').ok_or_else(|| fault(whole))?;
    match digits.parse::<u16>() {
        Ok(port) if port != 0 && digits.bytes().all(|b| b.is_ascii_digit()) => Ok(Some(port)),
        _ => Err(format!(
            "`{}` is no port: 1 to 65535",
            digits.escape_debug()
        )),
    }
}

fn fault(text: &str) -> String {
    format!(
        "`{}` is no SSH target: write you@host, you@host:port or host",
        text.escape_debug()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_have_one_form() {
        for (text, shown, destination, port) in [
            ("you@host", "you@host", "you@host", None),
            ("Host", "host", "host", None),
            (
                "a.b-c_d@h-1.x_y:2222",
                "a.b-c_d@h-1.x_y:2222",
                "a.b-c_d@h-1.x_y",
                Some(2222),
            ),
            (
                "root@192.0.2.1:22",
                "root@192.0.2.1:22",
                "root@192.0.2.1",
                Some(22),
            ),
            (
                "u@[2001:DB8:0::1]",
                "u@[2001:db8::1]",
                "u@2001:db8::1",
                None,
            ),
            ("[::1]:65535", "[::1]:65535", "::1", Some(65535)),
        ] {
            let target = SshTarget::parse(text).unwrap();
            assert_eq!(target.to_string(), shown);
            assert_eq!(target.destination(), destination);
            assert_eq!(target.port(), port);
            assert_eq!(SshTarget::parse(shown).unwrap(), target);
        }
    }

    #[test]
    fn nothing_that_could_be_an_option_a_command_or_a_pattern_is_a_target() {
        for text in [
            "",
            "@",
            "u@",
            "@h",
            "-oProxyCommand=touch x",
            "-oProxyCommand=x@h",
            "u@-oProxyCommand=x",
            "u@-h",
            "-u@h",
            "u@h@h",
            "a b",
            "u@a b",
            "u@h\n",
            "u@h\0",
            "u@h\u{7f}",
            "$(x)",
            "u@$(x)",
            "u@`x`",
            "u@h;x",
            "u@h|x",
            "u@h&x",
            "u@h>x",
            "u@h'",
            "u@h\"",
            "u@h\\",
            "u@h/x",
            "u@h%h",
            "u@h*",
            "u@h?",
            "u@!h",
            "u@~h",
            "u@h#x",
            "u@h=x",
            "u@h,i",
            "u@{h}",
            "u:pw@h",
            "ssh://u@h",
            "u@hö",
            "u@.h",
            "u@::1",
            "::1",
            "u@[::1",
            "u@[h]",
            "u@[::1%eth0]",
            "u@[::1]x",
        ] {
            assert!(SshTarget::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_port_is_a_number_from_1_to_65535() {
        for port in ["0", "00", "65536", "99999", "+1", "-1", "", "x", "1 ", "٣"] {
            assert!(
                SshTarget::parse(&format!("u@h:{port}")).is_err(),
                "{port:?}"
            );
        }
    }

    #[test]
    fn this_machine_is_known_by_its_name() {
        for (text, here) in [
            ("localhost", true),
            ("you@LOCALHOST:22", true),
            ("127.0.0.2", true),
            ("[::1]", true),
            ("localhost.example", false),
            ("192.0.2.1", false),
        ] {
            assert_eq!(
                SshTarget::parse(text).unwrap().is_this_machine(),
                here,
                "{text}"
            );
        }
    }

    #[test]
    fn names_have_bounds() {
        let long = |n: usize| "x".repeat(n);
        assert!(SshTarget::parse(&long(SSH_HOST_BYTES_MAX)).is_ok());
        assert!(SshTarget::parse(&long(SSH_HOST_BYTES_MAX + 1)).is_err());
        let user = format!("{}@h", long(SSH_USER_BYTES_MAX + 1));
        assert!(SshTarget::parse(&user).is_err());
    }

    #[test]
    fn a_refusal_shows_nothing_that_a_terminal_obeys() {
        let fault = SshTarget::parse("u@\u{1b}[2J").unwrap_err();
        assert!(!fault.contains('\u{1b}'), "{fault}");
    }
}
