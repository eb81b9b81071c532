//! Answers that tell how to do something, with the commands as they are typed.

use super::overview::listening;
use super::text::clean;
use crate::agent::Facts;

pub(super) const CAN_ANSWER: &str = "I can tell you about this gateway:\n\
    - status, health, uptime, version, memory, time and date\n\
    - who is connected, which nodes are online\n\
    - sessions, this session's settings, runs in progress\n\
    - devices and pairing requests, and how to approve them\n\
    - channels and models, and how to configure a real model\n\
    - addresses, tokens, configuration, logs, backup, restart, access from afar\n\
    - \"say ...\" makes me repeat it";

pub(super) const SLASH_HINT: &str = "/help lists the commands.";

pub(super) const PAIRING: &str = "To approve a request: clawdia devices approve REQUEST_ID (or reject). \
    To take a device's access away: clawdia devices revoke. clawdia devices list shows all of them.";

pub(super) const BACKUP: &str = "clawdia backup FILE writes all state to one file while the gateway runs; \
    clawdia restore FILE brings it back while it does not.";

pub(super) const CONTROL: &str = "Stop the gateway with Ctrl-C or SIGTERM: it finishes what it has accepted and tells \
    its clients. clawdia gateway starts it again. SIGHUP makes it read its configuration again without a restart.";

pub(super) const DASHBOARD: &str = "clawdia dashboard prints the web page's address and opens it.";

/// The commands that give the sessions a real model.
pub(super) fn configure_model(facts: &Facts) -> String {
    let others: Vec<String> = facts
        .models
        .shown
        .iter()
        .filter(|model| !model.starts_with("builtin/"))
        .map(|model| clean(model))
        .collect();
    if let Some(first) = others.first() {
        return format!(
            "Configured beside me: {}. For new sessions:\n  clawdia config set agents.defaults.model.primary {first}\n\
             In this session: /model {first}",
            others.join(", ")
        );
    }
    let api = facts.model_apis.first().copied();
    let caution = match api {
        Some(_) => "",
        None => {
            "\nThis build has no provider but me yet: it keeps these settings and will not use them."
        }
    };
    format!(
        "To configure a model, with your server's address and your model's name:\n  \
         clawdia config set models.providers.mine '{{\"baseUrl\": \"http://127.0.0.1:8080/v1\", \"api\": \"{}\", \
         \"apiKey\": \"${{MY_API_KEY}}\", \"models\": [{{\"id\": \"MODEL\", \"name\": \"MODEL\"}}]}}'\n  \
         clawdia config set agents.defaults.model.primary mine/MODEL{caution}",
        api.unwrap_or("openai-completions")
    )
}

/// How to come here from another machine.
pub(super) fn remote(facts: &Facts) -> String {
    let port = facts.gateway.port;
    let host = clean(&facts.gateway.host_name);
    let here = if facts.gateway.bind == "loopback" {
        "so only this machine reaches me directly"
    } else {
        "so other machines reach me directly, as far as the network lets them"
    };
    format!(
        "I listen on {}, {here}.\n\
         - Over SSH, with nothing exposed: on the other machine run ssh -N -L {port}:127.0.0.1:{port} USER@{host}, then \
         clawdia --url ws://127.0.0.1:{port} --token TOKEN status.\n\
         - In the local network: clawdia config set gateway.bind lan, restart the gateway, and keep a token or password set.\n\
         A device that comes from elsewhere has to be approved once: clawdia devices list.",
        listening(facts)
    )
}

/// Where the secret is; never the secret itself.
pub(super) fn auth(facts: &Facts) -> String {
    let how = match facts.gateway.auth_mode.as_str() {
        "password" => "Clients log in with the password that gateway.auth.password holds.",
        "token" => "Clients log in with a token; clawdia token prints it on this machine.",
        _ => "Clients need no secret here.",
    };
    format!("{how} I never say secrets in a chat. clawdia dashboard opens the web page logged in.")
}

/// Where the configuration and the state are.
pub(super) fn config(facts: &Facts) -> String {
    format!(
        "Configuration: {}\nState: {}\nclawdia config get PATH and clawdia config set PATH VALUE read and change it; clawdia config validate checks it.",
        clean(&facts.gateway.config_path),
        clean(&facts.gateway.state_dir)
    )
}

/// Where the logs are.
pub(super) fn logs(facts: &Facts) -> String {
    format!(
        "clawdia logs shows the gateway's log, clawdia logs --follow keeps on. The files lie in {}.",
        clean(&facts.gateway.state_dir)
    )
}
