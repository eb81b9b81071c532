//! Messages of a conversation as a provider reads them, and the tools that a model may ask for.

use std::borrow::Cow;
use std::sync::Arc;

/// One message of the conversation so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChatMessage {
    pub speaker: Speaker,
    /// What was said; of a tool, its result. Empty where a model only asked for tools.
    pub text: Arc<str>,
    /// Of a user's message, or a tool's result.
    pub images: Vec<Image>,
    pub unix_ms: u64,
}

/// A picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// One that models read.
    pub media_type: &'static str,
    /// Base64.
    pub data: Arc<str>,
}

impl Image {
    /// The media types that models read.
    pub const TYPES: [&'static str; 4] = ["image/png", "image/jpeg", "image/gif", "image/webp"];
}

/// Who said a message, with what only such a message has.
///
/// Every call of an assistant's message is answered by exactly one tool's message behind it:
/// OpenAI's `tool_calls` and role `tool`, Anthropic's `tool_use` and `tool_result` blocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Speaker {
    User,
    System,
    Assistant { calls: Vec<ToolCall> },
    Tool(Answered),
}

/// Which call a tool's message answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    pub call_id: Arc<str>,
    /// The tool's.
    pub name: Arc<str>,
    pub is_error: bool,
}

/// One use of a tool that a model asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolCall {
    /// Given by the model's provider; not empty, and of no other call of the same message.
    pub id: Arc<str>,
    pub name: Arc<str>,
    /// JSON text as the model wrote it, which may be nonsense.
    pub arguments: Arc<str>,
}

/// A tool as a model is told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolSpec {
    pub name: Cow<'static, str>,
    /// For the model: what it does and when to use it.
    pub description: Cow<'static, str>,
    /// The JSON Schema of its arguments, as JSON text.
    pub schema: Cow<'static, str>,
}
