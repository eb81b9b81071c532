//! `clawdia models …`

use serde_json::json;

use super::super::exit::Outcome;
use super::super::out::Out;
use super::super::setup::Setup;
use super::super::table::Table;
use super::{list, or_dash, text};

/// Lists the models.
pub fn run(setup: &Setup, out: &mut Out) -> Outcome {
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
