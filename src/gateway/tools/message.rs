//! The `message` tool: writes to somebody in a channel.

use super::{CallTag, Ran, Tool, ToolResult, Use};
use crate::channels;
use crate::gateway::Gateway;
use crate::gateway::channels::{Letter, Receiver};
use crate::limits::CHAT_TEXT_BYTES_MAX;
use crate::now::Now;
use crate::state::{OutgoingFile, Text};
use serde_json::json;

pub const TOOL: Tool = Tool {
    name: "message",
    description: "Writes to somebody in a chat channel, such as telegram. Your answer goes to whoever \
        wrote to you anyway: use this to write to somebody else, or by yourself. Without `to` the \
        message goes where this session was written from last.",
    schema: r#"{
        "type": "object",
        "properties": {
            "message": {"type": "string", "description": "what to say, in Markdown"},
            "channel": {"type": "string", "description": "the channel; without it that of this session"},
            "to": {"type": "string", "description": "a chat's number or @name"},
            "accountId": {"type": "string", "description": "the channel's account, where there are several"},
            "media": {"type": "string", "description": "a file of your workspace, or an https address, to send with it"},
            "asDocument": {"type": "boolean", "description": "a picture as a file, unchanged"}
        },
        "required": ["message"],
        "additionalProperties": false
    }"#,
    acts: |_| true,
    run,
};

fn run(gateway: &mut Gateway, _: Now, it: &Use<'_>) -> Result<Ran, String> {
    let message = it.required("message")?;
    if message.len() > CHAT_TEXT_BYTES_MAX {
        return Err(format!(
            "the message is longer than {CHAT_TEXT_BYTES_MAX} bytes"
        ));
    }
    let session = gateway.session(it.session_key);
    let from = session.and_then(|it| it.last_channel.clone().zip(it.last_to.clone()));
    let named = it.text("channel").map(Text::from);
    let only = || Text::from(channels::KINDS.first().map_or("", |kind| kind.name));
    let channel = named
        .or_else(|| from.as_ref().map(|(channel, _)| channel.clone()))
        .unwrap_or_else(only);
    let last = from.filter(|(from, _)| *from == channel).map(|(_, to)| to);
    let Some(to) = it.text("to").map(Text::from).or(last) else {
        return Err("the argument \"to\" is missing: nobody wrote to this session".into());
    };
    let receiver = gateway
        .receiver_named(&channel, &to, it.text("accountId"))
        .map_err(|refusal| refusal.message.into_owned())?;
    let media = it.text("media");
    let (media_url, path) = match media {
        Some(url) if url.starts_with("https://") => (Some(url), None),
        Some(other) if other.contains("://") => {
            return Err("media is an https address, or a path in your workspace".into());
        }
        path => (None, path),
    };
    let agent = gateway.agent_of_session(it.session_key);
    let file = path.map(|path| OutgoingFile {
        workspace: gateway.workspace_of(agent).into(),
        path: path.into(),
        is_document: it.arguments["asDocument"] == true,
    });
    let letter = Letter {
        media_url,
        file,
        session_key: Some(it.session_key.clone()),
        ..Letter::text(message)
    };
    gateway.post_for_tool(it.tag, &receiver, &letter)
}

impl Gateway {
    /// Stores the message; from then on it is sent, whatever becomes of the run.
    fn post_for_tool(
        &mut self,
        tag: CallTag,
        to: &Receiver,
        letter: &Letter<'_>,
    ) -> Result<Ran, String> {
        let records = self.letters(to, letter);
        if records.is_empty() {
            return Err("too many messages wait for their channel".into());
        }
        let (channel, chat) = (to.channel.clone(), to.chat.clone());
        self.commit(Vec::new(), records, move |gateway, _, result| {
            let result = match result {
                Ok(()) => {
                    gateway.offer_outgoing();
                    ToolResult::json(json!({"accepted": true, "channel": &*channel, "to": &*chat}))
                }
                Err(fault) => ToolResult::error(format!("the message is not sent: {fault}")),
            };
            gateway.on_tool_done(tag, result);
        });
        Ok(Ran::Later(Box::new(|_| {})))
    }
}
