//! `clawdia setup`: the first configuration, by questions or by options.

use std::io::{BufRead, IsTerminal, Write};

use serde_json::{Value, json};

use super::super::commands::SetupArgs;
use super::super::exit::{Failure, Outcome};
use super::super::out::{Out, Paint};
use super::super::setup::Setup;
use super::config;
use crate::client::random;
use crate::config::select;
use crate::io::secret;

const MODES: [&str; 5] = ["loopback", "lan", "tailnet", "auto", "custom"];

/// What is to be set, in order.
#[derive(Default)]
struct Changes(Vec<(String, Value)>);

impl Changes {
    fn set(&mut self, key: &str, value: impl Into<Value>) {
        self.0.push((key.to_owned(), value.into()));
    }
}

/// Whom to ask: a person at a terminal, or nobody.
struct Asker {
    asks: bool,
}

impl Asker {
    /// The option's answer, else the person's, else the default.
    fn ask(&self, given: Option<String>, question: &str, default: &str) -> Result<String, Failure> {
        if let Some(given) = given {
            return Ok(given);
        }
        if !self.asks {
            return Ok(default.to_owned());
        }
        let fault = |error| Failure::failed(format!("cannot ask: {error}"));
        let mut terminal = std::io::stderr();
        write!(terminal, "{question} [{default}]: ").map_err(fault)?;
        terminal.flush().map_err(fault)?;
        let mut line = String::new();
        std::io::stdin()
            .lock()
            .read_line(&mut line)
            .map_err(fault)?;
        match line.trim() {
            "" => Ok(default.to_owned()),
            answer => Ok(answer.to_owned()),
        }
    }
}

/// Writes what was answered into the configuration; what it holds already stays.
pub fn run(args: SetupArgs, setup: &Setup, out: &mut Out) -> Outcome {
    let asker = Asker {
        asks: !args.yes && !out.wants_json() && std::io::stdin().is_terminal(),
    };
    let current = setup.config()?;
    let gateway = &current.gateway;
    let bind = asker.ask(
        args.bind,
        "Who may reach the gateway? loopback (this machine), tailnet, lan, auto, custom",
        gateway.bind.as_str(),
    )?;
    if !MODES.contains(&bind.as_str()) {
        let fault = format!("--bind {bind}: it is one of {}", MODES.join(", "));
        return Err(Failure::usage(fault));
    }
    let mut changes = Changes::default();
    changes.set("gateway.mode", "local");
    changes.set("gateway.bind", bind.as_str());
    if bind == "custom" {
        let now = gateway
            .custom_bind_host
            .map_or_else(String::new, |ip| ip.to_string());
        let host = asker.ask(args.host, "Which address of this machine?", &now)?;
        changes.set("gateway.customBindHost", host);
    }
    if let Some(port) = args.port {
        changes.set("gateway.port", port);
    }
    let secret = secret(setup, gateway.auth.secret().is_some(), &mut changes)?;
    let model = asker.ask(
        args.model,
        "Which model answers? provider/model, or builtin for the one that needs no account",
        "builtin",
    )?;
    model_changes(&model, args.api_key_env, &asker, &mut changes)?;
    let applied = config::apply(setup, |whole| {
        let mut each = changes.0.into_iter();
        each.try_for_each(|(key, value)| {
            let steps = select::parse_path(&key)?;
            select::set(whole, &steps, value)
        })
        .map_err(|fault| Failure::usage(fault.to_string()))
    })?;
    if out.wants_json() {
        out.json(
            &json!({"ok": true, "path": applied.path, "bind": bind, "model": model, "secret": secret,
                         "faults": applied.faults}),
        )?;
        return Ok(());
    }
    out.done("this machine is set up")?;
    out.field("file", Paint::Plain, &applied.path)?;
    out.field("listens", Paint::Plain, &bind)?;
    out.field("secret", Paint::Plain, secret)?;
    out.field("model", Paint::Plain, &model)?;
    out.hint("  next: clawdia gateway run, or clawdia gateway install to keep it running")?;
    out.hint("  then: clawdia doctor, clawdia security audit")?;
    Ok(())
}

/// The secret that was given, the one that is there, the one that a gateway made for itself, or a new one. It is chosen by setting this
/// machine up, so other machines may be let in with it.
fn secret(setup: &Setup, is_set: bool, changes: &mut Changes) -> Result<&'static str, Failure> {
    let given = setup.flag_secrets()?;
    if let Some(password) = given.password {
        changes.set("gateway.auth.mode", "password");
        changes.set("gateway.auth.password", password.value);
        return Ok("the password that was given");
    }
    if let Some(token) = given.token {
        changes.set("gateway.auth.mode", "token");
        changes.set("gateway.auth.token", token.value);
        return Ok("the token that was given");
    }
    if is_set {
        return Ok("the one that was set before");
    }
    let made = secret::load_token(&setup.paths.state_dir)?;
    let told = match made {
        Some(_) => "the token that the gateway made; clawdia token prints it",
        None => "a new token; clawdia token prints it",
    };
    let bytes = random::bytes::<32>()?;
    let token = made.unwrap_or_else(|| bytes.iter().map(|byte| format!("{byte:02x}")).collect());
    changes.set("gateway.auth.mode", "token");
    changes.set("gateway.auth.token", token);
    Ok(told)
}

/// The model, and where its provider's key is read. The key itself is not asked for: it stays in
/// the environment.
fn model_changes(
    model: &str,
    key_env: Option<String>,
    asker: &Asker,
    changes: &mut Changes,
) -> Result<(), Failure> {
    if model == "builtin" {
        return Ok(());
    }
    let Some((provider, name)) = model
        .split_once('/')
        .filter(|(p, m)| !p.is_empty() && !m.is_empty())
    else {
        return Err(Failure::usage(format!(
            "--model {model}: it is provider/model, or builtin"
        )));
    };
    let usual = format!(
        "{}_API_KEY",
        provider.to_ascii_uppercase().replace('-', "_")
    );
    let variable = asker.ask(key_env, "Which environment variable holds its key?", &usual)?;
    let good = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if variable.is_empty() || !variable.chars().all(good) {
        return Err(Failure::usage(format!(
            "--api-key-env {variable}: it is the name of a variable"
        )));
    }
    let api = match provider {
        "anthropic" => Some(("anthropic-messages", "https://api.anthropic.com")),
        "openai" => Some(("openai-completions", "https://api.openai.com/v1")),
        _ => None,
    };
    let mut entry = json!({
        "apiKey": format!("${{{variable}}}"),
        "models": [{"id": name, "name": name}],
    });
    if let Some((api, url)) = api {
        entry["api"] = api.into();
        entry["baseUrl"] = url.into();
    }
    changes.set("agents.defaults.model", model);
    changes.set(&format!("models.providers.{provider}"), entry);
    Ok(())
}
