//! Devices: who may come in.

use argh::{ArgsInfo, FromArgs};

/// see who may connect, and let devices in or shut them out
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "devices",
    help_triggers("--help", "-h", "help"),
    note = "`{command_name}` alone means `{command_name} list`. Ids may be shortened.",
    example = "{command_name}\n{command_name} approve 2d508ad7\n{command_name} pair --role node\n{command_name} revoke a3abfd30 --role node"
)]
pub struct Devices {
    #[argh(subcommand)]
    pub command: DevicesCommand,
}

#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand)]
pub enum DevicesCommand {
    List(DevicesList),
    Approve(DevicesApprove),
    Reject(DevicesReject),
    Rotate(DevicesRotate),
    Revoke(DevicesRevoke),
    Remove(DevicesRemove),
    Pair(DevicesPair),
}

/// list devices that wait and devices that are paired
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "list",
    help_triggers("--help", "-h", "help"),
    example = "{command_name} --json"
)]
pub struct DevicesList {}

/// let a waiting device in
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "approve",
    help_triggers("--help", "-h", "help"),
    example = "{command_name} 2d508ad7\n{command_name} --latest"
)]
pub struct DevicesApprove {
    /// the request, as `devices list` shows it
    #[argh(positional)]
    pub request: Option<String>,
    /// the request that came last
    #[argh(switch)]
    pub latest: bool,
}

/// turn a waiting device away
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "reject",
    help_triggers("--help", "-h", "help"),
    example = "{command_name} 2d508ad7"
)]
pub struct DevicesReject {
    /// the request, as `devices list` shows it
    #[argh(positional)]
    pub request: String,
}

/// replace a device's token, also to give it fewer scopes
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "rotate",
    help_triggers("--help", "-h", "help"),
    example = "{command_name} a3abfd30 --role operator --scope operator.read"
)]
pub struct DevicesRotate {
    /// the device, as `devices list` shows it
    #[argh(positional)]
    pub device: String,
    /// the role of the token: operator or node (default: the device's only one)
    #[argh(option, arg_name = "role")]
    pub role: Option<String>,
    /// a scope that the new token has; may be repeated (default: those of the old one)
    #[argh(option, arg_name = "scope")]
    pub scope: Vec<String>,
}

/// take a device's token away and close its connections
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "revoke",
    help_triggers("--help", "-h", "help"),
    note = "The device stays in the list, and its other role as it is; `devices remove` takes it out.",
    example = "{command_name} a3abfd30 --role node"
)]
pub struct DevicesRevoke {
    /// the device, as `devices list` shows it
    #[argh(positional)]
    pub device: String,
    /// the role of the token: operator or node (default: the device's only one)
    #[argh(option, arg_name = "role")]
    pub role: Option<String>,
}

/// forget a paired device and close its connections
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "remove",
    help_triggers("--help", "-h", "help"),
    note = "It is in no list any more, and comes back only as a new device does.",
    example = "{command_name} a3abfd30"
)]
pub struct DevicesRemove {
    /// the device, as `devices list` shows it
    #[argh(positional)]
    pub device: String,
}

/// make a code, and a picture of it to scan, that lets one device in without approval
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "pair",
    help_triggers("--help", "-h", "help"),
    note = "A code works once and for five minutes at most. It holds no other secret.",
    example = "{command_name}\n{command_name} --role operator --scopes read,write --address wss://home.example"
)]
pub struct DevicesPair {
    /// what the device may be: node or operator (default: node)
    #[argh(option, arg_name = "role", default = "\"node\".into()")]
    pub role: String,
    /// what an operator may do, with commas between (default: read,write)
    #[argh(option, arg_name = "scopes")]
    pub scopes: Option<String>,
    /// seconds until the code ends by itself (default: 300)
    #[argh(option, arg_name = "seconds")]
    pub ttl: Option<u64>,
    /// the gateway's address as the device reaches it, such as wss://home.example
    #[argh(option, arg_name = "url")]
    pub address: Option<String>,
}
