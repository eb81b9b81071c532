//! This machine as a node.

use argh::{ArgsInfo, FromArgs};

/// lend this machine to a gateway
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "node",
    help_triggers("--help", "-h", "help"),
    example = "{command_name} run --url wss://gateway.example.org --code CODE\n{command_name} install"
)]
pub struct Node {
    #[argh(subcommand)]
    pub command: NodeCommand,
}

#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand)]
pub enum NodeCommand {
    Run(NodeRun),
    Install(NodeInstall),
    Start(NodeStart),
    Stop(NodeStop),
    Restart(NodeRestart),
    Status(NodeStatus),
    Uninstall(NodeUninstall),
}

/// serve a gateway in the foreground until it is told to stop
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "run",
    help_triggers("--help", "-h", "help"),
    note = "What is given is remembered, so the next time `{command_name}` alone does. Which commands may \
            run is up to exec-approvals.json in the state directory's folder `node`; without it none may.",
    example = "{command_name} --url wss://gateway.example.org --token-file token\n{command_name} --host 10.0.0.5 --tls --tls-fingerprint HEX --code CODE"
)]
pub struct NodeRun {
    /// the gateway's host (127.0.0.1)
    #[argh(option, arg_name = "host")]
    pub host: Option<String>,
    /// the gateway's port (18789)
    #[argh(option, arg_name = "number")]
    pub port: Option<u16>,
    /// the gateway is reached over TLS
    #[argh(switch)]
    pub tls: bool,
    /// what the node is called (this machine's name)
    #[argh(option, arg_name = "name")]
    pub display_name: Option<String>,
    /// the node's own id (one that was made once)
    #[argh(option, arg_name = "id")]
    pub node_id: Option<String>,
    /// a one-time code that lets the node in
    #[argh(option, arg_name = "code")]
    pub code: Option<String>,
}

/// let systemd keep the node running
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "install",
    help_triggers("--help", "-h", "help"),
    note = "Without systemd it says so and prints the unit. No secret is written into it: pair the node \
            once with `clawdia node run --code CODE`, or name a file with --token-file.",
    example = "{command_name} --url wss://gateway.example.org"
)]
pub struct NodeInstall {
    /// the gateway's host (127.0.0.1)
    #[argh(option, arg_name = "host")]
    pub host: Option<String>,
    /// the gateway's port (18789)
    #[argh(option, arg_name = "number")]
    pub port: Option<u16>,
    /// the gateway is reached over TLS
    #[argh(switch)]
    pub tls: bool,
    /// what the node is called (this machine's name)
    #[argh(option, arg_name = "name")]
    pub display_name: Option<String>,
    /// the node's own id (one that was made once)
    #[argh(option, arg_name = "id")]
    pub node_id: Option<String>,
}

/// start the installed node
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "start",
    help_triggers("--help", "-h", "help"),
    example = "{command_name}"
)]
pub struct NodeStart {}

/// stop the installed node
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "stop",
    help_triggers("--help", "-h", "help"),
    example = "{command_name}"
)]
pub struct NodeStop {}

/// stop the installed node and start it again
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "restart",
    help_triggers("--help", "-h", "help"),
    example = "{command_name}"
)]
pub struct NodeRestart {}

/// say whether a node runs here, for which gateway, and what it may execute
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "status",
    help_triggers("--help", "-h", "help"),
    example = "{command_name}"
)]
pub struct NodeStatus {}

/// stop the installed node and take it out of systemd
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "uninstall",
    help_triggers("--help", "-h", "help"),
    example = "{command_name}"
)]
pub struct NodeUninstall {}
