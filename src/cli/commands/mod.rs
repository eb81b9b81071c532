//! Every command and its options, a file for each subject: parsing, help and shell completion come from here.

mod approvals;
mod care;
mod channels;
mod config;
mod devices;
mod gateway;
mod node;
mod nodes;
mod remote;
mod sessions;
mod system;

use argh::{ArgsInfo, FromArgs};

pub use approvals::*;
pub use care::*;
pub use channels::*;
pub use config::*;
pub use devices::*;
pub use gateway::*;
pub use node::*;
pub use nodes::*;
pub use remote::*;
pub use sessions::*;
pub use system::*;

/// Clawdia: a gateway for your personal AI agent.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    help_triggers("--help", "-h", "help"),
    example = "{command_name} gateway run\n{command_name} agent --message \"who is connected?\"",
    error_code(1, "it failed"),
    error_code(2, "the command line is wrong"),
    error_code(78, "the configuration or a state file is at fault")
)]
pub struct Cli {
    #[argh(subcommand)]
    pub command: Command,
}

/// What can be asked for.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand)]
#[allow(clippy::large_enum_variant, reason = "there is one, once")]
pub enum Command {
    Gateway(Gateway),
    Agent(Agent),
    Chat(Chat),
    Health(Health),
    Status(Status),
    Logs(Logs),
    Sessions(Sessions),
    Devices(Devices),
    Approvals(Approvals),
    Node(Node),
    Nodes(Nodes),
    Channels(Channels),
    Pairing(Pairing),
    Message(Message),
    Models(Models),
    Mcp(Mcp),
    Cron(Cron),
    System(System),
    Voicewake(Voicewake),
    Config(Config),
    Tunnel(Tunnel),
    Remote(Remote),
    Token(Token),
    Dashboard(Dashboard),
    Setup(SetupArgs),
    Doctor(Doctor),
    Security(Security),
    Import(Import),
    Backup(Backup),
    Restore(Restore),
    Completion(Completion),
    Version(Version),
}

/// ask the gateway how it is
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "health",
    help_triggers("--help", "-h", "help"),
    example = "{command_name}\n{command_name} --json --url ws://127.0.0.1:18789"
)]
pub struct Health {}

/// show the gateway, who is connected, and the latest sessions
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "status",
    help_triggers("--help", "-h", "help"),
    example = "{command_name}\n{command_name} --deep"
)]
pub struct Status {
    /// probe the channels and look at devices too
    #[argh(switch)]
    pub deep: bool,
}

/// see the servers whose tools the agents use
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "mcp",
    help_triggers("--help", "-h", "help"),
    note = "`{command_name}` alone means `{command_name} list`. Servers are configured: mcp.servers.NAME.command or .url.",
    example = "{command_name} list"
)]
pub struct Mcp {
    #[argh(subcommand)]
    pub command: McpCommand,
}

#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand)]
pub enum McpCommand {
    List(McpList),
}

/// list the servers, how they are, and their tools
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "list",
    help_triggers("--help", "-h", "help"),
    example = "{command_name}"
)]
pub struct McpList {}

/// print a script that teaches your shell these commands
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "completion",
    help_triggers("--help", "-h", "help"),
    example = "source <({command_name} bash)\n\
               {command_name} zsh > ~/.zfunc/_clawdia\n\
               {command_name} fish > ~/.config/fish/completions/clawdia.fish"
)]
pub struct Completion {
    /// bash, zsh or fish
    #[argh(positional)]
    pub shell: String,
}

/// print the version
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "version",
    help_triggers("--help", "-h", "help"),
    example = "{command_name}"
)]
pub struct Version {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_says_what_it_does_and_shows_how() {
        fn check(command: &argh::CommandInfoWithArgs) {
            assert!(!command.description.is_empty(), "{}", command.name);
            assert!(!command.examples.is_empty(), "{}", command.name);
            for flag in command.flags {
                assert!(
                    !flag.description.is_empty(),
                    "{} {}",
                    command.name,
                    flag.long
                );
            }
            for sub in &command.commands {
                check(&sub.command);
            }
        }
        check(&Cli::get_args_info());
    }
}
