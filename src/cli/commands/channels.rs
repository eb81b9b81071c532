//! Channels, and who may write through them.

use argh::{ArgsInfo, FromArgs};

/// see the messaging channels
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "channels",
    help_triggers("--help", "-h", "help"),
    note = "`{command_name}` alone means `{command_name} status`.",
    example = "{command_name} status --probe"
)]
pub struct Channels {
    #[argh(subcommand)]
    pub command: ChannelsCommand,
}

#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand)]
pub enum ChannelsCommand {
    Status(ChannelsStatus),
    Logout(ChannelsLogout),
}

/// stop using an account until the gateway starts again
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "logout",
    help_triggers("--help", "-h", "help"),
    note = "To stop using it for good: clawdia config set channels.telegram.enabled false",
    example = "{command_name} telegram --account work"
)]
pub struct ChannelsLogout {
    /// the channel, such as telegram
    #[argh(positional)]
    pub channel: String,
    /// the account; default without it
    #[argh(option, arg_name = "id")]
    pub account: Option<String>,
}

/// let in people who write to a channel
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "pairing",
    help_triggers("--help", "-h", "help"),
    note = "`{command_name}` alone means `{command_name} list`. Devices are let in with: clawdia devices approve",
    example = "{command_name} list\n{command_name} approve telegram ABCD2345"
)]
pub struct Pairing {
    #[argh(subcommand)]
    pub command: PairingCommand,
}

#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand)]
pub enum PairingCommand {
    List(PairingList),
    Approve(PairingApprove),
    Revoke(PairingRevoke),
}

/// show who waits with a code, and who was let in
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "list",
    help_triggers("--help", "-h", "help"),
    example = "{command_name} telegram"
)]
pub struct PairingList {
    /// only this channel
    #[argh(positional)]
    pub channel: Option<String>,
}

/// let the person with this code in
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "approve",
    help_triggers("--help", "-h", "help"),
    example = "{command_name} telegram ABCD2345"
)]
pub struct PairingApprove {
    /// the channel, such as telegram
    #[argh(positional)]
    pub channel: String,
    /// the code that the person was told
    #[argh(positional)]
    pub code: String,
}

/// let a person in no more
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "revoke",
    help_triggers("--help", "-h", "help"),
    example = "{command_name} telegram 123456789"
)]
pub struct PairingRevoke {
    /// the channel, such as telegram
    #[argh(positional)]
    pub channel: String,
    /// the person's id in that channel
    #[argh(positional)]
    pub id: String,
}

/// write to somebody in a channel
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "message",
    help_triggers("--help", "-h", "help"),
    example = "{command_name} send --to 123456789 --message 'Dinner is ready'"
)]
pub struct Message {
    #[argh(subcommand)]
    pub command: MessageCommand,
}

#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand)]
pub enum MessageCommand {
    Send(MessageSend),
}

/// send a message and say what became of it
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "send",
    help_triggers("--help", "-h", "help"),
    note = "A repeat with the same --key sends nothing and says what became of the first.",
    example = "{command_name} --to 123456789 --message 'Dinner is ready'\n{command_name} --to @news --media https://example.org/a.jpg"
)]
pub struct MessageSend {
    /// whom: a chat's number or @name
    #[argh(option, arg_name = "who")]
    pub to: String,
    /// the text, in Markdown
    #[argh(option, arg_name = "text")]
    pub message: Option<String>,
    /// a photo or file of the default agent's workspace, by its path, or an https address
    #[argh(option, arg_name = "path")]
    pub media: Option<String>,
    /// send a photo as a file, unchanged
    #[argh(switch)]
    pub document: bool,
    /// the channel; telegram without it
    #[argh(option, arg_name = "name")]
    pub channel: Option<String>,
    /// the channel's account
    #[argh(option, arg_name = "id")]
    pub account: Option<String>,
    /// names this message, so that a repeat is known
    #[argh(option, arg_name = "key")]
    pub key: Option<String>,
}

/// show each channel's accounts
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "status",
    help_triggers("--help", "-h", "help"),
    example = "{command_name} --probe"
)]
pub struct ChannelsStatus {
    /// ask the services themselves
    #[argh(switch)]
    pub probe: bool,
}
