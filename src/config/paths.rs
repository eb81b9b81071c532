//! Where state and configuration live, and which port is meant.
//!
//! The state directory is `~/.clawdia` or `CLAWDIA_STATE_DIR`; a profile appends `-NAME` to
//! either, so two profiles never share a file. The configuration is `CLAWDIA_CONFIG_PATH`, else
//! `clawdia.json` in the state directory, else a `clawdbot.json` that is already there.

use super::fault::Fault;
use super::types::PORT_DEFAULT;
use std::path::{Path, PathBuf};

/// Reads one environment variable; an unset one is none.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The port of the profile `dev` without any setting, as in the ecosystem.
pub const DEV_PORT: u16 = 19_001;
/// Ports between two profiles, so that what a gateway derives from its port stays its own.
const PROFILE_PORT_STEP: u16 = 20;
/// Profiles' ports end below 32768, where systems begin to hand out ports of their own.
const PROFILE_PORTS: u64 = 650;
const PROFILE_NAME_BYTES_MAX: usize = 64;

/// Where one profile keeps its things.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// None for the unnamed profile.
    pub profile: Option<String>,
    pub state_dir: PathBuf,
    /// Tried in order; where none exists the first is meant.
    pub config_candidates: Vec<PathBuf>,
}

impl Paths {
    /// Finds the paths of the profile that flags and environment name.
    ///
    /// # Errors
    /// A profile name with characters that no file name should have, `--dev` together with
    /// another profile, or no home directory where one is needed.
    pub fn resolve(
        home: Option<&Path>,
        env: Lookup<'_>,
        profile: Option<&str>,
        dev: bool,
    ) -> Result<Self, Fault> {
        let profile = profile_name(env, profile, dev)?;
        let base = match set(env, "CLAWDIA_STATE_DIR") {
            Some(dir) => expand_home(&dir, home),
            None => home
                .ok_or_else(|| Fault::new("HOME", "is not set", "set HOME or CLAWDIA_STATE_DIR"))?
                .join(".clawdia"),
        };
        let state_dir = match &profile {
            None => base,
            Some(name) => {
                let mut dir = base.into_os_string();
                dir.push("-");
                dir.push(name);
                PathBuf::from(dir)
            }
        };
        let config_candidates = match set(env, "CLAWDIA_CONFIG_PATH") {
            Some(path) => vec![expand_home(&path, home)],
            None => vec![
                state_dir.join("clawdia.json"),
                state_dir.join("clawdbot.json"),
            ],
        };
        Ok(Self {
            profile,
            state_dir,
            config_candidates,
        })
    }

    /// The log file without a setting.
    pub fn log_file(&self) -> PathBuf {
        self.state_dir.join("logs").join("clawdia.log")
    }

    /// The port: `--port`, `CLAWDIA_GATEWAY_PORT`, `gateway.port`, the profile's own.
    ///
    /// # Errors
    /// When the environment variable is set to something that is no port.
    pub fn gateway_port(
        &self,
        flag: Option<u16>,
        env: Lookup<'_>,
        configured: Option<u16>,
    ) -> Result<u16, Fault> {
        if let Some(port) = flag {
            return Ok(port);
        }
        if let Some(text) = set(env, "CLAWDIA_GATEWAY_PORT") {
            return match text.trim().parse::<u16>() {
                Ok(port) if port > 0 => Ok(port),
                _ => Err(Fault::new(
                    "CLAWDIA_GATEWAY_PORT",
                    format!("is {text:?}"),
                    "use a number from 1 to 65535",
                )),
            };
        }
        Ok(configured.unwrap_or_else(|| default_port(self.profile.as_deref())))
    }
}

/// The port of a profile without any setting: 18789 for the unnamed one, 19001 for `dev`,
/// else one of 650 between 19769 and 32749 that the name decides.
pub fn default_port(profile: Option<&str>) -> u16 {
    match profile {
        None => PORT_DEFAULT,
        Some("dev") => DEV_PORT,
        Some(name) => {
            // FNV-1a: the same name has the same port on every machine and version.
            let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            });
            let slot = u16::try_from(hash % PROFILE_PORTS).unwrap_or(0);
            PORT_DEFAULT + 980 + slot * PROFILE_PORT_STEP
        }
    }
}

/// Replaces a leading `~` by the home directory.
pub fn expand_home(path: &str, home: Option<&Path>) -> PathBuf {
    match (path.strip_prefix('~'), home) {
        (Some(""), Some(home)) => home.to_path_buf(),
        (Some(rest), Some(home)) if rest.starts_with('/') => home.join(&rest[1..]),
        _ => PathBuf::from(path),
    }
}

fn profile_name(env: Lookup<'_>, flag: Option<&str>, dev: bool) -> Result<Option<String>, Fault> {
    let name = match (flag, dev) {
        (Some(name), true) if name != "dev" => {
            return Err(Fault::new(
                "--dev",
                format!("is given together with --profile {name}"),
                "--dev means --profile dev; leave one away",
            ));
        }
        (_, true) => Some("dev".to_owned()),
        (Some(name), false) => Some(name.to_owned()),
        (None, false) => set(env, "CLAWDIA_PROFILE"),
    };
    match name {
        None => Ok(None),
        Some(name) if name == "default" => Ok(None),
        Some(name)
            if !name.is_empty()
                && name.len() <= PROFILE_NAME_BYTES_MAX
                && name
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-') =>
        {
            Ok(Some(name))
        }
        Some(name) => Err(Fault::new(
            "--profile",
            format!("is {name:?}"),
            "use letters, digits, _ and -, at most 64",
        )),
    }
}

fn set(env: Lookup<'_>, name: &str) -> Option<String> {
    env(name).filter(|value| !value.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(vars: &[(&str, &str)], profile: Option<&str>, dev: bool) -> Result<Paths, Fault> {
        let env = lookup(vars);
        Paths::resolve(Some(Path::new("/home/u")), &env, profile, dev)
    }

    fn lookup(vars: &[(&str, &str)]) -> impl Fn(&str) -> Option<String> + use<> {
        let vars: Vec<(String, String)> = vars
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        move |name| vars.iter().find(|(k, _)| k == name).map(|(_, v)| v.clone())
    }

    #[test]
    fn the_unnamed_profile_lives_in_the_home_directory() {
        let paths = resolve(&[], None, false).unwrap();
        assert_eq!(paths.state_dir, Path::new("/home/u/.clawdia"));
        assert_eq!(
            paths.config_candidates,
            [
                Path::new("/home/u/.clawdia/clawdia.json"),
                Path::new("/home/u/.clawdia/clawdbot.json")
            ]
        );
        assert_eq!(resolve(&[], Some("default"), false).unwrap(), paths);
    }

    #[test]
    fn profiles_share_no_directory_even_where_the_environment_names_one() {
        let dir = |vars: &[(&str, &str)], profile| resolve(vars, profile, false).unwrap().state_dir;
        assert_eq!(dir(&[], Some("work")), Path::new("/home/u/.clawdia-work"));
        let vars = [("CLAWDIA_STATE_DIR", "~/s")];
        assert_eq!(dir(&vars, None), Path::new("/home/u/s"));
        assert_eq!(dir(&vars, Some("a")), Path::new("/home/u/s-a"));
        assert_ne!(dir(&vars, Some("a")), dir(&vars, Some("b")));
        assert_eq!(
            resolve(&[], None, true).unwrap(),
            resolve(&[("CLAWDIA_PROFILE", "dev")], None, false).unwrap()
        );
    }

    #[test]
    fn the_environment_may_name_the_configuration() {
        let paths = resolve(&[("CLAWDIA_CONFIG_PATH", "/etc/c.json")], Some("a"), false).unwrap();
        assert_eq!(paths.config_candidates, [Path::new("/etc/c.json")]);
    }

    #[test]
    fn a_profile_name_cannot_leave_the_home_directory() {
        let long = "x".repeat(65);
        for name in ["", "../x", "a/b", "a b", "ä", long.as_str()] {
            assert!(resolve(&[], Some(name), false).is_err(), "{name}");
        }
        assert!(resolve(&[], Some("work"), true).is_err());
        assert!(Paths::resolve(None, &lookup(&[]), None, false).is_err());
    }

    #[test]
    fn the_port_comes_from_flag_then_environment_then_file_then_profile() {
        let paths = resolve(&[], None, false).unwrap();
        let env = lookup(&[("CLAWDIA_GATEWAY_PORT", "2000")]);
        let none = lookup(&[]);
        assert_eq!(paths.gateway_port(Some(1000), &env, Some(3000)), Ok(1000));
        assert_eq!(paths.gateway_port(None, &env, Some(3000)), Ok(2000));
        assert_eq!(paths.gateway_port(None, &none, Some(3000)), Ok(3000));
        assert_eq!(paths.gateway_port(None, &none, None), Ok(18_789));
        for bad in ["0", "x", "65536", "-1"] {
            let env = lookup(&[("CLAWDIA_GATEWAY_PORT", bad)]);
            assert!(paths.gateway_port(None, &env, None).is_err(), "{bad}");
        }
    }

    #[test]
    fn profiles_have_ports_of_their_own() {
        assert_eq!(default_port(Some("dev")), 19_001);
        for name in ["a", "b", "work", "home", "x-1"] {
            let port = default_port(Some(name));
            assert!((19_769..=32_749).contains(&port), "{name}: {port}");
        }
        assert_ne!(default_port(Some("work")), default_port(Some("home")));
    }
}
