//! Pages of the public web as text. The address that was checked is the one that is connected to,
//! at every redirect again, so neither a name nor a page leads to this machine or its neighbours.

use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

use ureq::Agent;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};

use super::html;
use crate::agent::CancelToken;
use crate::agent::remote::tls_config;
use crate::limits::{MODEL_HEAD_BYTES_MAX, WEB_BYTES_MAX, WEB_MS, WEB_REDIRECTS_MAX};

/// Reads a page: its text, or why there is none.
///
/// # Errors
///
/// For the model: not an address of the public web, no answer, or nothing that is text.
pub fn fetch(url: &str, cancel: &CancelToken) -> Result<String, String> {
    fetch_from(url, cancel, is_public)
}

fn fetch_from(
    url: &str,
    cancel: &CancelToken,
    may_reach: fn(IpAddr) -> bool,
) -> Result<String, String> {
    let deadline = Instant::now() + Duration::from_millis(WEB_MS);
    let mut url = url.trim().to_owned();
    for _ in 0..=WEB_REDIRECTS_MAX {
        let uri = uri(&url)?;
        let agent = agent(uri.scheme_str() == Some("https"), deadline, may_reach);
        let cut = agent.clone();
        cancel.on_cancel(move || cut.shutdown());
        let answer = agent
            .get(&uri)
            .header(
                "accept",
                "text/html, text/plain, application/json;q=0.9, */*;q=0.1",
            )
            .call()
            .map_err(|error| format!("{url}: {error}"))?;
        let status = answer.status().as_u16();
        let header = |name: &str| answer.headers().get(name)?.to_str().ok();
        if let (301 | 302 | 303 | 307 | 308, Some(place)) = (status, header("location")) {
            url = joined(&uri, place)?;
            continue;
        }
        let media_type = header("content-type").unwrap_or("").to_ascii_lowercase();
        let text = body(answer.into_body(), &url)?;
        cancel.clear_hook();
        let text = match media_type.split(';').next().unwrap_or("").trim() {
            "text/html" | "application/xhtml+xml" => html::text(&text),
            kind if is_text(kind) => text,
            kind => return Err(format!("{url} is {kind}, which is no text")),
        };
        let head = match status {
            200..=299 => format!("{url}\n\n"),
            _ => format!("{url} answered {status}\n\n"),
        };
        return Ok(head + text.trim());
    }
    Err(format!("{url}: more than {WEB_REDIRECTS_MAX} redirects"))
}

fn uri(url: &str) -> Result<Uri, String> {
    let uri: Uri = url.parse().map_err(|_| format!("{url:?} is no address"))?;
    let is_web = matches!(uri.scheme_str(), Some("http" | "https"));
    let has_user = uri.authority().is_some_and(|it| it.as_str().contains('@'));
    match is_web && uri.host().is_some() && !has_user {
        true => Ok(uri),
        false => Err(format!(
            "{url:?}: give an address such as https://example.org/page"
        )),
    }
}

/// Where a redirect leads. RFC 9110 10.2.2: it may be relative.
fn joined(from: &Uri, place: &str) -> Result<String, String> {
    if place.starts_with("http://") || place.starts_with("https://") {
        return Ok(place.to_owned());
    }
    let (Some(scheme), Some(authority)) = (from.scheme_str(), from.authority()) else {
        return Err("a redirect leads nowhere".into());
    };
    if let Some(rest) = place.strip_prefix("//") {
        return Ok(format!("{scheme}://{rest}"));
    }
    let folder = match place.starts_with('/') {
        true => "",
        false => from
            .path()
            .rsplit_once('/')
            .map_or("/", |(folder, _)| folder),
    };
    let slash = if place.starts_with('/') { "" } else { "/" };
    Ok(format!("{scheme}://{authority}{folder}{slash}{place}"))
}

fn agent(is_tls: bool, deadline: Instant, may_reach: fn(IpAddr) -> bool) -> Agent {
    let left = deadline.saturating_duration_since(Instant::now());
    let mut config = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .max_response_header_size(MODEL_HEAD_BYTES_MAX)
        // A proxy would connect to whatever it likes.
        .proxy(None)
        .user_agent(concat!("clawdia/", env!("CARGO_PKG_VERSION")))
        .timeout_global(Some(left.max(Duration::from_millis(1))));
    if is_tls {
        config = config.tls_config(tls_config());
    }
    let resolver = Checked {
        inner: DefaultResolver::default(),
        may_reach,
    };
    Agent::with_parts(config.build(), DefaultConnector::default(), resolver)
}

/// Gives only addresses that may be reached: those that are connected to.
#[derive(Debug)]
struct Checked {
    inner: DefaultResolver,
    may_reach: fn(IpAddr) -> bool,
}

impl Resolver for Checked {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let found = self.inner.resolve(uri, config, timeout)?;
        let mut allowed = self.empty();
        for addr in found.iter().filter(|addr| (self.may_reach)(addr.ip())) {
            allowed.push(*addr);
        }
        match allowed.is_empty() {
            true => Err(std::io::Error::other(
                "it is on this machine or a private network, which pages are not read from",
            )
            .into()),
            false => Ok(allowed),
        }
    }
}

fn body(body: ureq::Body, url: &str) -> Result<String, String> {
    let mut bytes = Vec::new();
    body.into_reader()
        .take(WEB_BYTES_MAX)
        .read_to_end(&mut bytes)
        .map_err(|error| format!("{url} broke off: {error}"))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn is_text(kind: &str) -> bool {
    kind.is_empty()
        || kind.starts_with("text/")
        || kind.ends_with("json")
        || kind.ends_with("xml")
        || matches!(kind, "application/javascript" | "application/yaml")
}

/// Whether an address belongs to the public internet. IANA's registries of special-purpose
/// addresses (RFC 6890) say which do not.
pub fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let is_special = ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_documentation()
        || ip.is_multicast()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && (18..20).contains(&b));
    !is_special
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    if let Some(v4) = ip.to_ipv4_mapped() {
        return is_public_v4(v4);
    }
    let parts = ip.segments();
    let v4 = |high: u16, low: u16| {
        let [[a, b], [c, d]] = [high.to_be_bytes(), low.to_be_bytes()];
        Ipv4Addr::new(a, b, c, d)
    };
    match parts {
        // RFC 6052: an IPv4 address behind a translator.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => is_public_v4(v4(high, low)),
        // RFC 3056: an IPv4 address in front of a tunnel.
        [0x2002, high, low, ..] => is_public_v4(v4(high, low)),
        // Teredo, benchmarks and other protocols' own; documentation.
        [0x2001, 0..=0x1ff, ..] | [0x2001, 0xdb8, ..] | [0x3fff, ..] => false,
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
#[path = "web_tests.rs"]
mod tests;
