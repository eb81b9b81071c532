//! The tools `read`, `write` and `edit`: text files of the agent's own workspace, and no others.

use super::{Ran, Tool, ToolResult, Use};
use crate::agent::{Act, Acted, Below, CancelToken};
use crate::gateway::Gateway;
use crate::limits::READ_LINES;
use crate::now::Now;

pub const READ: Tool = Tool {
    name: "read",
    description: "Reads a text file of your workspace.",
    schema: r#"{
        "type": "object",
        "properties": {
            "path": {"type": "string", "description": "in the workspace"},
            "firstLine": {"type": "integer", "minimum": 1},
            "lines": {"type": "integer", "minimum": 1}
        },
        "required": ["path"],
        "additionalProperties": false
    }"#,
    acts: |_| false,
    run: |gateway, _: Now, it| {
        let number = |name: &str, usual| it.arguments[name].as_u64().unwrap_or(usual);
        let act = Act::Read {
            at: below(gateway, it)?,
            first_line: number("firstLine", 1),
            lines_max: number("lines", READ_LINES),
        };
        Ok(gateway.act_for_tool(it, act))
    },
};

pub const WRITE: Tool = Tool {
    name: "write",
    description: "Writes a text file in your workspace, in place of what it held; folders are made.",
    schema: r#"{
        "type": "object",
        "properties": {
            "path": {"type": "string", "description": "in the workspace"},
            "text": {"type": "string", "description": "all of the file"}
        },
        "required": ["path", "text"],
        "additionalProperties": false
    }"#,
    acts: |_| true,
    run: |gateway, _: Now, it| {
        let act = Act::Write {
            at: below(gateway, it)?,
            text: whole(it, "text")?.to_owned(),
        };
        Ok(gateway.act_for_tool(it, act))
    },
};

pub const EDIT: Tool = Tool {
    name: "edit",
    description: "Replaces a text in a file of your workspace. oldText has to stand there exactly \
        once, unless all is true.",
    schema: r#"{
        "type": "object",
        "properties": {
            "path": {"type": "string", "description": "in the workspace"},
            "oldText": {"type": "string"},
            "newText": {"type": "string"},
            "all": {"type": "boolean", "description": "wherever it stands"}
        },
        "required": ["path", "oldText", "newText"],
        "additionalProperties": false
    }"#,
    acts: |_| true,
    run: |gateway, _: Now, it| {
        let act = Act::Edit {
            at: below(gateway, it)?,
            old: whole(it, "oldText")?.to_owned(),
            new: whole(it, "newText")?.to_owned(),
            all: it.arguments["all"] == true,
        };
        Ok(gateway.act_for_tool(it, act))
    },
};

fn below(gateway: &Gateway, it: &Use<'_>) -> Result<Below, String> {
    Ok(Below {
        workspace: gateway.workspace_of(gateway.agent_of_session(it.session_key)),
        path: it.required("path")?.to_owned(),
    })
}

/// A text argument as it is, blanks and all.
fn whole<'a>(it: &Use<'a>, name: &str) -> Result<&'a str, String> {
    let text = it.arguments[name].as_str();
    text.ok_or_else(|| format!("the argument {name:?} is missing"))
}

impl Gateway {
    /// Has something done on this machine that ends with a text.
    pub(super) fn act_for_tool(&mut self, it: &Use<'_>, act: Act) -> Ran {
        let tag = it.tag;
        let cancel = CancelToken::new();
        self.act(act, &cancel, move |gateway, _, acted| {
            let result = match acted {
                Acted::Text(text) => ToolResult::ok(text),
                Acted::Failed(fault) => ToolResult::error(fault),
                _ => return,
            };
            gateway.on_tool_done(tag, result);
        });
        Ran::Later(Box::new(move |_| cancel.cancel()))
    }
}
