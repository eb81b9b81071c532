//! `clawdia mcp …`

use serde_json::{Value, json};

use super::super::exit::Outcome;
use super::super::out::{Out, Paint};
use super::super::setup::Setup;
use super::super::text::{count, printable};
use super::{list, text};

/// Lists the servers and their tools.
pub fn run(setup: &Setup, out: &mut Out) -> Outcome {
    let mut session = setup.connect()?;
    let payload = session.call("mcp.list", &json!({}))?;
    session.client.close();
    if out.wants_json() {
        out.json(&payload)?;
        return Ok(());
    }
    let servers = list(&payload, "mcp");
    if servers.is_empty() {
        out.hint("no server of tools is configured (clawdia config set mcp.servers.NAME.command PROGRAM)")?;
    }
    for server in servers {
        print(server, out)?;
        if text(server, "state") == "off" {
            let name = printable(text(server, "name"));
            out.hint(&format!(
                "  on: clawdia config set mcp.servers.{name}.enabled true"
            ))?;
        }
        for tool in list(server, "tools").iter().filter_map(Value::as_str) {
            out.line(&format!("  {}", printable(tool)))?;
        }
    }
    Ok(())
}

/// One line: how it is.
pub fn print(server: &Value, out: &mut Out) -> Outcome {
    let (paint, more) = match text(server, "state") {
        "up" => {
            let tools = count(server["toolCount"].as_u64().unwrap_or(0), "tool");
            (Paint::Good, format!(", {tools}"))
        }
        "down" => (Paint::Bad, format!(": {}", text(server, "fault"))),
        _ => (Paint::Dim, String::new()),
    };
    let (state, transport) = (text(server, "state"), text(server, "transport"));
    let told = match transport {
        "" => state.to_owned(),
        transport => format!("{state} over {transport}{more}"),
    };
    out.field(&printable(text(server, "name")), paint, &told)?;
    Ok(())
}
