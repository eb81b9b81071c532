//! Approvals: what agents and nodes may execute.

use argh::{ArgsInfo, FromArgs};

/// see and change what may be executed, and decide about commands that wait
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "approvals",
    help_triggers("--help", "-h", "help"),
    note = "`{command_name}` alone means `{command_name} list`. Ids may be shortened.",
    example = "{command_name}\n{command_name} approve 11fc2ad6\n{command_name} allowlist add /usr/bin/uptime --node kitchen"
)]
pub struct Approvals {
    #[argh(subcommand)]
    pub command: ApprovalsCommand,
}

#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand)]
pub enum ApprovalsCommand {
    List(ApprovalsList),
    Approve(ApprovalsApprove),
    Deny(ApprovalsDeny),
    Resolve(ApprovalsResolve),
    Get(ApprovalsGet),
    Set(ApprovalsSet),
    Allowlist(ApprovalsAllowlist),
}

/// list commands that wait for a decision
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "list",
    help_triggers("--help", "-h", "help"),
    example = "{command_name} --json"
)]
pub struct ApprovalsList {}

/// let a waiting command run
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "approve",
    help_triggers("--help", "-h", "help"),
    example = "{command_name} 11fc2ad6\n{command_name} 11fc2ad6 --always"
)]
pub struct ApprovalsApprove {
    /// the request, as `approvals list` shows it
    #[argh(positional)]
    pub id: String,
    /// its programs need no approval from now on
    #[argh(switch)]
    pub always: bool,
}

/// turn a waiting command away
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "deny",
    help_triggers("--help", "-h", "help"),
    example = "{command_name} 11fc2ad6"
)]
pub struct ApprovalsDeny {
    /// the request, as `approvals list` shows it
    #[argh(positional)]
    pub id: String,
}

/// decide in the protocol's own words
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "resolve",
    help_triggers("--help", "-h", "help"),
    example = "{command_name} 11fc2ad6 allow-once"
)]
pub struct ApprovalsResolve {
    /// the request, as `approvals list` shows it
    #[argh(positional)]
    pub id: String,
    /// allow-once, allow-always or deny
    #[argh(positional)]
    pub decision: String,
}

/// show what may be executed
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "get",
    help_triggers("--help", "-h", "help"),
    example = "{command_name}\n{command_name} --node kitchen --json"
)]
pub struct ApprovalsGet {
    /// a node's id, name or address, instead of the gateway
    #[argh(option, arg_name = "node")]
    pub node: Option<String>,
    /// the gateway itself (the default)
    #[argh(switch)]
    pub gateway: bool,
}

/// put a file in place of what may be executed
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "set",
    help_triggers("--help", "-h", "help"),
    example = "{command_name} --file exec-approvals.json\n{command_name} --file - --node kitchen"
)]
pub struct ApprovalsSet {
    /// the file, JSON5; `-` is standard input
    #[argh(option, arg_name = "file")]
    pub file: String,
    /// a node's id, name or address, instead of the gateway
    #[argh(option, arg_name = "node")]
    pub node: Option<String>,
    /// the gateway itself (the default)
    #[argh(switch)]
    pub gateway: bool,
}

/// add and remove patterns of programs that need no approval
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "allowlist",
    help_triggers("--help", "-h", "help"),
    note = "A pattern is a path; * and ? stand for characters within a name, ** for any.",
    example = "{command_name} add /usr/bin/uptime\n{command_name} remove /usr/bin/uptime --agent main"
)]
pub struct ApprovalsAllowlist {
    #[argh(subcommand)]
    pub command: AllowlistCommand,
}

#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand)]
pub enum AllowlistCommand {
    Add(AllowlistAdd),
    Remove(AllowlistRemove),
}

/// allow programs for good
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "add",
    help_triggers("--help", "-h", "help"),
    example = "{command_name} '/usr/bin/*' --agent main"
)]
pub struct AllowlistAdd {
    /// the pattern of their paths
    #[argh(positional)]
    pub pattern: String,
    /// whose commands: an agent's id (default: `*`, all of them)
    #[argh(option, arg_name = "agent", default = "\"*\".into()")]
    pub agent: String,
    /// a node's id, name or address, instead of the gateway
    #[argh(option, arg_name = "node")]
    pub node: Option<String>,
    /// the gateway itself (the default)
    #[argh(switch)]
    pub gateway: bool,
}

/// allow programs no longer
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "remove",
    help_triggers("--help", "-h", "help"),
    example = "{command_name} '/usr/bin/*' --agent main"
)]
pub struct AllowlistRemove {
    /// the pattern, as `approvals get` shows it
    #[argh(positional)]
    pub pattern: String,
    /// whose commands: an agent's id (default: `*`, all of them)
    #[argh(option, arg_name = "agent", default = "\"*\".into()")]
    pub agent: String,
    /// a node's id, name or address, instead of the gateway
    #[argh(option, arg_name = "node")]
    pub node: Option<String>,
    /// the gateway itself (the default)
    #[argh(switch)]
    pub gateway: bool,
}
