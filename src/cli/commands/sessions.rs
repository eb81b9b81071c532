//! Sessions, what is said in them, and with which model.

use argh::{ArgsInfo, FromArgs};

/// give the agent a message and print its answer as it comes
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "agent",
    help_triggers("--help", "-h", "help"),
    note = "Without --session it is the main session of the default agent. --timeout is how long the run may take \
            (default: as configured, and ten minutes are waited for it).",
    example = "{command_name} --message \"who is connected?\"\n\
               git diff | {command_name} --session review --message -"
)]
pub struct Agent {
    /// the message; - reads it from standard input
    #[argh(option, arg_name = "text", short = 'm')]
    pub message: String,
    /// the session's whole key, for example agent:main:main
    #[argh(option, arg_name = "key")]
    pub session_key: Option<String>,
    /// the session's name within the default agent
    #[argh(option, arg_name = "name")]
    pub session: Option<String>,
    /// how hard to think: off, minimal, low, medium, high or xhigh
    #[argh(option, arg_name = "level")]
    pub thinking: Option<String>,
    /// how long to wait here; the run itself goes on (default: 10 s more than --timeout)
    #[argh(option, arg_name = "duration")]
    pub local_timeout: Option<String>,
    /// repeating a message with the same key runs it only once
    #[argh(option, arg_name = "key")]
    pub idempotency_key: Option<String>,
}

/// talk with the agent in this terminal: what it says as it comes, until /quit or the end of input
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "chat",
    help_triggers("--help", "-h", "help"),
    note = "Lines are messages. /stop stops the answer, /quit leaves, /history shows more of what was said; every other \
            line with a slash is a command of the gateway: /help lists them.",
    example = "{command_name}\n{command_name} --session work --history 20"
)]
pub struct Chat {
    /// the session's name within the default agent, or its whole key
    #[argh(option, arg_name = "name")]
    pub session: Option<String>,
    /// how hard to think: off, minimal, low, medium, high or xhigh
    #[argh(option, arg_name = "level")]
    pub thinking: Option<String>,
    /// how many earlier messages to begin with (default: 10)
    #[argh(option, arg_name = "number")]
    pub history: Option<u32>,
}

/// list, read and change chat sessions
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "sessions",
    help_triggers("--help", "-h", "help"),
    note = "`{command_name}` alone means `{command_name} list`.",
    example = "{command_name}\n{command_name} preview main"
)]
pub struct Sessions {
    #[argh(subcommand)]
    pub command: SessionsCommand,
}

#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand)]
pub enum SessionsCommand {
    List(SessionsList),
    Preview(SessionsPreview),
    Patch(SessionsPatch),
    Reset(SessionsReset),
    Compact(SessionsCompact),
    Delete(SessionsDelete),
}

/// list sessions, the latest first
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "list",
    help_triggers("--help", "-h", "help"),
    example = "{command_name} --active 60"
)]
pub struct SessionsList {
    /// at most so many
    #[argh(option, arg_name = "number", short = 'n')]
    pub limit: Option<u32>,
    /// only those used in the last so many minutes
    #[argh(option, arg_name = "minutes")]
    pub active: Option<u32>,
    /// only those whose key or label contains this
    #[argh(option, arg_name = "text")]
    pub search: Option<String>,
}

/// show the last messages of a session
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "preview",
    help_triggers("--help", "-h", "help"),
    example = "{command_name} main -n 5"
)]
pub struct SessionsPreview {
    /// the session's key
    #[argh(positional)]
    pub key: String,
    /// at most so many messages
    #[argh(option, arg_name = "number", short = 'n')]
    pub limit: Option<u32>,
}

/// change what a session has set; an empty value unsets it
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "patch",
    help_triggers("--help", "-h", "help"),
    example = "{command_name} main --label \"my desk\" --thinking low"
)]
pub struct SessionsPatch {
    /// the session's key
    #[argh(positional)]
    pub key: String,
    /// a name for people, at most 64 characters
    #[argh(option, arg_name = "text")]
    pub label: Option<String>,
    /// how hard to think: off, minimal, low, medium, high or xhigh
    #[argh(option, arg_name = "level")]
    pub thinking: Option<String>,
    /// whether tools are shown: on or off
    #[argh(option, arg_name = "on|off")]
    pub verbose_level: Option<String>,
    /// the model, for example anthropic/claude-sonnet-4-5
    #[argh(option, arg_name = "provider/model")]
    pub model: Option<String>,
}

/// begin a session anew under its key
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "reset",
    help_triggers("--help", "-h", "help"),
    example = "{command_name} main"
)]
pub struct SessionsReset {
    /// the session's key
    #[argh(positional)]
    pub key: String,
}

/// keep only the last part of a session
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "compact",
    help_triggers("--help", "-h", "help"),
    example = "{command_name} main --max-lines 200"
)]
pub struct SessionsCompact {
    /// the session's key
    #[argh(positional)]
    pub key: String,
    /// at most so many lines
    #[argh(option, arg_name = "number")]
    pub max_lines: Option<u32>,
}

/// delete a session
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "delete",
    help_triggers("--help", "-h", "help"),
    example = "{command_name} agent:main:old"
)]
pub struct SessionsDelete {
    /// the session's key
    #[argh(positional)]
    pub key: String,
}

/// see the models that can be used
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "models",
    help_triggers("--help", "-h", "help"),
    note = "`{command_name}` alone means `{command_name} list`.",
    example = "{command_name} list"
)]
pub struct Models {
    #[argh(subcommand)]
    pub command: ModelsCommand,
}

#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand)]
pub enum ModelsCommand {
    List(ModelsList),
    Status(ModelsStatus),
}

/// say which model each agent uses, and where it is
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "status",
    help_triggers("--help", "-h", "help"),
    example = "{command_name}"
)]
pub struct ModelsStatus {}

/// list the models
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "list",
    help_triggers("--help", "-h", "help"),
    example = "{command_name}"
)]
pub struct ModelsList {}
