//! Gateways elsewhere.

use argh::{ArgsInfo, FromArgs};

/// keep an SSH tunnel to a gateway open
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "tunnel",
    help_triggers("--help", "-h", "help"),
    note = "Without a target it is the one of gateway.remote. The tunnel is checked by talking to the \
            gateway and opened again on the same port when it breaks. Keys and known hosts are \
            those of your own ssh.",
    example = "{command_name} you@host\n{command_name} you@host:2222 --local-port 4000 --identity ~/.ssh/gateway"
)]
pub struct Tunnel {
    /// you@host or you@host:port
    #[argh(positional)]
    pub target: Option<String>,
    /// the port on this machine (default: the former one, else the gateway's)
    #[argh(option, arg_name = "port")]
    pub local_port: Option<u16>,
    /// the gateway's port on the host (default: the former one, else 18789)
    #[argh(option, arg_name = "port")]
    pub remote_port: Option<u16>,
    /// the private key's file
    #[argh(option, arg_name = "file")]
    pub identity: Option<String>,
}

/// use a gateway on another machine, through SSH
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "remote",
    help_triggers("--help", "-h", "help"),
    note = "`{command_name}` alone means `{command_name} list`.",
    example = "{command_name} up you@host\n{command_name} status\n{command_name} down you@host"
)]
pub struct Remote {
    #[argh(subcommand)]
    pub command: RemoteCommand,
}

#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand)]
pub enum RemoteCommand {
    Up(RemoteUp),
    Status(RemoteStatus),
    List(RemoteList),
    Down(RemoteDown),
}

/// find the gateway on a host, open a tunnel to it, pair, and keep it open
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "up",
    help_triggers("--help", "-h", "help"),
    note = "The host is asked over ssh for its gateway's port and, where it is needed, its token.",
    example = "{command_name} you@host\n{command_name} you@host --default --node --detach\n\
               {command_name} you@host --voice ~/bin/transcribe"
)]
pub struct RemoteUp {
    /// you@host or you@host:port (default: the one of gateway.remote)
    #[argh(positional)]
    pub target: Option<String>,
    /// the port on this machine (default: the former one, else the gateway's)
    #[argh(option, arg_name = "port")]
    pub local_port: Option<u16>,
    /// the gateway's port on the host (default: asked for)
    #[argh(option, arg_name = "port")]
    pub remote_port: Option<u16>,
    /// the private key's file
    #[argh(option, arg_name = "file")]
    pub identity: Option<String>,
    /// make it the gateway that every command of this profile talks to
    #[argh(switch)]
    pub default: bool,
    /// lend this machine to the gateway as a node
    #[argh(switch)]
    pub node: bool,
    /// tell the agent each line that this command prints, as words that were spoken here
    #[argh(option, arg_name = "command")]
    pub voice: Option<String>,
    /// go on in the background once it is up
    #[argh(switch)]
    pub detach: bool,
}

/// ask each remote gateway through its tunnel how it is
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "status",
    help_triggers("--help", "-h", "help"),
    example = "{command_name}\n{command_name} you@host --json"
)]
pub struct RemoteStatus {
    /// only this one
    #[argh(positional)]
    pub target: Option<String>,
}

/// list the remote gateways that this profile knows
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "list",
    help_triggers("--help", "-h", "help"),
    example = "{command_name}"
)]
pub struct RemoteList {}

/// close tunnels
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "down",
    help_triggers("--help", "-h", "help"),
    example = "{command_name} you@host\n{command_name} --all"
)]
pub struct RemoteDown {
    /// whose
    #[argh(positional)]
    pub target: Option<String>,
    /// all of this profile
    #[argh(switch)]
    pub all: bool,
    /// forget its ports as well
    #[argh(switch)]
    pub forget: bool,
}
