//! `clawdia models …`

use serde_json::{Value, json};

use super::super::commands::ModelsCommand;
use super::super::exit::Outcome;
use super::super::out::Out;
use super::super::setup::Setup;
use super::super::table::Table;
use super::{list, or_dash, text, troubles};
use crate::config::Config;

/// Lists the models, or says which are used.
pub fn run(command: ModelsCommand, setup: &Setup, out: &mut Out) -> Outcome {
    match command {
        ModelsCommand::List(_) => show_list(setup, out),
        ModelsCommand::Status(_) => status(setup, out),
    }
}

fn show_list(setup: &Setup, out: &mut Out) -> Outcome {
    let mut session = setup.connect()?;
    let payload = session.call("models.list", &json!({}))?;
    session.client.close();
    if out.wants_json() {
        out.json(&payload)?;
        return Ok(());
    }
    let mut table = Table::new(&["MODEL", "NAME", "CONTEXT"]);
    for model in list(&payload, "models") {
        let context = model["contextWindow"]
            .as_u64()
            .map_or("-".into(), |n| n.to_string());
        table.row([
            format!("{}/{}", text(model, "provider"), text(model, "id")).into(),
            or_dash(text(model, "name")).into(),
            context.into(),
        ]);
    }
    table.print(out, 0)?;
    Ok(())
}

/// Each agent's model and each provider, as the gateway's configuration has them, and what cannot answer.
fn status(setup: &Setup, out: &mut Out) -> Outcome {
    let mut session = setup.connect()?;
    let agents = session.call("agents.list", &json!({}))?;
    let shown = session.call("config.get", &json!({}))?;
    session.client.close();
    let config = &shown["config"];
    let of_agent = |agent: &Value| {
        let entries = list(&config["agents"], "list").iter();
        let mut own = entries
            .filter(|it| it["id"] == agent["id"])
            .map(|it| &it["model"]);
        let common = &config["agents"]["defaults"]["model"];
        let model = own.find(|model| model.is_object()).unwrap_or(common);
        let primary = match text(model, "primary") {
            "" => "builtin/clawdia",
            primary => primary,
        };
        let fallbacks = list(model, "fallbacks");
        json!({"agent": agent["id"], "model": primary, "fallbacks": fallbacks})
    };
    let agents: Vec<Value> = list(&agents, "agents").iter().map(of_agent).collect();
    let providers = config["models"]["providers"]
        .as_object()
        .into_iter()
        .flatten();
    let of_provider = |(name, provider): (&String, &Value)| {
        let keys = ["apiKey", "apiKeyFile", "apiKeyCommand"];
        let has_key = keys.iter().any(|key| !provider[*key].is_null());
        json!({"provider": name, "baseUrl": provider["baseUrl"], "hasKey": has_key})
    };
    let providers: Vec<Value> = providers.map(of_provider).collect();
    let typed: Config = serde_json::from_value(config.clone()).unwrap_or_default();
    // What is shown is the file's, which the gateway may not have taken over.
    let mut troubles = troubles::of_config(&shown, &session.to);
    troubles.extend(troubles::models(&typed));
    if out.wants_json() {
        let troubles: Vec<Value> = troubles.iter().map(troubles::Trouble::to_json).collect();
        out.json(&json!({"agents": agents, "providers": providers, "troubles": troubles}))?;
        return Ok(());
    }
    let mut table = Table::new(&["AGENT", "MODEL", "WHERE IT FAILS"]);
    for row in &agents {
        let fallbacks: Vec<&str> = list(row, "fallbacks")
            .iter()
            .filter_map(Value::as_str)
            .collect();
        let fallbacks = fallbacks.join(", ");
        table.row([
            text(row, "agent").into(),
            text(row, "model").into(),
            or_dash(&fallbacks).into(),
        ]);
    }
    table.print(out, 0)?;
    if !providers.is_empty() {
        out.line("")?;
        let mut table = Table::new(&["PROVIDER", "ADDRESS", "KEY"]);
        for row in &providers {
            let key = if row["hasKey"] == true { "yes" } else { "none" };
            table.row([
                text(row, "provider").into(),
                or_dash(text(row, "baseUrl")).into(),
                key.into(),
            ]);
        }
        table.print(out, 0)?;
        out.line("clawdia doctor knocks at their servers")?;
    }
    troubles.iter().try_for_each(|trouble| trouble.print(out))
}
