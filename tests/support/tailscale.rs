//! A program called `tailscale` and a daemon behind a Unix socket, as far as a gateway needs them.
//! What they say is taken from Tailscale's source: `ipn.ServeConfig`, `ipnstate.Status`, the
//! commands of `serve_v2.go`, and `/localapi/v0/whois`.

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The name of this machine.
pub const NAME: &str = "home.tail1234.ts.net";

/// A folder with the program, what it serves (`443/ROOT` for the path `/`, other paths as they are
/// called; `funnel`), how it was called (`calls`), and switches for what goes wrong.
pub struct Tailscale {
    dir: tempfile::TempDir,
}

const SCRIPT: &str = r#"#!/bin/sh
cd 'DIR' || exit 1
printf '%s\n' "$*" >>calls
[ ! -e hang ] || exec sleep 600
if [ "$1" = --socket ]; then shift 2; fi
case "$*" in
'status --json --peers=false')
  cat status; exit 0 ;;
'serve status --json')
  if [ -z "$(ls 443)" ]; then
    if [ -e funnel ]; then printf '{"AllowFunnel": {"NAME:443": true}}\n'; else echo null; fi
    exit 0
  fi
  printf '{\n  "TCP": {"443": {"HTTPS": true}},\n  "Web": {"NAME:443": {"Handlers": {'
  comma=
  for file in 443/*; do
    path=/${file#443/}; [ "$path" != /ROOT ] || path=/
    printf '%s"%s": {"Proxy": "%s"}' "$comma" "$path" "$(cat "$file")"; comma=', '
  done
  printf '}}}'
  [ ! -e funnel ] || printf ',\n  "AllowFunnel": {"NAME:443": true}'
  printf '\n}\n'
  exit 0 ;;
esac
if [ -e deny ]; then
  printf 'sending serve config: Access denied: serve config denied\n\n' >&2
  printf 'Use '\''sudo tailscale %s'\'' or '\''tailscale up --operator=$USER'\'' to not require root.\n' "$*" >&2
  exit 1
fi
[ ! -e lie ] || exit 0
case "$*" in
'serve --bg --yes --https=443 --set-path=/ '*)
  printf %s "${6}" >443/ROOT; [ -e stuck ] || rm -f funnel ;;
'funnel --bg --yes --https=443 --set-path=/ '*)
  printf %s "${6}" >443/ROOT; : >funnel ;;
'serve --yes --https=443 --set-path=/ off')
  [ -e 443/ROOT ] || { echo 'error: failed to remove web serve: handler does not exist' >&2; exit 1; }
  rm 443/ROOT; [ -n "$(ls 443)" ] || rm -f funnel ;;
*)
  echo "flag provided but not defined: $*" >&2; exit 2 ;;
esac
"#;

impl Tailscale {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let own = Self { dir };
        std::fs::create_dir(own.path("443")).unwrap();
        own.write("calls", "");
        own.set_state("Running");
        let script = SCRIPT.replace("DIR", own.dir.path().to_str().unwrap());
        own.write("tailscale", &script.replace("NAME", NAME));
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(own.path("tailscale"), mode).unwrap();
        own
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    pub fn remove(&self, name: &str) {
        std::fs::remove_file(self.path(name)).unwrap();
    }

    pub fn has(&self, name: &str) -> bool {
        self.path(name).exists()
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// `BackendState` of the daemon.
    pub fn set_state(&self, state: &str) {
        self.write(
            "status",
            &format!(
                r#"{{"Version": "1.90.4-t1", "TUN": true, "BackendState": "{state}", "HaveNodeKey": true,
                "AuthURL": "", "TailscaleIPs": ["100.64.0.1", "fd7a:115c:a1e0::1"],
                "Self": {{"ID": "n1", "HostName": "home", "DNSName": "{NAME}.", "OS": "linux"}},
                "Health": [], "MagicDNSSuffix": "tail1234.ts.net", "CertDomains": ["{NAME}"], "Peer": null}}"#
            ),
        );
    }

    /// How it was called, without the questions.
    pub fn changes(&self) -> Vec<String> {
        let calls = self.read("calls");
        let is_change = |line: &&str| !line.contains("--json");
        calls.lines().filter(is_change).map(str::to_owned).collect()
    }

    /// Puts the program in front of all others.
    pub fn on_path(&self, mut command: Command) -> Command {
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{}:{path}", self.dir.path().display()));
        command
    }
}

/// The daemon's socket. It knows the persons of this list by address; of others it says that they
/// are nobody. One that is silent answers nothing at all.
pub fn daemon(path: &Path, persons: &'static [(&str, &str)], is_silent: bool) {
    let listener = UnixListener::bind(path).unwrap();
    std::thread::spawn(move || {
        let mut held = Vec::new();
        for stream in listener.incoming().flatten() {
            match is_silent {
                true => held.push(stream),
                false => answer(stream, persons),
            }
        }
    });
}

fn answer(mut stream: UnixStream, persons: &[(&str, &str)]) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|len| len == 1) {
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let asked = head
        .strip_prefix("GET /localapi/v0/whois?addr=")
        .filter(|_| head.contains("\r\nHost: local-tailscaled.sock\r\n"))
        .and_then(|rest| rest.split(' ').next());
    let person = persons.iter().find(|(ip, _)| Some(*ip) == asked);
    let answer = match person {
        None => "HTTP/1.0 404 Not Found\r\n\r\nno match for IP:port\n".to_owned(),
        Some((ip, login)) => format!(
            "HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n\
             {{\n\t\"Node\": {{\"ID\": 7, \"Name\": \"phone.tail1234.ts.net.\", \"Addresses\": [\"{ip}/32\"]}},\n\
             \t\"UserProfile\": {{\"ID\": 9, \"LoginName\": \"{login}\", \"DisplayName\": \"Me\"}},\n\
             \t\"CapMap\": null\n}}"
        ),
    };
    // Who asked may be gone.
    let _ = stream.write_all(answer.as_bytes());
}
