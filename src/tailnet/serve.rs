//! Our route: `https://NAME/` of this machine, led to the gateway on loopback by `tailscale serve`
//! or `funnel`. Only this one path of this one port is ever set or taken away, and only where
//! that changes nothing for anybody else.

use serde_json::Value;

/// The port of `https://`.
const PORT: &str = "443";
const PATH: &str = "/";

/// What the gateway wants to be reached by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// This machine's MagicDNS name.
    pub name: String,
    /// Where the gateway listens, such as `http://127.0.0.1:18789`.
    pub target: String,
    /// Open to the whole internet, not to the tailnet alone.
    pub funnel: bool,
}

/// What Tailscale has at our place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nothing, and nothing in the way.
    Absent,
    /// Our route as we want it.
    Ours,
    /// Our route, open to more or fewer than we want.
    OpenOtherwise,
    /// Something of somebody else's, which stays.
    Foreign(String),
}

impl Route {
    /// The address for people.
    pub fn url(&self) -> String {
        format!("https://{}/", self.name)
    }

    /// Reads what `tailscale serve status --json` printed (ipn.ServeConfig).
    ///
    /// # Errors
    ///
    /// When it is no JSON.
    pub fn standing(&self, config: &str) -> Result<Standing, String> {
        let config: Value = serde_json::from_str(config)
            .map_err(|_| "`tailscale serve status --json` printed no JSON".to_owned())?;
        let place = format!("{}:{PORT}", self.name);
        let tcp = &config["TCP"][PORT];
        if tcp.is_object() && tcp["HTTPS"] != true {
            return Ok(self.foreign("port 443 is used for something else"));
        }
        let in_terminals = config["Foreground"].as_object().into_iter().flatten();
        for (_, session) in in_terminals {
            if !session["TCP"][PORT].is_null() || !session["Web"][&place].is_null() {
                return Ok(self.foreign("a `tailscale serve` in some terminal has port 443"));
            }
        }
        let none = serde_json::Map::new();
        let handlers = &config["Web"][&place]["Handlers"];
        let handlers = handlers.as_object().unwrap_or(&none);
        let own = handlers.get(PATH);
        if own.is_some_and(|own| own["Proxy"] != *self.target) {
            return Ok(self.foreign("the path / serves something else"));
        }
        let is_funnel = config["AllowFunnel"][&place] == true;
        let is_shared = handlers.len() > usize::from(own.is_some());
        Ok(match (own.is_some(), is_funnel == self.funnel) {
            // A funnel is a property of the port: whoever turns it, turns it for all paths.
            (_, false) if is_shared => self.foreign(match self.funnel {
                true => "other paths of port 443 are there, which a funnel would open to all",
                false => "port 443 is open to the internet by a funnel for other paths",
            }),
            (true, true) => Standing::Ours,
            (true, false) => Standing::OpenOtherwise,
            (false, _) => Standing::Absent,
        })
    }

    fn foreign(&self, what: &str) -> Standing {
        Standing::Foreign(format!(
            "not published: {what} (see: tailscale serve status; take it away, or set \
             gateway.tailscale.mode to \"off\")"
        ))
    }

    /// The words for `tailscale` that set the route.
    pub fn publish(&self) -> Vec<String> {
        let command = if self.funnel { "funnel" } else { "serve" };
        let mut words = vec![command.to_owned(), "--bg".to_owned()];
        words.extend(place());
        words.push(self.target.clone());
        words
    }

    /// The words for `tailscale` that take exactly this route away.
    pub fn withdraw(&self) -> Vec<String> {
        let mut words = vec!["serve".to_owned()];
        words.extend(place());
        words.push("off".to_owned());
        words
    }
}

/// `--yes`, since a question would find nobody; the path is named, since without it `off` means
/// every path of the port.
fn place() -> [String; 3] {
    [
        "--yes".to_owned(),
        format!("--https={PORT}"),
        format!("--set-path={PATH}"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: &str = "http://127.0.0.1:18789";

    fn route(funnel: bool) -> Route {
        Route {
            name: "home.tail1234.ts.net".into(),
            target: TARGET.into(),
            funnel,
        }
    }

    /// A configuration with these handlers on the port, and whether a funnel leads to it.
    fn config(handlers: &str, funnel: bool) -> String {
        format!(
            r#"{{"TCP":{{"443":{{"HTTPS":true}}}},
                "Web":{{"home.tail1234.ts.net:443":{{"Handlers":{{{handlers}}}}}}},
                "AllowFunnel":{{"home.tail1234.ts.net:443":{funnel}}}}}"#
        )
    }

    fn own() -> String {
        format!(r#""/":{{"Proxy":"{TARGET}"}}"#)
    }

    #[test]
    fn what_is_there_is_told_apart() {
        use Standing::{Absent, OpenOtherwise, Ours};
        let both = format!(r#"{},"/x":{{"Text":"hi"}}"#, own());
        for (config, serve, funnel) in [
            ("null".into(), Some(Absent), Some(Absent)),
            ("{}".into(), Some(Absent), Some(Absent)),
            (config(&own(), false), Some(Ours), Some(OpenOtherwise)),
            (config(&own(), true), Some(OpenOtherwise), Some(Ours)),
            // Others at the port stay as open as they are.
            (config(&both, false), Some(Ours), None),
            (config(&both, true), None, Some(Ours)),
            (config(r#""/x":{"Text":"hi"}"#, false), Some(Absent), None),
            (config(r#""/x":{"Text":"hi"}"#, true), None, Some(Absent)),
            (
                config(r#""/":{"Proxy":"http://127.0.0.1:3000"}"#, false),
                None,
                None,
            ),
            (config(r#""/":{"Text":"hi"}"#, false), None, None),
            (
                r#"{"TCP":{"443":{"TCPForward":"127.0.0.1:22"}}}"#.into(),
                None,
                None,
            ),
            (
                r#"{"Foreground":{"a":{"TCP":{"443":{"HTTPS":true}}}}}"#.into(),
                None,
                None,
            ),
            // Another port and another machine's name are not our place.
            (
                r#"{"TCP":{"8443":{"TCPForward":"127.0.0.1:22"}}}"#.into(),
                Some(Absent),
                Some(Absent),
            ),
        ] {
            for (funnel, expected) in [(false, serve), (true, funnel)] {
                let found = route(funnel).standing(&config).unwrap();
                match expected {
                    Some(expected) => assert_eq!(found, expected, "{funnel} {config}"),
                    None => assert!(matches!(found, Standing::Foreign(_)), "{funnel} {config}"),
                }
            }
        }
        assert!(route(false).standing("No serve config").is_err());
    }

    #[test]
    fn only_our_path_of_our_port_is_named() {
        let words = |words: Vec<String>| words.join(" ");
        assert_eq!(
            words(route(false).publish()),
            format!("serve --bg --yes --https=443 --set-path=/ {TARGET}")
        );
        assert_eq!(
            words(route(true).publish()),
            format!("funnel --bg --yes --https=443 --set-path=/ {TARGET}")
        );
        for funnel in [false, true] {
            assert_eq!(
                words(route(funnel).withdraw()),
                "serve --yes --https=443 --set-path=/ off"
            );
        }
    }
}
