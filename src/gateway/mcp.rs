//! Servers of tools (MCP): which are used, whether they work, and calls of their tools.
//!
//! A server's tool is `<server>__<tool>` for a model, and passes the same policies as our own. What
//! a server says about its tools is text for the model, never a rule here: each call counts as one
//! that acts, so none is repeated after a crash.

use super::tools::{CallTag, Ran, ToolResult, Use};
use super::{Effect, Gateway};
use crate::agent::{Image, ToolSpec};
use crate::config::types::McpServer;
use crate::limits::MCP_TOOL_NAME_BYTES_MAX;
use crate::log::{Level, LogLine};
use crate::mcp::{Answer, Call, News, Order, Report, Tool};
use crate::wire::json::Writer;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// All servers that are used.
#[derive(Default)]
pub struct Servers {
    by_name: BTreeMap<String, Server>,
    slots_given: u64,
    tickets_given: u64,
}

struct Server {
    slot: u64,
    settings: Arc<McpServer>,
    phase: Phase,
    /// As it named itself last.
    title: String,
    /// Kept while it is down: it will have them again.
    tools: Vec<Arc<Offer>>,
    calls: BTreeMap<u64, CallTag>,
}

enum Phase {
    Starting,
    Up,
    /// Why it does not work.
    Down(String),
}

/// A tool of a server.
#[derive(Debug)]
pub struct Offer {
    /// What models call it.
    pub name: String,
    server: String,
    tool: Tool,
}

impl Offer {
    /// As a model is told of it.
    pub fn spec(&self) -> ToolSpec {
        ToolSpec {
            name: Cow::Owned(self.name.clone()),
            description: Cow::Owned(self.tool.description.clone()),
            schema: Cow::Owned(self.tool.schema.clone()),
        }
    }
}

impl Servers {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// All tools, by their server's name.
    pub fn tools(&self) -> impl Iterator<Item = &Arc<Offer>> {
        self.by_name.values().flat_map(|server| &server.tools)
    }

    fn of_slot(&mut self, slot: u64) -> Option<(&String, &mut Server)> {
        self.by_name.iter_mut().find(|(_, it)| it.slot == slot)
    }
}

impl Gateway {
    /// Uses the servers that the configuration names, and no others.
    pub(super) fn open_mcp(&mut self) {
        let config = self.config().clone();
        let wanted = &config.mcp.servers;
        let is_used = |name: &String, server: &Server| {
            wanted
                .get(name)
                .is_some_and(|it| it.is_on() && *it == *server.settings)
        };
        let gone: Vec<String> = self
            .mcp
            .by_name
            .iter()
            .filter(|(name, server)| !is_used(name, server))
            .map(|(name, _)| name.clone())
            .collect();
        for name in gone {
            if let Some(server) = self.mcp.by_name.remove(&name) {
                let slot = server.slot;
                self.effects.push_back(Effect::Mcp(Order::Close { slot }));
                self.fail_calls(server.calls, &format!("the server {name} is used no more"));
            }
        }
        for (name, settings) in wanted {
            if settings.is_on() && !self.mcp.by_name.contains_key(name) {
                self.open_server(name, settings);
            }
        }
    }

    fn open_server(&mut self, name: &str, settings: &McpServer) {
        self.mcp.slots_given += 1;
        let slot = self.mcp.slots_given;
        let settings = Arc::new(settings.clone());
        self.effects.push_back(Effect::Mcp(Order::Open {
            slot,
            name: name.to_owned(),
            server: settings.clone(),
        }));
        let server = Server {
            slot,
            settings,
            phase: Phase::Starting,
            title: String::new(),
            tools: Vec::new(),
            calls: BTreeMap::new(),
        };
        self.mcp.by_name.insert(name.to_owned(), server);
    }

    /// A server's thread reports.
    pub(super) fn on_mcp(&mut self, report: Report) {
        let unix_ms = self.now.unix_ms;
        let Some((name, server)) = self.mcp.of_slot(report.slot) else {
            return;
        };
        let name = name.clone();
        let line = |level, text: &str| {
            LogLine::new(unix_ms, level, "mcp", text).with("server", name.clone())
        };
        let line = match report.news {
            News::Up { title, tools } => {
                server.phase = Phase::Up;
                server.title = title;
                server.tools = offers(&name, tools);
                let text = format!("a server of tools is ready with {}", server.tools.len());
                line(Level::Info, &text)
            }
            News::Down { fault, again_ms } => {
                let calls = std::mem::take(&mut server.calls);
                let text = "a server of tools does not work";
                let told = line(Level::Warn, text)
                    .with("fault", fault.clone())
                    .with("againMs", again_ms.to_string());
                server.phase = Phase::Down(fault.clone());
                let text = format!(
                    "the server {name} failed: {fault}; whether the call had an effect is not known"
                );
                self.fail_calls(calls, &text);
                told
            }
            News::Said(text) => line(Level::Debug, "a server of tools says").with("said", text),
            News::Done { ticket, result } => {
                if let Some(tag) = server.calls.remove(&ticket) {
                    self.on_tool_done(tag, told(&name, result));
                }
                return;
            }
        };
        self.log_with(line);
    }

    fn fail_calls(&mut self, calls: BTreeMap<u64, CallTag>, fault: &str) {
        for tag in calls.into_values() {
            self.on_tool_done(tag, ToolResult::error(fault));
        }
    }

    /// Calls a tool of a server.
    pub(super) fn call_mcp(&mut self, offer: &Offer, it: &Use<'_>) -> Result<Ran, String> {
        let name = &offer.server;
        self.mcp.tickets_given += 1;
        let ticket = self.mcp.tickets_given;
        let server = self.mcp.by_name.get_mut(name);
        let server = server.ok_or_else(|| format!("the server {name} is used no more"))?;
        match &server.phase {
            Phase::Up => {}
            Phase::Starting => return Err(format!("the server {name} is still starting")),
            Phase::Down(fault) => return Err(format!("the server {name} does not work: {fault}")),
        }
        let slot = server.slot;
        server.calls.insert(ticket, it.tag);
        let call = Call {
            tool: offer.tool.name.clone(),
            arguments: it.arguments.clone(),
        };
        self.effects
            .push_back(Effect::Mcp(Order::Call { slot, ticket, call }));
        Ok(Ran::Later(Box::new(move |gateway| {
            if let Some((_, server)) = gateway.mcp.of_slot(slot)
                && server.calls.remove(&ticket).is_some()
            {
                let order = Order::Cancel { slot, ticket };
                gateway.effects.push_back(Effect::Mcp(order));
            }
        })))
    }

    /// Writes the member `mcp`: all servers, for `mcp.list` with the names of their tools.
    pub(super) fn write_mcp(&self, w: &mut Writer<'_>, with_tools: bool) {
        w.key("mcp");
        w.array(|w| {
            for (name, server) in &self.mcp.by_name {
                w.object(|w| {
                    w.field_str("name", name);
                    let (state, fault) = match &server.phase {
                        Phase::Starting => ("starting", None),
                        Phase::Up => ("up", None),
                        Phase::Down(fault) => ("down", Some(fault.as_str())),
                    };
                    w.field_str("state", state);
                    w.field_opt_str("fault", fault);
                    let transport = match server.settings.url {
                        Some(_) => "http",
                        None => "stdio",
                    };
                    w.field_str("transport", transport);
                    w.field_str("title", &server.title);
                    w.field_u64("toolCount", server.tools.len() as u64);
                    if with_tools {
                        w.field_strs("tools", server.tools.iter().map(|it| it.name.as_str()));
                    }
                });
            }
            let all = self.config().mcp.servers.iter();
            for (name, _) in all.filter(|(_, it)| with_tools && !it.is_on()) {
                w.object(|w| {
                    w.field_str("name", name);
                    w.field_str("state", "off");
                });
            }
        });
    }
}

/// A server's tools under names that models take; no two are alike.
fn offers(server: &str, tools: Vec<Tool>) -> Vec<Arc<Offer>> {
    let mut offers: Vec<Arc<Offer>> = Vec::new();
    for tool in tools {
        let plain = |c: char| match c.is_ascii_alphanumeric() || c == '-' {
            true => c,
            false => '_',
        };
        let own: String = tool.name.chars().map(plain).collect();
        let mut name = format!("{server}__{own}");
        name.truncate(MCP_TOOL_NAME_BYTES_MAX);
        if offers.iter().all(|offer| offer.name != name) {
            offers.push(Arc::new(Offer {
                name,
                server: server.to_owned(),
                tool,
            }));
        }
    }
    offers
}

fn told(server: &str, result: Result<Answer, String>) -> ToolResult {
    match result {
        Ok(answer) => ToolResult {
            text: answer.text,
            details: answer.details,
            image: answer.picture.map(|it| Image {
                media_type: it.media_type,
                data: it.data.into(),
            }),
            is_error: answer.is_error,
        },
        Err(fault) => ToolResult::error(format!("the server {server}: {fault}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_tools_of_a_server_have_one_name() {
        let long = "x".repeat(MCP_TOOL_NAME_BYTES_MAX);
        let longer = format!("{long}y");
        let names = ["a.b", "a_b", "a b", "A-1", &long, &longer];
        let tools = names.map(|name| Tool {
            name: name.into(),
            description: String::new(),
            schema: "{}".into(),
        });
        let offers = offers("s", tools.into());
        let names: Vec<&str> = offers.iter().map(|offer| offer.name.as_str()).collect();
        let cut = &long[..MCP_TOOL_NAME_BYTES_MAX - "s__".len()];
        assert_eq!(names, ["s__a_b", "s__A-1", &format!("s__{cut}")]);
        assert_eq!(offers[0].tool.name, "a.b", "the first of them");
    }
}
