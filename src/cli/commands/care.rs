//! What keeps an installation well.

use argh::{ArgsInfo, FromArgs};

/// print the secret that clients of the local gateway need
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "token",
    help_triggers("--help", "-h", "help"),
    example = "{command_name}\n{command_name} --path"
)]
pub struct Token {
    /// print where it is kept instead
    #[argh(switch)]
    pub path: bool,
}

/// print and open the web page's address
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "dashboard",
    help_triggers("--help", "-h", "help"),
    note = "The address contains the gateway's token: keep it to yourself.",
    example = "{command_name} --no-open"
)]
pub struct Dashboard {
    /// only print it
    #[argh(switch)]
    pub no_open: bool,
}

/// find what is wrong with this installation, and the command that mends it
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "doctor",
    help_triggers("--help", "-h", "help"),
    note = "Looks at configuration, state, permissions, port and secret, then does the whole handshake. \
            Exits with 1 where something is at fault.",
    example = "{command_name}\n{command_name} --json --url ws://127.0.0.1:18789"
)]
pub struct Doctor {}

/// look for what lets others in
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "security",
    help_triggers("--help", "-h", "help"),
    note = "`{command_name}` alone means `{command_name} audit`.",
    example = "{command_name} audit --json"
)]
pub struct Security {
    #[argh(subcommand)]
    pub command: SecurityCommand,
}

#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand)]
pub enum SecurityCommand {
    Audit(SecurityAudit),
}

/// list findings by severity, each with the command that mends it
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "audit",
    help_triggers("--help", "-h", "help"),
    note = "Exits with 1 where a finding is critical.",
    example = "{command_name}\n{command_name} --json"
)]
pub struct SecurityAudit {}

/// take over the state directory of an existing installation
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "import",
    help_triggers("--help", "-h", "help"),
    note = "Takes the configuration, the paired devices with their tokens, and the sessions. \
            What is here already stays, and the directory is only read.",
    example = "{command_name} ~/.clawdbot\n{command_name} ~/.clawdbot --dry-run"
)]
pub struct Import {
    /// the directory, for example ~/.clawdbot
    #[argh(positional, arg_name = "directory")]
    pub dir: String,
    /// say what would be taken over, and change nothing
    #[argh(switch)]
    pub dry_run: bool,
}

/// copy the whole state into one file, also while the gateway runs
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "backup",
    help_triggers("--help", "-h", "help"),
    example = "{command_name} ~/clawdia.backup"
)]
pub struct Backup {
    /// the file to write; it must not exist
    #[argh(positional)]
    pub file: String,
}

/// bring back the state from a backup; the gateway must be stopped
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "restore",
    help_triggers("--help", "-h", "help"),
    example = "{command_name} ~/clawdia.backup"
)]
pub struct Restore {
    /// the file that `backup` wrote
    #[argh(positional)]
    pub file: String,
}
