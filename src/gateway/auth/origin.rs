//! Which pages may talk to the gateway: the rules for `Host`, `Origin` and `Sec-Fetch-Site`.
//!
//! A browser sends these headers for every page alike, so they tell our page from another's
//! whatever the page claims to be. A program that is no browser sends none.

use super::address::{Authority, Host};
use super::locality::{Headers, OneHeader, one};

/// `scheme://host:port` in one spelling: lower case, the default port written out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    scheme: String,
    host: Host,
    port: Option<u16>,
}

impl Origin {
    /// Reads one origin and nothing behind it. `null` is none.
    pub fn parse(text: &str) -> Option<Self> {
        let (scheme, authority) = text.split_once("://")?;
        let named = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.');
        if !scheme.starts_with(|c: char| c.is_ascii_alphabetic()) || !scheme.bytes().all(named) {
            return None;
        }
        Some(Self::new(
            scheme.to_ascii_lowercase(),
            Authority::parse(authority)?,
        ))
    }

    /// The gateway's own origin for a request that came over TLS or not.
    pub fn own(authority: &Authority, https: bool) -> Self {
        let scheme = if https { "https" } else { "http" };
        Self::new(scheme.to_owned(), authority.clone())
    }

    fn new(scheme: String, Authority { host, port }: Authority) -> Self {
        let default = match scheme.as_str() {
            "http" => Some(80),
            "https" => Some(443),
            _ => None,
        };
        let port = port.or(default);
        Self { scheme, host, port }
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}://{}", self.scheme, self.host)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

/// Where a request says it comes from, once that was found good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Provenance {
    /// No `Origin`: not a browser.
    Absent,
    /// The gateway's own page.
    Own(Origin),
    /// A page of `gateway.controlUi.allowedOrigins`.
    Listed(Origin),
}

impl Provenance {
    /// The page's origin, for counting guesses.
    pub fn origin(&self) -> Option<&Origin> {
        match self {
            Self::Absent => None,
            Self::Own(origin) | Self::Listed(origin) => Some(origin),
        }
    }

    /// Whether a local connection from there may be paired without asking.
    pub fn may_pair_silently(&self) -> bool {
        !matches!(self, Self::Listed(_))
    }
}

/// Why a request is refused with 403.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OriginError {
    /// `Host` is missing, doubled, malformed or a name that is not ours.
    Host,
    /// `Origin` is doubled, malformed, `null` or foreign.
    Origin,
    /// The browser says that another site made the request.
    CrossSite,
}

impl OriginError {
    /// What the peer is told.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Host => "host not allowed (add its origin to gateway.controlUi.allowedOrigins)",
            Self::Origin => "origin not allowed (add it to gateway.controlUi.allowedOrigins)",
            Self::CrossSite => "cross-site request refused",
        }
    }
}

/// The names and pages that the configuration allows beside the built-in ones.
#[derive(Clone, Debug, Default)]
pub struct Allowed {
    hosts: Vec<Host>,
    origins: Vec<Origin>,
}

impl Allowed {
    /// Reads host names, such as the machine's own tailnet name, and exact origins.
    /// The entry that cannot be read is the error; there is no wildcard.
    pub fn new<'a>(
        hosts: impl IntoIterator<Item = &'a str>,
        origins: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, String> {
        let host = |text: &str| match Authority::parse(text) {
            Some(Authority { host, port: None }) => Ok(host),
            _ => Err(format!("'{text}' is not a host name")),
        };
        let origin = |text: &str| {
            let bare = text.strip_suffix('/').unwrap_or(text);
            Origin::parse(bare).ok_or_else(|| format!("'{text}' is not an origin"))
        };
        let hosts = hosts.into_iter().map(host).collect::<Result<_, _>>()?;
        let origins = origins.into_iter().map(origin).collect::<Result<_, _>>()?;
        Ok(Self { hosts, origins })
    }

    /// The `Host` of a request. An IP literal cannot be rebound to another address, and
    /// `localhost` is nobody's name, so both are always allowed.
    pub fn host<'a>(&self, headers: impl Headers<'a>) -> Result<Authority, OriginError> {
        let OneHeader::Text(text) = one(headers, "host") else {
            return Err(OriginError::Host);
        };
        let authority = Authority::parse(text).ok_or(OriginError::Host)?;
        let good = matches!(authority.host, Host::Ip(_)) || authority.host.is_loopback();
        if good || self.names(&authority.host) {
            Ok(authority)
        } else {
            Err(OriginError::Host)
        }
    }

    /// The `Origin` of a request to `own`: absent, exactly `own`, or listed.
    pub fn origin<'a>(
        &self,
        headers: impl Headers<'a>,
        own: &Origin,
    ) -> Result<Provenance, OriginError> {
        match one(headers, "origin") {
            OneHeader::Absent => Ok(Provenance::Absent),
            OneHeader::Text(text) => self.place(text, own),
            OneHeader::Bad => Err(OriginError::Origin),
        }
    }

    /// For a request that changes something: nothing that says it comes from another site
    /// passes, whatever it authenticates with.
    pub fn mutation<'a>(
        &self,
        headers: impl Headers<'a>,
        own: &Origin,
    ) -> Result<Provenance, OriginError> {
        match one(headers.clone(), "sec-fetch-site") {
            OneHeader::Absent | OneHeader::Text("same-origin" | "same-site" | "none") => {}
            _ => return Err(OriginError::CrossSite),
        }
        match one(headers.clone(), "referer") {
            OneHeader::Absent => {}
            OneHeader::Text(url) => drop(self.place(origin_part(url), own)?),
            OneHeader::Bad => return Err(OriginError::Origin),
        }
        self.origin(headers, own)
    }

    /// Whether the configuration names `host`: itself, or as the host of a page it allows.
    fn names(&self, host: &Host) -> bool {
        let is_page = |origin: &&Origin| matches!(origin.scheme.as_str(), "http" | "https");
        let mut pages = self.origins.iter().filter(is_page);
        self.hosts.contains(host) || pages.any(|page| page.host == *host)
    }

    fn place(&self, text: &str, own: &Origin) -> Result<Provenance, OriginError> {
        let origin = Origin::parse(text).ok_or(OriginError::Origin)?;
        if origin == *own {
            Ok(Provenance::Own(origin))
        } else if self.origins.contains(&origin) {
            Ok(Provenance::Listed(origin))
        } else {
            Err(OriginError::Origin)
        }
    }
}

fn origin_part(url: &str) -> &str {
    let authority = url.find("://").map_or(url.len(), |at| at + 3);
    let end = url[authority..].find(['/', '?', '#']);
    end.map_or(url, |at| &url[..authority + at])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::auth::locality::pairs;

    const OWN: &str = "http://127.0.0.1:18789";

    fn allowed() -> Allowed {
        Allowed::new(
            ["gw.tailnet.example"],
            ["https://ui.example/", "app://local"],
        )
        .unwrap()
    }

    fn own() -> Origin {
        Origin::parse(OWN).unwrap()
    }

    #[test]
    fn literals_localhost_and_configured_names_are_hosts() {
        let texts = "127.0.0.1:18789 10.0.0.9 [fd00::1]:18789 localhost:1 LOCALHOST GW.tailnet.example \
            ui.example:18789";
        for text in texts.split_whitespace() {
            assert!(allowed().host(pairs(&[("Host", text)])).is_ok(), "{text}");
        }
    }

    #[test]
    fn a_rebound_name_is_no_host() {
        let texts = "evil.com evil.com:18789 127.evil.com localhost.evil.com tailnet.example 2130706433 \
            x.gw.tailnet.example localhost. user@127.0.0.1 local evil.ui.example";
        for text in texts.split_whitespace() {
            let refused = allowed().host(pairs(&[("Host", text)]));
            assert_eq!(refused, Err(OriginError::Host), "{text}");
        }
        assert_eq!(allowed().host(pairs(&[])), Err(OriginError::Host));
        let two = [("Host", "127.0.0.1"), ("host", "127.0.0.1")];
        assert_eq!(allowed().host(pairs(&two)), Err(OriginError::Host));
    }

    #[test]
    fn an_origin_is_absent_own_or_listed() {
        let place = |headers: &[(&str, &str)]| allowed().origin(pairs(headers), &own()).unwrap();
        assert_eq!(place(&[]), Provenance::Absent);
        assert_eq!(place(&[("Origin", OWN)]), Provenance::Own(own()));
        for listed in [
            "https://ui.example",
            "https://ui.example:443",
            "app://local",
        ] {
            let seen = place(&[("Origin", listed)]);
            assert!(matches!(seen, Provenance::Listed(_)), "{listed}");
            assert!(!seen.may_pair_silently());
        }
        assert!(place(&[]).may_pair_silently());
        assert!(place(&[("Origin", OWN)]).may_pair_silently());
    }

    #[test]
    fn every_other_origin_is_refused() {
        let foreign = "null|https://127.0.0.1:18789|http://127.0.0.1:18790|http://127.0.0.1|\
            http://localhost:18789|http://127.0.0.1:18789/|http://127.0.0.1:18789.evil.com|\
            http://evil.com|http://ui.example|https://ui.example:444|https://x.ui.example|*|\
            |http://|://127.0.0.1:18789|http://127.0.0.1:18789, http://127.0.0.1:18789|\
            http://user@127.0.0.1:18789|http://127.0.0.1:18789\u{e9}";
        for text in foreign.split('|') {
            let refused = allowed().origin(pairs(&[("Origin", text)]), &own());
            assert_eq!(refused, Err(OriginError::Origin), "{text:?}");
        }
        let two = [("Origin", OWN), ("origin", OWN)];
        assert_eq!(
            allowed().origin(pairs(&two), &own()),
            Err(OriginError::Origin)
        );
    }

    #[test]
    fn the_own_origin_follows_host_and_tls() {
        let own = |host, https| Origin::own(&Authority::parse(host).unwrap(), https).to_string();
        assert_eq!(own("[::1]:18789", false), "http://[::1]:18789");
        assert_eq!(own("Gw.example", true), "https://gw.example:443");
        assert_eq!(own("gw.example:80", false), own("gw.example", false));
    }

    #[test]
    fn the_configuration_has_no_wildcard() {
        for bad in [
            "*",
            "null",
            "ui.example",
            "https://",
            "https://*.example",
            "https://a/b",
        ] {
            assert!(Allowed::new([], [bad]).is_err(), "{bad}");
        }
        for bad in ["*", "a:80", "", "http://a"] {
            assert!(Allowed::new([bad], []).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_change_asked_for_by_another_site_is_refused() {
        let ask = |headers: &[(&str, &str)]| allowed().mutation(pairs(headers), &own());
        assert!(ask(&[]).is_ok());
        assert!(ask(&[("Sec-Fetch-Site", "same-origin"), ("Origin", OWN)]).is_ok());
        assert!(ask(&[("Sec-Fetch-Site", "none")]).is_ok());
        assert!(ask(&[("Referer", "http://127.0.0.1:18789/chat?x#y")]).is_ok());
        for site in ["cross-site", "Cross-Site", "", "same-origin, cross-site"] {
            for origin in [OWN, "https://ui.example"] {
                let refused = ask(&[("Sec-Fetch-Site", site), ("Origin", origin)]);
                assert_eq!(refused, Err(OriginError::CrossSite), "{site}");
            }
        }
        let foreign = [
            "http://evil.com/127.0.0.1:18789",
            "about:blank",
            "http://127.0.0.1:1878/9",
            "",
        ];
        for url in foreign {
            assert_eq!(ask(&[("Referer", url)]), Err(OriginError::Origin), "{url}");
            let with_own = ask(&[("Referer", url), ("Origin", OWN)]);
            assert_eq!(with_own, Err(OriginError::Origin), "{url}");
        }
        assert_eq!(
            ask(&[("Origin", "http://evil.com")]),
            Err(OriginError::Origin)
        );
        let two = [("Sec-Fetch-Site", "none"), ("Sec-Fetch-Site", "none")];
        assert_eq!(ask(&two), Err(OriginError::CrossSite));
    }
}
