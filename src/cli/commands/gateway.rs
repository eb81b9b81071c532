//! What is asked about the gateway itself.

use argh::{ArgsInfo, FromArgs};

use super::{Agent, Health};

/// run the gateway, or ask a running one
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "gateway",
    help_triggers("--help", "-h", "help"),
    note = "`{command_name}` alone means `{command_name} run`.",
    example = "{command_name} run --port 18789\n{command_name} call sessions.list --params '{{\"limit\":5}}'"
)]
pub struct Gateway {
    #[argh(subcommand)]
    pub command: GatewayCommand,
}

#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand)]
pub enum GatewayCommand {
    Run(GatewayRunArgs),
    Status(GatewayStatus),
    Health(Health),
    Probe(GatewayProbe),
    Discover(GatewayDiscover),
    List(GatewayList),
    Fingerprint(GatewayFingerprint),
    Call(GatewayCall),
    Send(GatewaySend),
    Agent(Agent),
    Install(GatewayInstall),
    Start(GatewayStart),
    Stop(GatewayStop),
    Restart(GatewayRestart),
    Uninstall(GatewayUninstall),
}

/// keep the gateway running as a service of systemd
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "install",
    help_triggers("--help", "-h", "help"),
    note = "The unit holds no secret: the gateway reads it from its configuration or state directory. \
            Where no systemd can be asked, the unit is printed.",
    example = "{command_name}\nsudo {command_name} --system --user clawdia"
)]
pub struct GatewayInstall {
    /// a unit of the machine instead of one of this user; needs root and --user
    #[argh(switch)]
    pub system: bool,
    /// the user that a unit of the machine runs as
    #[argh(option, arg_name = "name")]
    pub user: Option<String>,
    /// port to listen on, where the configuration's is not meant
    #[argh(option, arg_name = "number")]
    pub port: Option<u16>,
}

/// start the installed service
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "start",
    help_triggers("--help", "-h", "help"),
    example = "{command_name}"
)]
pub struct GatewayStart {}

/// stop the gateway, be it a service or not
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "stop",
    help_triggers("--help", "-h", "help"),
    example = "{command_name}"
)]
pub struct GatewayStop {}

/// restart the gateway, be it a service or not
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "restart",
    help_triggers("--help", "-h", "help"),
    example = "{command_name}"
)]
pub struct GatewayRestart {}

/// stop the service and remove its unit; state and configuration stay
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "uninstall",
    help_triggers("--help", "-h", "help"),
    example = "{command_name}"
)]
pub struct GatewayUninstall {}

/// run the gateway in the foreground until it is told to stop
#[derive(FromArgs, ArgsInfo, Debug, Default, Clone)]
#[argh(
    subcommand,
    name = "run",
    help_triggers("--help", "-h", "help"),
    note = "--token, --token-file and --password set the secret that clients must know. \
            Without any, one is made and kept in the state directory.",
    example = "{command_name}\n{command_name} --bind lan --token-file ~/.secrets/gateway"
)]
pub struct GatewayRunArgs {
    /// port to listen on; 0 takes a free one
    #[argh(option, arg_name = "number")]
    pub port: Option<u16>,
    /// where to listen: loopback, lan, tailnet, auto or custom
    #[argh(option, arg_name = "mode")]
    pub bind: Option<String>,
    /// what clients must know: token or password
    #[argh(option, arg_name = "mode")]
    pub auth: Option<String>,
    /// start on defaults where CLAWDIA_CONFIG_PATH names no file
    #[argh(switch)]
    pub allow_unconfigured: bool,
    /// first stop the gateway that runs on this state directory
    #[argh(switch)]
    pub force: bool,
    /// log to the terminal as well
    #[argh(switch)]
    pub verbose: bool,
}

/// say whether the gateway runs, where, and since when
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "status",
    help_triggers("--help", "-h", "help"),
    example = "{command_name}"
)]
pub struct GatewayStatus {}

/// try every gateway this machine knows: the local one, the remote one, those behind tunnels
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "probe",
    help_triggers("--help", "-h", "help"),
    example = "{command_name}\n{command_name} --url wss://gateway.example.org\n{command_name} --ssh you@host"
)]
pub struct GatewayProbe {}

/// listen for gateways that tell this machine's networks of themselves
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "discover",
    help_triggers("--help", "-h", "help"),
    note = "Anybody on a network can say anything: nothing of it is kept or trusted.",
    example = "{command_name}\n{command_name} --timeout 5 --json"
)]
pub struct GatewayDiscover {}

/// list the gateways of this machine: one a profile
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "list",
    help_triggers("--help", "-h", "help"),
    example = "{command_name}\n{command_name} --json"
)]
pub struct GatewayList {}

/// print what the gateway's certificate is known by: its fingerprint and its key's
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "fingerprint",
    help_triggers("--help", "-h", "help"),
    note = "Reads the files of this gateway, which need not run. With --url it prints what is \
            shown at that address, by whomever.",
    example = "{command_name}\n{command_name} --url wss://gateway.example.org:18789"
)]
pub struct GatewayFingerprint {}

/// call one method and print its answer
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "call",
    help_triggers("--help", "-h", "help"),
    example = "{command_name} health\n{command_name} chat.history --params '{{\"sessionKey\":\"main\"}}'"
)]
pub struct GatewayCall {
    /// the method, for example sessions.list
    #[argh(positional)]
    pub method: String,
    /// the parameters, as JSON (an object; {{}} if left away)
    #[argh(option, arg_name = "json")]
    pub params: Option<String>,
    /// wait for the second answer of a method that answers twice (agent)
    #[argh(switch)]
    pub expect_final: bool,
}

/// send a message to somebody through a channel
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "send",
    help_triggers("--help", "-h", "help"),
    example = "{command_name} --channel telegram --to 123456 --message \"done\""
)]
pub struct GatewaySend {
    /// whom, in the channel's own form
    #[argh(option, arg_name = "recipient")]
    pub to: String,
    /// the text; - reads it from standard input
    #[argh(option, arg_name = "text", short = 'm')]
    pub message: String,
    /// the channel, for example telegram
    #[argh(option, arg_name = "name")]
    pub channel: Option<String>,
    /// the channel's account
    #[argh(option, arg_name = "id")]
    pub account: Option<String>,
    /// repeating a message with the same key sends it only once
    #[argh(option, arg_name = "key")]
    pub idempotency_key: Option<String>,
}
