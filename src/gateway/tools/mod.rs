//! Tools that an agent may ask for: one table, a file a tool.
//!
//! A tool runs in the core. What takes time is asked of somebody, a node say, and the answer
//! comes back through [`Gateway::on_tool_done`]; no worker is held meanwhile. What happens to
//! the result is the run's affair: see [`super::runs`].

mod config;
mod cron;
mod exec;
mod files;
mod message;
mod nodes;
mod policy;
mod sessions;
mod web;

pub use exec::Processes;

use super::Gateway;
use super::mcp::Offer;
use super::runs::Origin;
use crate::agent::Image;
use crate::agent::ToolSpec;
use crate::limits::{TOOL_DETAILS_BYTES_MAX, TOOL_RESULT_BYTES_MAX};
use crate::now::Now;
use crate::state::Text;
use serde_json::Value;
use std::borrow::Cow;
use std::sync::Arc;

/// One row of the table.
pub struct Tool {
    /// What a model calls it.
    pub name: &'static str,
    /// For the model: what it does and when to use it.
    pub description: &'static str,
    /// The JSON Schema of its arguments.
    pub schema: &'static str,
    /// Whether a call with these arguments may act on the world, so that it must never be made
    /// a second time after a crash. A tool that cannot tell says yes.
    pub acts: fn(&Value) -> bool,
    /// Starts it.
    ///
    /// # Errors
    ///
    /// For the model: what is wrong, and what mends it.
    pub run: fn(&mut Gateway, Now, &Use<'_>) -> Result<Ran, String>,
}

/// All tools.
pub const TOOLS: &[Tool] = &[
    nodes::TOOL,
    sessions::TOOL,
    message::TOOL,
    exec::TOOL,
    exec::PROCESS,
    files::READ,
    files::WRITE,
    files::EDIT,
    web::TOOL,
    cron::TOOL,
    config::TOOL,
];

/// Names one call of one step of a run, so that a late result is recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CallTag {
    /// The slot and generation of the run.
    pub run: u64,
    pub generation: u32,
    /// Which of the step's calls.
    pub index: usize,
}

/// A call as its tool sees it.
pub struct Use<'a> {
    pub tag: CallTag,
    /// An object.
    pub arguments: &'a Value,
    /// The session that asks.
    pub session_key: &'a Text,
    /// Who started the run that asks.
    pub origin: Origin,
}

impl<'a> Use<'a> {
    /// A text argument that is not blank.
    pub fn text(&self, name: &str) -> Option<&'a str> {
        let text = self.arguments[name].as_str()?.trim();
        (!text.is_empty()).then_some(text)
    }

    /// The same, where it must be there.
    ///
    /// # Errors
    ///
    /// Names the argument.
    pub fn required(&self, name: &str) -> Result<&'a str, String> {
        self.text(name)
            .ok_or_else(|| format!("the argument {name:?} is missing"))
    }

    /// The argument `action`, which is one of `known`.
    ///
    /// # Errors
    ///
    /// Names all of them.
    pub fn action(&self, known: &[&'static str]) -> Result<&'static str, String> {
        let action = self.required("action")?;
        let found = known.iter().find(|name| **name == action);
        found.copied().ok_or_else(|| {
            format!(
                "there is no action {action:?}; there are: {}",
                known.join(", ")
            )
        })
    }
}

/// What a tool did with a call.
pub enum Ran {
    /// It has its result.
    Done(ToolResult),
    /// Its result comes through [`Gateway::on_tool_done`]; `Cancel` stops what it waits for.
    Later(Cancel),
}

/// Stops what a tool waits for. Called at most once, and not after the tool has its result.
pub type Cancel = Box<dyn FnOnce(&mut Gateway) + Send>;

/// What a tool has to say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolResult {
    /// For the model.
    pub text: String,
    /// The same for programs, as JSON text.
    pub details: Option<String>,
    pub image: Option<Image>,
    pub is_error: bool,
}

impl ToolResult {
    /// It did what it was asked for.
    pub fn ok(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            ..Self::default()
        }
    }

    /// The same for the model and for programs.
    pub fn json(value: Value) -> Self {
        let text = value.to_string();
        Self {
            details: Some(text.clone()),
            ..Self::ok(text)
        }
    }

    /// It could not: what is wrong, and what mends it.
    pub fn error(text: impl Into<String>) -> Self {
        Self {
            is_error: true,
            ..Self::ok(text)
        }
    }

    /// Within the limits: a longer text keeps its start and its end.
    pub fn cut(mut self) -> Self {
        if self.text.len() > TOOL_RESULT_BYTES_MAX {
            self.text = middle_cut(&self.text, TOOL_RESULT_BYTES_MAX);
        }
        if self
            .details
            .as_ref()
            .is_some_and(|json| json.len() > TOOL_DETAILS_BYTES_MAX)
        {
            self.details = None;
        }
        self
    }
}

/// A tool that an agent has.
#[derive(Clone)]
pub enum Known {
    /// A row of the table.
    Own(&'static Tool),
    /// A server's.
    Offered(Arc<Offer>),
}

impl Known {
    /// What a model calls it.
    pub fn name(&self) -> &str {
        match self {
            Self::Own(tool) => tool.name,
            Self::Offered(offer) => &offer.name,
        }
    }

    /// Whether a call with these arguments may act on the world.
    pub fn acts(&self, arguments: &Value) -> bool {
        match self {
            Self::Own(tool) => (tool.acts)(arguments),
            // What a server says about that is no proof.
            Self::Offered(_) => true,
        }
    }

    /// As a model is told of it.
    pub fn spec(&self) -> ToolSpec {
        match self {
            Self::Own(tool) => ToolSpec {
                name: Cow::Borrowed(tool.name),
                description: Cow::Borrowed(tool.description),
                schema: Cow::Borrowed(tool.schema),
            },
            Self::Offered(offer) => offer.spec(),
        }
    }
}

impl Gateway {
    /// Starts a tool.
    ///
    /// # Errors
    ///
    /// For the model: what is wrong, and what mends it.
    pub(super) fn use_tool(&mut self, tool: &Known, it: &Use<'_>) -> Result<Ran, String> {
        match tool {
            Known::Own(tool) => (tool.run)(self, self.now, it),
            Known::Offered(offer) => self.call_mcp(offer, it),
        }
    }

    /// The time of a tool is over.
    pub(super) fn on_tool_overdue(&mut self, tag: CallTag) {
        let Some(cancel) = self.take_cancel(tag) else {
            return;
        };
        cancel(self);
        let text = "it took too long and was stopped; whether it still has an effect is not known";
        self.on_tool_done(tag, ToolResult::error(text));
    }
}

/// The start and the end of a text that is longer than `bytes_max`, and how much is left out.
fn middle_cut(text: &str, bytes_max: usize) -> String {
    let is_boundary = |at: &usize| text.is_char_boundary(*at);
    let head = (0..=bytes_max / 4 * 3).rfind(is_boundary).unwrap_or(0);
    let tail = (text.len() - bytes_max / 4..=text.len()).find(is_boundary);
    let tail = tail.unwrap_or(text.len());
    format!(
        "{}\n[… {} bytes are left out …]\n{}",
        &text[..head],
        tail - head,
        &text[tail..]
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_result_keeps_its_start_and_its_end() {
        let text = format!("start{}end", "é".repeat(TOOL_RESULT_BYTES_MAX));
        let cut = ToolResult::ok(text).cut().text;
        assert!(cut.len() < TOOL_RESULT_BYTES_MAX + 100, "{}", cut.len());
        assert!(cut.starts_with("startéé") && cut.ends_with("ééend"));
        assert!(cut.contains("bytes are left out"));
        let short = ToolResult::ok("as it is");
        assert_eq!(short.clone().cut(), short);
    }

    #[test]
    fn every_tool_has_a_schema_of_an_object_and_a_name_that_providers_take() {
        for tool in TOOLS {
            let schema: Value = serde_json::from_str(tool.schema).expect(tool.name);
            assert_eq!(schema["type"], "object", "{}", tool.name);
            assert!(schema["properties"].is_object(), "{}", tool.name);
            let fits = |c: char| c.is_ascii_lowercase() || c == '_';
            assert!(tool.name.chars().all(fits), "{}", tool.name);
            assert!(!tool.description.is_empty(), "{}", tool.name);
        }
    }
}
