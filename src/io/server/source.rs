//! What the process was told: flags over the environment over the file over defaults.

use super::Options;
use super::bind::Plan;
use super::channel_tokens;
use crate::config::checks::{shared_secrets, told_unserved};
use crate::config::document::Document;
use crate::config::paths::expand_home;
use crate::config::redact::secret_values;
use crate::config::{AuthMode, Config, Fault, GatewayMode};
use crate::gateway::LoadedConfig;
use crate::gateway::auth::secret::{GatewaySecret, SecretError};
use crate::io::log::LogSettings;
use crate::io::state_dir::StartFault;
use crate::io::{config_file, secret};
use std::sync::Arc;

/// One environment variable of whoever starts.
pub type Env = Box<dyn Fn(&str) -> Option<String> + Send>;

/// The options of one start, and how a configuration is read under them.
pub struct Source {
    /// As given on the command line.
    pub options: Options,
    /// What that start looks variables up in to read its configuration. What is said of one that runs is of its own
    /// process.
    pub env: Env,
}

/// One environment variable.
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

impl Source {
    /// With the options of the command line and the environment of this process.
    pub fn new(options: Options) -> Self {
        let env = Box::new(variable);
        Self { options, env }
    }

    /// Reads the file as it is now.
    ///
    /// # Errors
    ///
    /// When it cannot be read; an absent file is a document too.
    pub fn read(&self) -> Result<Document, StartFault> {
        config_file::read(&self.options.paths)
            .map_err(|fault| StartFault::refused(fault.to_string()))
    }

    /// Reads the file and resolves it.
    ///
    /// # Errors
    ///
    /// Every fault of the file at once, a line each.
    pub fn load(&self) -> Result<LoadedConfig, StartFault> {
        self.resolve(self.read()?)
    }

    /// Checks a document and applies what outranks it.
    ///
    /// # Errors
    ///
    /// Every fault at once, a line each.
    pub fn resolve(&self, document: Document) -> Result<LoadedConfig, StartFault> {
        let loaded = document
            .load(&self.env)
            .map_err(|faults| StartFault::refused(list(document.path(), &faults)))?;
        let mut config = Config::clone(&loaded.config);
        if config.gateway.mode == Some(GatewayMode::Remote) {
            return Err(StartFault::refused(format!(
                "gateway.mode is \"remote\" in {}: this machine uses a gateway elsewhere and does \
                 not run one (to run one here: clawdia config set gateway.mode local)",
                document.path()
            )));
        }
        self.override_auth(&mut config)?;
        channel_tokens::fill(&mut config.channels, &self.options.paths.state_dir);
        let secret = secret_of(&config)
            .map_err(|(key, fault)| StartFault::refused(format!("{key} {fault}")))?;
        Ok(LoadedConfig {
            document,
            config: Arc::new(config),
            secret,
        })
    }

    /// Flags and environment before the file.
    fn override_auth(&self, config: &mut Config) -> Result<(), StartFault> {
        let auth = &mut config.gateway.auth;
        let env = |name| (self.env)(name).map(crate::config::Secret::new);
        let given = |flag: &Option<crate::config::Secret>| flag.clone();
        if let Some(token) = given(&self.options.token).or_else(|| env("CLAWDIA_GATEWAY_TOKEN")) {
            auth.token = Some(token);
        }
        if let Some(password) =
            given(&self.options.password).or_else(|| env("CLAWDIA_GATEWAY_PASSWORD"))
        {
            auth.password = Some(password);
        }
        match self.options.auth.as_deref() {
            None => {}
            Some("token") => auth.mode = Some(AuthMode::Token),
            Some("password") => auth.mode = Some(AuthMode::Password),
            Some(other) => {
                return Err(StartFault::refused(format!(
                    "--auth {other}: it is token or password"
                )));
            }
        }
        if auth.effective_mode() == AuthMode::Password && auth.password.is_none() {
            return Err(StartFault::refused(
                "gateway.auth.mode is \"password\" and there is none (set gateway.auth.password, \
                 CLAWDIA_GATEWAY_PASSWORD or --password)",
            ));
        }
        Ok(())
    }

    /// Where nothing is configured, a token of the state directory's own serves, but only as long
    /// as no other machine can reach the gateway: who opens it to others names the secret.
    ///
    /// # Errors
    ///
    /// When other machines can reach it, or the token can be neither read nor made.
    pub fn with_generated_secret(&self, loaded: LoadedConfig) -> Result<LoadedConfig, StartFault> {
        if loaded.secret != GatewaySecret::None {
            return Ok(loaded);
        }
        let plan = Plan::new(&loaded.config, self.options.bind.as_deref(), false)?;
        plan.is_closed()?;
        let token = secret::load_or_create_token(&self.options.paths.state_dir)?;
        let secret = GatewaySecret::token(&token)
            .map_err(|fault| StartFault::refused(format!("the generated token {fault}")))?;
        Ok(LoadedConfig { secret, ..loaded })
    }

    /// Reads everything again, for a reload.
    ///
    /// # Errors
    ///
    /// As at a start; the former configuration then stays in force.
    pub fn reload(&self) -> Result<LoadedConfig, StartFault> {
        self.load()
            .and_then(|loaded| self.with_generated_secret(loaded))
    }

    /// The log file; a relative setting is meant in the state directory.
    pub fn log_path(&self, config: &Config) -> std::path::PathBuf {
        let paths = &self.options.paths;
        match &config.logging.file {
            Some(file) => {
                let home = std::env::home_dir();
                paths.state_dir.join(expand_home(file, home.as_deref()))
            }
            None => paths.log_file(),
        }
    }

    /// What a person should mend although the gateway runs without it.
    pub fn warnings(&self, loaded: &LoadedConfig) -> Vec<String> {
        let document = &loaded.document;
        let (unknown, unserved) = document
            .load(&variable)
            .map(|it| (it.warnings, it.unserved))
            .unwrap_or_default();
        let is_own = |secret: &str| loaded.secret.check(Some(secret), Some(secret)).is_ok();
        unknown
            .into_iter()
            .chain(shared_secrets(&loaded.config, is_own))
            .map(|fault| format!("{}: {fault}", document.path()))
            .chain(told_unserved(&unserved))
            .chain(config_file::check_mode(document))
            .chain(channel_tokens::missing(&loaded.config.channels))
            .collect()
    }

    /// Lets the log know its level and all that it must not show, wherever that comes from.
    pub fn tell_log(&self, loaded: &LoadedConfig, log: &LogSettings) {
        log.set_level(loaded.config.logging.level);
        let resolved = loaded.document.load(&variable);
        let mut secrets = resolved.map_or_else(|_| Vec::new(), |l| secret_values(&l.values));
        let auth = &loaded.config.gateway.auth;
        for secret in [&auth.token, &auth.password].into_iter().flatten() {
            secrets.push(secret.expose().to_owned());
        }
        secrets.extend(channel_tokens::all(&loaded.config.channels));
        let generated = secret::load_token(&self.options.paths.state_dir);
        secrets.extend(generated.ok().flatten());
        log.learn(secrets);
    }

    /// The port to listen on.
    ///
    /// # Errors
    ///
    /// When the environment names something that is no port.
    pub fn port(&self, config: &Config) -> Result<u16, StartFault> {
        let paths = &self.options.paths;
        paths
            .gateway_port(self.options.port, &self.env, config.gateway.port)
            .map_err(|fault| StartFault::refused(fault.to_string()))
    }
}

fn secret_of(config: &Config) -> Result<GatewaySecret, (&'static str, SecretError)> {
    let auth = &config.gateway.auth;
    match auth.effective_mode() {
        AuthMode::Password => match &auth.password {
            Some(password) => GatewaySecret::password(password.expose())
                .map_err(|fault| ("gateway.auth.password", fault)),
            None => Ok(GatewaySecret::None),
        },
        AuthMode::Token => match &auth.token {
            Some(token) => {
                GatewaySecret::token(token.expose()).map_err(|fault| ("gateway.auth.token", fault))
            }
            None => Ok(GatewaySecret::None),
        },
    }
}

fn list(path: &str, faults: &[Fault]) -> String {
    let plural = if faults.len() == 1 { "" } else { "s" };
    let mut text = format!("{path} has {} fault{plural}:", faults.len());
    for fault in faults {
        text.push_str("\n  ");
        text.push_str(&fault.to_string());
    }
    if let Some(way_back) = config_file::way_back(path, faults) {
        text.push_str("\n  ");
        text.push_str(&way_back);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::paths::Paths;
    use std::path::Path;

    fn start(dir: &Path, text: &str, bind: Option<&str>) -> Result<LoadedConfig, StartFault> {
        let paths = Paths {
            profile: None,
            state_dir: dir.to_path_buf(),
            config_candidates: vec![dir.join("clawdia.json")],
        };
        let source = Source::new(Options {
            paths,
            port: None,
            bind: bind.map(str::to_owned),
            auth: None,
            token: None,
            password: None,
            verbose: false,
        });
        let document = Document::new("clawdia.json", text.to_owned());
        source
            .resolve(document)
            .and_then(|loaded| source.with_generated_secret(loaded))
    }

    #[test]
    fn a_gateway_that_others_can_reach_needs_a_secret_that_somebody_chose() {
        let dir = tempfile::tempdir().unwrap();
        let secrets = [
            ("{}", false),
            ("{ token: 'x1y2z3x1y2z3x1y2z3' }", true),
            ("{ mode: 'password', password: 'x1y2z3x1y2z3x1y2z3' }", true),
        ];
        for (auth, chosen) in secrets {
            for (bind, extra, local) in [
                ("loopback", "", true),
                ("auto", "", true),
                ("lan", "", false),
                ("custom", "customBindHost: '127.0.0.1',", true),
                ("custom", "customBindHost: '192.0.2.1',", false),
                ("custom", "customBindHost: '::',", false),
            ] {
                let text = format!("{{ gateway: {{ bind: '{bind}', {extra} auth: {auth} }} }}");
                let plain = format!("{{ gateway: {{ {extra} auth: {auth} }} }}");
                for started in [
                    start(dir.path(), &text, None),
                    start(dir.path(), &plain, Some(bind)),
                ] {
                    assert_eq!(started.is_ok(), local || chosen, "{text}");
                    let open = started.is_ok_and(|l| l.secret == GatewaySecret::None);
                    assert!(!open, "{text}");
                }
            }
        }
    }

    #[test]
    fn a_secret_that_a_script_left_behind_starts_nothing() {
        let dir = tempfile::tempdir().unwrap();
        for literal in ["", " ", "undefined", "null"] {
            for bind in ["loopback", "lan"] {
                let text =
                    format!("{{ gateway: {{ bind: '{bind}', auth: {{ token: '{literal}' }} }} }}");
                assert!(start(dir.path(), &text, None).is_err(), "{text}");
            }
        }
    }
}
