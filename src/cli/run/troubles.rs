//! What does not work though the gateway answers: settings that name what is not there, channels
//! that have stopped, servers of tools that are down. `status` and `doctor` say it.

use std::path::Path;

use serde_json::{Value, json};

use super::super::exit::Outcome;
use super::super::out::{Out, Paint};
use super::super::setup::{Destination, Setup};
use super::super::text::printable;
use super::{list, next_start, text};
use crate::agent::Api;
use crate::client::secret::Target;
use crate::config::paths::expand_home;
use crate::config::{Config, DmPolicy};
use crate::io::server::trial::About;

/// The provider that needs no configuration.
const BUILTIN: &str = "builtin";

/// One thing that does not work.
#[derive(Debug, PartialEq, Eq)]
pub struct Trouble {
    pub name: &'static str,
    pub message: String,
    /// The command that mends it.
    pub mend: String,
}

impl Trouble {
    fn new(name: &'static str, message: impl Into<String>, mend: impl Into<String>) -> Self {
        Self {
            name,
            message: message.into(),
            mend: mend.into(),
        }
    }

    pub fn to_json(&self) -> Value {
        json!({"name": self.name, "message": self.message, "mend": self.mend})
    }

    pub fn print(&self, out: &mut Out) -> Outcome {
        out.field(self.name, Paint::Bad, &printable(&self.message))?;
        let mend = format!("try {}", out.hinted(&self.mend));
        Ok(out.field("", Paint::Dim, &mend)?)
    }
}

/// Of the settings of this machine's own gateway.
pub fn of_settings(setup: &Setup, config: &Config) -> Vec<Trouble> {
    let mut found = of_files(config);
    // What the file is at fault for is told where it is read, and who has the port of a gateway that does not run where
    // that is looked for.
    let refused = next_start::refused(setup, setup.lock_holder().is_some());
    let refused = refused.filter(|it| it.about != About::Settings);
    found.extend(refused.map(|it| {
        let text = format!("the next start would fail: {}", it.text.replace('\n', "; "));
        Trouble::new(it.name(), text, it.mend)
    }));
    found
}

fn of_files(config: &Config) -> Vec<Trouble> {
    let mut found = models(config);
    found.extend(page(config));
    found.extend(config.channels.misspelt().map(misspelt));
    found.extend(deaf(config));
    found
}

/// TLS as the gateway serves it, and as it will at its next start.
pub fn of_tls(config: &Config, status: &Value) -> Option<Trouble> {
    let serves = status["listen"]["tls"].as_bool()?;
    let word = |on| if on { "on" } else { "off" };
    (serves != config.gateway.tls.enabled).then(|| {
        let (now, then) = (word(serves), word(!serves));
        let text = format!("it is {now} until the gateway starts again, and {then} from then on");
        Trouble::new("tls", text, "clawdia gateway restart")
    })
}

/// What keeps the gateway from taking its configuration file over, as it says itself (`config.get`); the file is on the
/// machine on which that gateway runs.
pub fn of_config(shown: &Value, to: &Destination) -> Vec<Trouble> {
    let validate = "clawdia config validate";
    let mend = match (to.target, &to.way) {
        (Target::Own, _) => validate.to_owned(),
        (_, Some((login, _))) => format!("ssh {} {validate}", login.target),
        (_, None) if to.url.is_loopback() => {
            format!("ssh HOST {validate}   # where the gateway runs")
        }
        (_, None) => format!("ssh {} {validate}", to.url.host),
    };
    let issue = |issue: &Value| {
        let (path, what) = (text(issue, "path"), text(issue, "message"));
        let text = format!("the gateway goes on with an earlier one: {path} {what}");
        Trouble::new("configuration", text, &*mend)
    };
    list(shown, "issues").iter().map(issue).collect()
}

/// Models whose provider nobody configured, and those that their provider does not list.
pub fn models(config: &Config) -> Vec<Trouble> {
    let mut named: Vec<&str> = Vec::new();
    for agent in config.agents.ids() {
        let model = config.agents.model_of(agent).into_iter();
        named.extend(model.flat_map(|model| {
            let fallbacks = model.fallbacks.iter().map(String::as_str);
            model.primary.as_deref().into_iter().chain(fallbacks)
        }));
    }
    named.sort_unstable();
    named.dedup();
    let wrong = |named: &str| {
        let list = "clawdia models";
        let Some((name, id)) = named.trim().split_once('/') else {
            let text = format!("the model {named:?} has no provider: write provider/model");
            return Some(Trouble::new("model", text, list));
        };
        let provider = config.models.providers.get(name);
        let api = provider.and_then(|it| it.api.as_deref());
        if let Some(api) = api.filter(|api| Api::parse(api).is_none()) {
            let text =
                format!("{name} speaks {api}, which is not spoken here: {named} does not answer");
            let served = Api::ALL[0].as_str();
            let mend = format!("clawdia config set models.providers.{name}.api {served}");
            return Some(Trouble::new("model", text, mend));
        }
        match provider {
            None if name == BUILTIN => None,
            None => Some(Trouble::new(
                "model",
                format!(
                    "there is no provider {name}, which {named} needs: no answer comes from it"
                ),
                format!("clawdia config set models.providers.{name} '{{baseUrl: \"…\"}}'"),
            )),
            Some(provider) => {
                let is_listed = provider.models.iter().any(|model| model.id == id);
                (!is_listed && !provider.models.is_empty()).then(|| {
                    let text = format!("{name} lists its models, and {id} is none of them");
                    Trouble::new("model", text, list)
                })
            }
        }
    };
    named.into_iter().filter_map(wrong).collect()
}

fn misspelt((key, meant): (&str, &str)) -> Trouble {
    let text =
        format!("channels.{key} is not a known channel, and not used: did you mean {meant}?");
    let mend = format!("clawdia config unset channels.{key}   # and write channels.{meant}");
    Trouble::new("channel", text, mend)
}

/// Accounts that are open, and to nobody.
fn deaf(config: &Config) -> Vec<Trouble> {
    let mut found = Vec::new();
    for name in config.channels.enabled() {
        for account in config.channels.accounts(name).into_iter().flatten() {
            let is_deaf = account.dm_policy == DmPolicy::Open && account.allow_from.is_empty();
            if account.is_on() && is_deaf {
                let place = account.place();
                let text = format!("{place}.dmPolicy is \"open\" and allowFrom names nobody");
                let mend = format!("clawdia config set {place}.allowFrom '[\"*\"]'");
                found.push(Trouble::new("channel", text, mend));
            }
        }
    }
    found
}

fn page(config: &Config) -> Option<Trouble> {
    let page = &config.gateway.control_ui;
    let root = page.root.as_deref().filter(|_| page.enabled)?;
    let path = expand_home(root, std::env::home_dir().as_deref());
    let fault = match Path::new(&path).join("index.html").metadata() {
        Ok(meta) if meta.is_file() => return None,
        Ok(_) => "index.html is no file".to_owned(),
        Err(error) => error.to_string(),
    };
    Some(Trouble::new(
        "page",
        format!("gateway.controlUi.root has no page: {root}/index.html: {fault}"),
        "clawdia config unset gateway.controlUi.root   # or name the folder with its index.html",
    ))
}

/// Channels that are configured and do not run, as `health` tells of them.
pub fn of_channels(health: &Value) -> Vec<Trouble> {
    let channels = health["channels"].as_object().into_iter().flatten();
    let wrong = |(name, channel): (&String, &Value)| {
        let is_meant = channel["configured"] == true && channel["enabled"] != false;
        let error = match text(&channel["probe"], "error") {
            "" => text(channel, "lastError"),
            error => error,
        };
        let is_dead = channel["running"] == false || !error.is_empty();
        (is_meant && is_dead).then(|| {
            let why = match error {
                "" => "it does not run",
                error => error,
            };
            Trouble::new(
                "channel",
                format!("{name}: {why}"),
                "clawdia channels status --probe",
            )
        })
    };
    channels.filter_map(wrong).collect()
}

/// Servers of tools that do not work, as `status` tells of them.
pub fn of_tools(status: &Value) -> Vec<Trouble> {
    let servers = list(status, "mcp").iter();
    let down = servers.filter(|server| server["state"] == "down");
    down.map(|server| {
        let name = text(server, "name");
        let mend =
            format!("clawdia mcp list   # or: clawdia config set mcp.servers.{name}.enabled false");
        Trouble::new("mcp", format!("{name}: {}", text(server, "fault")), mend)
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::GatewayUrl;
    use crate::client::secret::Secrets;

    fn names(config: Value) -> Vec<String> {
        let config: Config = serde_json::from_value(config).unwrap();
        let found = of_files(&config).into_iter();
        found
            .map(|it| format!("{}: {}", it.name, it.message))
            .collect()
    }

    #[track_caller]
    fn finds(config: Value, expected: &str) {
        let found = names(config);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with(expected), "{found:?}");
    }

    #[test]
    fn a_protocol_that_is_not_spoken_is_told() {
        let config = |api: &str| {
            json!({"agents": {"defaults": {"model": "g/m"}},
                "models": {"providers": {"g": {"baseUrl": "http://h", "api": api}}}})
        };
        finds(
            config("google-generative-ai"),
            "model: g speaks google-generative-ai",
        );
        assert_eq!(names(config("anthropic-messages")), [""; 0]);
    }

    #[test]
    fn a_channel_that_is_open_to_nobody_is_told() {
        let config = |allowed: Value| json!({"channels": {"telegram": {"botToken": "1:x", "dmPolicy": "open", "allowFrom": allowed}}});
        finds(config(json!([])), "channel: channels.telegram.dmPolicy");
        assert_eq!(names(config(json!(["*"]))), [""; 0]);
    }

    #[test]
    fn a_channel_that_is_misspelt_is_told() {
        let of = |name: &str| names(json!({"channels": {name: {"botToken": "1:x"}}}));
        let told = of("telegran").remove(0);
        assert!(told.ends_with("did you mean telegram?"), "{told}");
        assert_eq!(of("telegram"), [""; 0]);
    }

    #[test]
    fn tls_that_waits_for_the_next_start_is_told() {
        let told = |on: bool, serves: Value| {
            let config = json!({"gateway": {"tls": {"enabled": on}}});
            let config: Config = serde_json::from_value(config).unwrap();
            of_tls(&config, &json!({"listen": {"tls": serves}})).map(|it| it.message)
        };
        assert_eq!(told(true, json!(true)), None);
        assert_eq!(
            told(true, Value::Null),
            None,
            "an older gateway does not say"
        );
        assert!(
            told(true, json!(false))
                .unwrap()
                .starts_with("it is off until")
        );
        assert!(
            told(false, json!(true))
                .unwrap()
                .starts_with("it is on until")
        );
    }

    #[test]
    fn settings_that_name_what_is_not_there_are_found() {
        assert_eq!(names(json!({})), [""; 0]);
        let model = |model: Value| {
            json!({"agents": {"defaults": {"model": model}},
            "models": {"providers": {"local": {"models": [{"id": "qwen3"}]}, "open": {}}}})
        };
        for good in ["builtin/clawdia", "local/qwen3", "open/any"] {
            assert_eq!(names(model(json!({"primary": good}))), [""; 0], "{good}");
        }
        finds(
            model(json!({"primary": "acme/x"})),
            "model: there is no provider acme",
        );
        finds(
            model(json!({"primary": "local/other"})),
            "model: local lists its models",
        );
        finds(
            model(json!({"fallbacks": ["acme/y"]})),
            "model: there is no provider acme",
        );
        let page = json!({"gateway": {"controlUi": {"root": "/no/such/folder"}}});
        finds(page, "page: gateway.controlUi.root has no page");
    }

    #[test]
    fn a_channel_that_does_not_run_is_found() {
        let of = |channel: Value| of_channels(&json!({"channels": {"telegram": channel}}));
        assert_eq!(of(json!({"configured": true, "running": true})), []);
        assert_eq!(of(json!({"configured": false, "running": false})), []);
        assert_eq!(
            of(json!({"configured": true, "enabled": false, "running": false})),
            []
        );
        let dead =
            of(json!({"configured": true, "running": true, "lastError": "401: Unauthorized"}));
        assert_eq!(dead[0].message, "telegram: 401: Unauthorized");
        let dead = of(json!({"configured": true, "running": false}));
        assert_eq!(dead[0].message, "telegram: it does not run");
    }

    #[test]
    fn what_the_gateway_says_of_its_file_is_mended_where_it_runs() {
        let shown = json!({"issues": [{"path": "gateway.port", "message": "is 0"}]});
        let mend = |target: Target, url: &str| {
            let to = Destination {
                url: GatewayUrl::parse(url).unwrap(),
                target,
                secrets: Secrets::default(),
                pin: None,
                may_ask_pin: false,
                gateway: None,
                way: None,
            };
            of_config(&shown, &to).remove(0).mend
        };
        let validate = "clawdia config validate";
        assert_eq!(mend(Target::Own, "ws://127.0.0.1:1"), validate);
        let far = mend(Target::Remote, "wss://gw.example");
        assert_eq!(far, format!("ssh gw.example {validate}"));
        let by_hand = mend(Target::Other, "ws://127.0.0.1:1");
        assert!(by_hand.starts_with("ssh HOST "), "{by_hand}");
    }
}
