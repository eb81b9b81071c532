//! `clawdia dashboard`

use std::process::{Command, Stdio};

use serde_json::json;

use super::super::exit::Outcome;
use super::super::out::Out;
use super::super::setup::{Destination, Setup, variable};
use super::running;
use crate::client::secret::Target;

/// Prints the page's address, and opens it where there is a display.
pub fn run(no_open: bool, setup: &Setup, out: &mut Out) -> Outcome {
    let config = setup.config_for(&["gateway.auth", "gateway.controlUi"])?;
    let to = setup.destination()?;
    if to.target == Target::Own
        && let Some(secret) = to.secrets.token.as_ref().or(to.secrets.password.as_ref())
    {
        running::warn_refused(setup, &secret.value);
    }
    let address = address(&to, &config.gateway.control_ui.base_path);
    let opened = !no_open && has_display() && open(&address);
    if out.wants_json() {
        out.json(&json!({"url": address, "opened": opened}))?;
        return Ok(());
    }
    out.line(&address)?;
    if to.secrets.is_empty() {
        let hint = "No token is known for this gateway: the page will ask for it.";
        out.hint(hint)?;
    } else if config.gateway.control_ui.root.is_some() {
        // Pages of the ecosystem from before March 2026 look into the query alone.
        out.hint("An older page may still ask for the token: clawdia token prints it.")?;
    }
    Ok(())
}

/// The secret stands in the fragment, which a browser sends to nobody and no proxy writes down.
fn address(to: &Destination, base_path: &str) -> String {
    let scheme = if to.url.secure { "https" } else { "http" };
    let base = base_path.trim_matches('/');
    let slash = if base.is_empty() { "" } else { "/" };
    let mut address = format!("{scheme}://{}/{base}{slash}", to.url.authority());
    let named = [
        ("token", &to.secrets.token),
        ("password", &to.secrets.password),
    ];
    if let Some((name, secret)) = named.iter().find_map(|(n, s)| Some((n, s.as_ref()?))) {
        address.push_str(&format!("#{name}={}", percent(&secret.value)));
    }
    address
}

/// RFC 3986 2.3: everything but unreserved characters as %XX.
fn percent(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte));
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

fn has_display() -> bool {
    ["DISPLAY", "WAYLAND_DISPLAY"]
        .iter()
        .any(|name| variable(name).is_some_and(|v| !v.is_empty()))
}

/// Whether a browser was asked to open `address`.
fn open(address: &str) -> bool {
    Command::new("xdg-open")
        .arg(address)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_written_so_that_nothing_of_it_ends_the_address() {
        assert_eq!(percent("a-Z_0.~"), "a-Z_0.~");
        assert_eq!(percent("a&b=ä #"), "a%26b%3D%C3%A4%20%23");
    }
}
