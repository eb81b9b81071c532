//! What a node may be asked to do: declared by it ∩ approved when it was paired ∩ the list of
//! its platform, with what the configuration adds and takes away.

use crate::config::NodesConfig;
use crate::config::checks::{
    MESSAGE_COMMANDS as MESSAGES, SCREEN_COMMANDS as SCREENED, SYSTEM_COMMANDS as SYSTEM,
};
use crate::state::{ClientFacts, Device, Text};

/// The platforms that have a list of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Platform {
    Ios,
    Android,
    Macos,
    Linux,
    Windows,
    /// Any other: nothing but what the configuration allows.
    Unknown,
}

/// What starts commands that have methods of their own and a scope of their own.
const APPROVALS: &str = "system.execApprovals.";

impl Platform {
    /// By the words of a client's `platform` and `deviceFamily`, such as "iOS 18.1" and "iPhone".
    pub fn of(platform: Option<&str>, device_family: Option<&str>) -> Self {
        let starts = |text: &str, word: &str| {
            let start = text.as_bytes().get(..word.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(word.as_bytes()))
        };
        let platform = platform.unwrap_or("").trim_start();
        for (word, found) in [
            ("ios", Self::Ios),
            ("ipados", Self::Ios),
            ("android", Self::Android),
            ("mac", Self::Macos),
            ("darwin", Self::Macos),
            ("win", Self::Windows),
            ("linux", Self::Linux),
        ] {
            if starts(platform, word) {
                return found;
            }
        }
        if !platform.is_empty() {
            return Self::Unknown;
        }
        let family = device_family.unwrap_or("").trim_start();
        for (word, found) in [
            ("iphone", Self::Ios),
            ("ipad", Self::Ios),
            ("android", Self::Android),
            ("mac", Self::Macos),
            ("windows", Self::Windows),
            ("linux", Self::Linux),
        ] {
            if starts(family, word) {
                return found;
            }
        }
        Self::Unknown
    }

    /// The platform that a pairing was approved with.
    pub fn of_client(client: &ClientFacts) -> Self {
        Self::of(client.platform.as_deref(), client.device_family.as_deref())
    }

    const fn lists(self) -> &'static [&'static [&'static str]] {
        match self {
            Self::Ios => &[SCREENED],
            Self::Android => &[SCREENED, MESSAGES],
            Self::Macos => &[SCREENED, SYSTEM],
            Self::Linux | Self::Windows => &[SYSTEM],
            Self::Unknown => &[],
        }
    }
}

/// Who asks a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asker {
    /// A client, by `node.invoke`.
    Client,
    /// The gateway itself, which checked who wants it.
    Gateway,
}

/// Finds the command among those that the node declares, if it may be asked for it.
///
/// # Errors
///
/// The reason, as `details.reason` tells it.
pub fn allowed(
    command: &str,
    asker: Asker,
    declared: &[Text],
    paired: &Device,
    config: &NodesConfig,
) -> Result<Text, &'static str> {
    if asker == Asker::Client && command.starts_with(APPROVALS) {
        return Err("only through exec.approvals.node.get and exec.approvals.node.set");
    }
    let lists = Platform::of_client(&paired.client).lists();
    let by_platform = lists.iter().copied().flatten();
    let is_listed = by_platform.copied().any(|it| matches(it, command))
        || config.allow_commands.iter().any(|it| matches(it, command));
    if !is_listed || config.deny_commands.iter().any(|it| matches(it, command)) {
        return Err("command not allowlisted");
    }
    let Some(found) = declared.iter().find(|it| ***it == *command) else {
        return Err(match declared {
            [] => "node did not declare commands",
            _ => "command not declared by node",
        });
    };
    if !paired.commands.contains(found) {
        return Err("command not approved when the node was paired");
    }
    Ok(found.clone())
}

/// Whether somebody who wrote `wanted` means this node: its id, the start of it, or its name
/// without regard to case and punctuation.
pub fn matches_name(wanted: &str, node_id: &str, name: Option<&str>) -> bool {
    const START_BYTES_MIN: usize = 6;
    let bare = |text: &str| -> String {
        let letters = text.chars().filter(|it| it.is_alphanumeric());
        letters.flat_map(char::to_lowercase).collect()
    };
    node_id == wanted
        || wanted.len() >= START_BYTES_MIN && node_id.starts_with(wanted)
        || name.is_some_and(|name| !bare(name).is_empty() && bare(name) == bare(wanted))
}

fn matches(pattern: &str, command: &str) -> bool {
    let pattern = pattern.trim();
    match pattern.strip_suffix('*') {
        Some(start) => command.starts_with(start),
        None => pattern == command,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::no_texts;

    fn device(platform: &str, commands: &[&str]) -> Device {
        Device {
            device_id: "id".into(),
            public_key: "key".into(),
            client: ClientFacts {
                platform: Some(platform.into()),
                ..ClientFacts::default()
            },
            name: None,
            grants: Vec::new(),
            caps: no_texts(),
            commands: commands.iter().map(|it| Text::from(*it)).collect(),
            created_at_ms: 0,
            approved_at_ms: 0,
            last_seen_ms: 0,
        }
    }

    fn ask(device: &Device, command: &str, config: &NodesConfig) -> Result<Text, &'static str> {
        allowed(command, Asker::Client, &device.commands, device, config)
    }

    #[test]
    fn platforms_are_known_by_their_first_word() {
        for (platform, family, expected) in [
            ("iOS 18.1", "", Platform::Ios),
            ("darwin", "", Platform::Macos),
            ("macOS 15", "iPhone", Platform::Macos),
            ("Linux x86_64", "", Platform::Linux),
            ("win32", "", Platform::Windows),
            ("Android 15", "", Platform::Android),
            ("", "iPad", Platform::Ios),
            ("freebsd", "", Platform::Unknown),
            ("x", "linux", Platform::Unknown),
            ("", "", Platform::Unknown),
        ] {
            let found = Platform::of(Some(platform), Some(family));
            assert_eq!(found, expected, "{platform} {family}");
        }
        assert_eq!(Platform::of(None, None), Platform::Unknown);
    }

    #[test]
    fn a_command_needs_all_four() {
        let none = NodesConfig::default();
        let linux = device("linux", &["system.run", "camera.snap"]);
        assert_eq!(
            ask(&linux, "system.run", &none).as_deref(),
            Ok("system.run")
        );
        assert_eq!(
            ask(&linux, "camera.snap", &none),
            Err("command not allowlisted")
        );
        assert_eq!(
            ask(&linux, "system.which", &none),
            Err("command not declared by node")
        );
        assert_eq!(
            ask(&device("linux", &[]), "system.run", &none),
            Err("node did not declare commands")
        );
        let more = [Text::from("system.run"), Text::from("system.which")];
        assert_eq!(
            allowed("system.which", Asker::Gateway, &more, &linux, &none),
            Err("command not approved when the node was paired")
        );
        assert_eq!(
            ask(&device("x", &["system.run"]), "system.run", &none),
            Err("command not allowlisted")
        );
    }

    #[test]
    fn the_configuration_adds_and_takes_away_and_taking_away_wins() {
        let phone = device("iOS", &["canvas.eval", "torch.on", "torch.off"]);
        let config = NodesConfig {
            allow_commands: vec!["torch.*".into()],
            deny_commands: vec![" torch.off".into(), "canvas.*".into()],
            ..NodesConfig::default()
        };
        assert!(ask(&phone, "canvas.eval", &NodesConfig::default()).is_ok());
        assert!(ask(&phone, "torch.on", &config).is_ok());
        for command in ["torch.off", "canvas.eval"] {
            assert_eq!(
                ask(&phone, command, &config),
                Err("command not allowlisted")
            );
        }
    }

    #[test]
    fn what_may_be_executed_is_never_asked_by_a_client() {
        let commands = ["system.execApprovals.get", "system.execApprovals.set"];
        let linux = device("linux", &commands);
        let config = NodesConfig {
            allow_commands: vec!["system.*".into()],
            ..NodesConfig::default()
        };
        for command in commands {
            let ask = |asker| allowed(command, asker, &linux.commands, &linux, &config);
            assert!(ask(Asker::Client).is_err());
            assert!(ask(Asker::Gateway).is_ok());
        }
    }
}
