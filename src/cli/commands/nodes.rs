//! Nodes: what they are asked.

use argh::{ArgsInfo, FromArgs};

/// see the nodes, and have them do something
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "nodes",
    help_triggers("--help", "-h", "help"),
    note = "`{command_name}` alone means `{command_name} status`. A node is named by its name, \
            the start of its id, or its IP address.",
    example = "{command_name}\n{command_name} run --node build-box -- uptime\n{command_name} notify phone --body \"tea is ready\""
)]
pub struct Nodes {
    #[argh(subcommand)]
    pub command: NodesCommand,
}

#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand)]
pub enum NodesCommand {
    Status(NodesStatus),
    List(NodesList),
    Pending(NodesPending),
    Approve(NodesApprove),
    Reject(NodesReject),
    Describe(NodesDescribe),
    Rename(NodesRename),
    Invoke(NodesInvoke),
    InvokeMany(NodesInvokeMany),
    Run(NodesRun),
    Notify(NodesNotify),
}

/// show every node: who is connected, and who was last seen when
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "status",
    help_triggers("--help", "-h", "help"),
    example = "{command_name} --connected\n{command_name} --last-connected 24h"
)]
pub struct NodesStatus {
    /// only those that are connected now
    #[argh(switch)]
    pub connected: bool,
    /// only those that were connected in this time: 30m, 24h
    #[argh(option, arg_name = "duration")]
    pub last_connected: Option<String>,
}

/// show the nodes that wait to be let in, and those that are paired
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "list",
    help_triggers("--help", "-h", "help"),
    example = "{command_name}\n{command_name} --last-connected 24h --json"
)]
pub struct NodesList {
    /// only those that are connected now
    #[argh(switch)]
    pub connected: bool,
    /// only those that were connected in this time: 30m, 24h
    #[argh(option, arg_name = "duration")]
    pub last_connected: Option<String>,
}

/// show the nodes that wait to be let in
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "pending",
    help_triggers("--help", "-h", "help"),
    example = "{command_name}"
)]
pub struct NodesPending {}

/// let a waiting node in
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "approve",
    help_triggers("--help", "-h", "help"),
    example = "{command_name} 2d508ad7"
)]
pub struct NodesApprove {
    /// the request, as `nodes pending` shows it, or the name of the node
    #[argh(positional)]
    pub request: String,
}

/// turn a waiting node away
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "reject",
    help_triggers("--help", "-h", "help"),
    example = "{command_name} 2d508ad7"
)]
pub struct NodesReject {
    /// the request, as `nodes pending` shows it, or the name of the node
    #[argh(positional)]
    pub request: String,
}

/// show what one node is and can do
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "describe",
    help_triggers("--help", "-h", "help"),
    example = "{command_name} build-box"
)]
pub struct NodesDescribe {
    /// the node
    #[argh(positional)]
    pub node: String,
}

/// give a node another name
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "rename",
    help_triggers("--help", "-h", "help"),
    example = "{command_name} a3abfd30 build-box"
)]
pub struct NodesRename {
    /// the node
    #[argh(positional)]
    pub node: String,
    /// what it is called from now on
    #[argh(positional)]
    pub name: String,
}

/// have a node do one of its commands, and print what it answers
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "invoke",
    help_triggers("--help", "-h", "help"),
    note = "--timeout is how long the node may take. Commands run with `nodes run`, which asks for \
            approval where that is needed.",
    example = "{command_name} phone --command location.get\n{command_name} build-box --command system.which --params '{{\"bins\":[\"git\"]}}'"
)]
pub struct NodesInvoke {
    /// the node
    #[argh(positional)]
    pub node: String,
    /// what it is to do, as `nodes describe` shows it
    #[argh(option, arg_name = "name")]
    pub command: String,
    /// parameters, as JSON
    #[argh(option, arg_name = "json")]
    pub params: Option<String>,
    /// the same key never does it twice (default: a new one)
    #[argh(option, arg_name = "key")]
    pub idempotency_key: Option<String>,
    /// keep it for a node that is away, and have it done when the node is back
    #[argh(switch)]
    pub queue: bool,
    /// how long it is kept with --queue: 30m, 24h, 7d (default: a day)
    #[argh(option, arg_name = "duration")]
    pub ttl: Option<String>,
}

/// have many nodes do something, a few at a time; each outcome is printed as it comes
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "invoke-many",
    help_triggers("--help", "-h", "help"),
    note = "Only nodes that are connected are asked, and each runs what its own rules allow: nobody \
            is asked for an approval. Ends with 0 where every node did it, else with 1. --timeout is \
            how long each may take; --json prints a line a node, then the sum.",
    example = "{command_name} --platform linux -- uptime\n{command_name} --name 'box-*' --command system.which --params '{{\"bins\":[\"git\"]}}'\n{command_name} --node phone --node tablet --command location.get"
)]
pub struct NodesInvokeMany {
    /// a node; may be repeated
    #[argh(option, arg_name = "node")]
    pub node: Vec<String>,
    /// nodes of this platform: linux, macos, windows, ios, android
    #[argh(option, arg_name = "platform")]
    pub platform: Option<String>,
    /// nodes that have this capability; may be repeated
    #[argh(option, arg_name = "cap")]
    pub cap: Vec<String>,
    /// nodes with such a name; * stands for anything
    #[argh(option, arg_name = "pattern")]
    pub name: Option<String>,
    /// every connected node
    #[argh(switch)]
    pub all: bool,
    /// what they are to do, as `nodes describe` shows it
    #[argh(option, arg_name = "name")]
    pub command: Option<String>,
    /// parameters, as JSON
    #[argh(option, arg_name = "json")]
    pub params: Option<String>,
    /// how many are asked at a time (default: 16)
    #[argh(option, arg_name = "count")]
    pub parallelism: Option<u64>,
    /// the same key never does it twice (default: a new one)
    #[argh(option, arg_name = "key")]
    pub idempotency_key: Option<String>,
    /// a program and its arguments to run, after --
    #[argh(positional, greedy)]
    pub words: Vec<String>,
}

/// run a command on a node, and print what it prints
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "run",
    help_triggers("--help", "-h", "help"),
    note = "Ends with 0 where the command did, else with 1. --timeout is how long it may take once it runs \
            (default: 30s). Where the node wants a person's approval, that is asked for first, and waits two \
            minutes of its own.",
    example = "{command_name} --node build-box -- uptime\n{command_name} --node build-box --raw \"ls | wc -l\""
)]
pub struct NodesRun {
    /// the node (default: the only one that is connected and runs commands)
    #[argh(option, arg_name = "node")]
    pub node: Option<String>,
    /// the directory to run in
    #[argh(option, arg_name = "dir")]
    pub cwd: Option<String>,
    /// a variable for the command; may be repeated
    #[argh(option, arg_name = "name=value")]
    pub env: Vec<String>,
    /// a line for the node's shell, in place of a command
    #[argh(option, arg_name = "line")]
    pub raw: Option<String>,
    /// the command and its arguments, after --
    #[argh(positional, greedy)]
    pub words: Vec<String>,
}

/// show a notification on a node
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "notify",
    help_triggers("--help", "-h", "help"),
    example = "{command_name} phone --title Kitchen --body \"tea is ready\""
)]
pub struct NodesNotify {
    /// the node
    #[argh(positional)]
    pub node: String,
    /// the first line
    #[argh(option, arg_name = "text")]
    pub title: Option<String>,
    /// what it says
    #[argh(option, arg_name = "text")]
    pub body: Option<String>,
    /// how urgent it is: passive, active or timeSensitive
    #[argh(option, arg_name = "level")]
    pub priority: Option<String>,
}
