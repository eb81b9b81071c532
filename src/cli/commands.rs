//! Every command and its options: parsing, help and shell completion come from this table.

use argh::{ArgsInfo, FromArgs};

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
#[derive(FromArgs, ArgsInfo, Debug)]
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
    /// taken as it is in the ecosystem: an unconfigured gateway starts anyway
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

/// give the agent a message and print its answer as it comes
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "agent",
    help_triggers("--help", "-h", "help"),
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
    /// how hard to think: off, minimal, low, medium or high
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
    /// how hard to think: off, minimal, low, medium or high
    #[argh(option, arg_name = "level")]
    pub thinking: Option<String>,
    /// how many earlier messages to begin with (default: 10)
    #[argh(option, arg_name = "number")]
    pub history: Option<u32>,
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

/// show the gateway's log
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "logs",
    help_triggers("--help", "-h", "help"),
    example = "{command_name} --level warn\n{command_name} --follow"
)]
pub struct Logs {
    /// go on printing as lines come, also over a restart of the gateway
    #[argh(switch, short = 'f')]
    pub follow: bool,
    /// how many lines to begin with (default: 200)
    #[argh(option, arg_name = "number", short = 'n')]
    pub limit: Option<u32>,
    /// leave out what matters less: error, warn, info, debug or trace
    #[argh(option, arg_name = "level")]
    pub level: Option<String>,
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
    /// how hard to think: off, minimal, low, medium or high
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
    #[argh(option, arg_name = "path")]
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
    note = "Ends with 0 where the command did, else with 1. --timeout is how long it may take \
            (default: 30s). Where the node wants a person's approval, that is asked for first.",
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
}

/// list the models
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "list",
    help_triggers("--help", "-h", "help"),
    example = "{command_name}"
)]
pub struct ModelsList {}

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

/// what runs by itself: scheduled jobs
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "cron",
    help_triggers("--help", "-h", "help"),
    example = "{command_name} add --name news --cron \"0 7 * * *\" --tz Europe/Vienna --message \"what is new?\"\n\
               {command_name} add --name tea --at 20m --system-event \"the tea is ready\" --now\n\
               {command_name} list"
)]
pub struct Cron {
    #[argh(subcommand)]
    pub command: CronCommand,
}

#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand)]
#[allow(clippy::large_enum_variant, reason = "there is one, once")]
pub enum CronCommand {
    Add(CronAdd),
    List(CronList),
    Status(CronStatus),
    Edit(CronEdit),
    Rm(CronRm),
    Enable(CronEnable),
    Disable(CronDisable),
    Run(CronRun),
    Runs(CronRuns),
}

/// add a job
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "add",
    help_triggers("--help", "-h", "help"),
    example = "{command_name} --name news --every 12h --message \"what is new?\""
)]
pub struct CronAdd {
    /// how it is called
    #[argh(option, arg_name = "name")]
    pub name: String,
    /// what the agent is asked, in a session of the job's own
    #[argh(option, arg_name = "text", short = 'm')]
    pub message: Option<String>,
    /// a line for the agent's main session instead
    #[argh(option, arg_name = "text")]
    pub system_event: Option<String>,
    /// once: a time such as 2026-12-24T18:00+01:00, or a duration from now such as 20m
    #[argh(option, arg_name = "time")]
    pub at: Option<String>,
    /// again and again: 30s, 20m, 12h or 7d
    #[argh(option, arg_name = "duration")]
    pub every: Option<String>,
    /// by the clock: minute hour day month weekday
    #[argh(option, arg_name = "expression")]
    pub cron: Option<String>,
    /// the zone of that clock, for example Europe/Vienna (default: the gateway's own)
    #[argh(option, arg_name = "zone")]
    pub tz: Option<String>,
    /// the agent that is asked (default: the default one)
    #[argh(option, arg_name = "id")]
    pub agent: Option<String>,
    /// the model that answers, as provider/model
    #[argh(option, arg_name = "name")]
    pub model: Option<String>,
    /// how hard to think: off, minimal, low, medium or high
    #[argh(option, arg_name = "level")]
    pub thinking: Option<String>,
    /// the longest time of a run
    #[argh(option, arg_name = "duration")]
    pub run_timeout: Option<String>,
    /// send the answer to a channel as well
    #[argh(switch)]
    pub deliver: bool,
    /// the channel, for example telegram
    #[argh(option, arg_name = "name")]
    pub channel: Option<String>,
    /// who gets it there
    #[argh(option, arg_name = "receiver")]
    pub to: Option<String>,
    /// what the job is for
    #[argh(option, arg_name = "text")]
    pub description: Option<String>,
    /// the main session hears of it at once, not at its next heartbeat
    #[argh(switch)]
    pub now: bool,
    /// add it switched off
    #[argh(switch)]
    pub disabled: bool,
    /// a job that runs once goes when it has run well
    #[argh(switch)]
    pub delete_after_run: bool,
}

/// change what a job does, and when; what is not named stays
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "edit",
    help_triggers("--help", "-h", "help"),
    example = "{command_name} news --cron \"30 7 * * 1-5\""
)]
pub struct CronEdit {
    /// its name, its id or the start of that
    #[argh(positional)]
    pub job: String,
    /// another name
    #[argh(option, arg_name = "name")]
    pub name: Option<String>,
    /// what the agent is asked, in a session of the job's own
    #[argh(option, arg_name = "text", short = 'm')]
    pub message: Option<String>,
    /// a line for the agent's main session instead
    #[argh(option, arg_name = "text")]
    pub system_event: Option<String>,
    /// once: a time such as 2026-12-24T18:00+01:00, or a duration from now such as 20m
    #[argh(option, arg_name = "time")]
    pub at: Option<String>,
    /// again and again: 30s, 20m, 12h or 7d
    #[argh(option, arg_name = "duration")]
    pub every: Option<String>,
    /// by the clock: minute hour day month weekday
    #[argh(option, arg_name = "expression")]
    pub cron: Option<String>,
    /// the zone of that clock, for example Europe/Vienna (default: the gateway's own)
    #[argh(option, arg_name = "zone")]
    pub tz: Option<String>,
    /// the agent that is asked (default: the default one)
    #[argh(option, arg_name = "id")]
    pub agent: Option<String>,
    /// the model that answers, as provider/model
    #[argh(option, arg_name = "name")]
    pub model: Option<String>,
    /// how hard to think: off, minimal, low, medium or high
    #[argh(option, arg_name = "level")]
    pub thinking: Option<String>,
    /// the longest time of a run
    #[argh(option, arg_name = "duration")]
    pub run_timeout: Option<String>,
    /// send the answer to a channel as well
    #[argh(switch)]
    pub deliver: bool,
    /// the channel, for example telegram
    #[argh(option, arg_name = "name")]
    pub channel: Option<String>,
    /// who gets it there
    #[argh(option, arg_name = "receiver")]
    pub to: Option<String>,
    /// what the job is for
    #[argh(option, arg_name = "text")]
    pub description: Option<String>,
}

/// list the jobs
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "list",
    help_triggers("--help", "-h", "help"),
    example = "{command_name}"
)]
pub struct CronList {
    /// also those that are switched off
    #[argh(switch)]
    pub all: bool,
}

/// say whether jobs run, and when the next one is due
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "status",
    help_triggers("--help", "-h", "help"),
    example = "{command_name}"
)]
pub struct CronStatus {}

/// remove a job and its history
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "rm",
    help_triggers("--help", "-h", "help"),
    example = "{command_name} news"
)]
pub struct CronRm {
    /// its name, its id or the start of that
    #[argh(positional)]
    pub job: String,
}

/// switch a job on
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "enable",
    help_triggers("--help", "-h", "help"),
    example = "{command_name} news"
)]
pub struct CronEnable {
    /// its name, its id or the start of that
    #[argh(positional)]
    pub job: String,
}

/// switch a job off
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "disable",
    help_triggers("--help", "-h", "help"),
    example = "{command_name} news"
)]
pub struct CronDisable {
    /// its name, its id or the start of that
    #[argh(positional)]
    pub job: String,
}

/// start a job now
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "run",
    help_triggers("--help", "-h", "help"),
    example = "{command_name} news"
)]
pub struct CronRun {
    /// its name, its id or the start of that
    #[argh(positional)]
    pub job: String,
    /// only if it is due
    #[argh(switch)]
    pub due: bool,
}

/// show what became of the last runs of a job
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "runs",
    help_triggers("--help", "-h", "help"),
    example = "{command_name} news"
)]
pub struct CronRuns {
    /// its name, its id or the start of that
    #[argh(positional)]
    pub job: String,
    /// how many (default: 20)
    #[argh(option, arg_name = "number", short = 'n')]
    pub limit: Option<u32>,
}

/// events, presence and heartbeats
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "system",
    help_triggers("--help", "-h", "help"),
    example = "{command_name} presence\n{command_name} event --text \"the build is done\" --mode now"
)]
pub struct System {
    #[argh(subcommand)]
    pub command: SystemCommand,
}

#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand)]
pub enum SystemCommand {
    Event(SystemEvent),
    Presence(SystemPresence),
    Heartbeat(SystemHeartbeat),
}

/// tell the agent that something happened
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "event",
    help_triggers("--help", "-h", "help"),
    example = "{command_name} --text \"the build is done\" --mode now"
)]
pub struct SystemEvent {
    /// what happened
    #[argh(option, arg_name = "text")]
    pub text: String,
    /// when the agent looks at it: now or next-heartbeat (default)
    #[argh(option, arg_name = "mode")]
    pub mode: Option<String>,
}

/// show who is connected
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "presence",
    help_triggers("--help", "-h", "help"),
    example = "{command_name}"
)]
pub struct SystemPresence {}

/// show the last heartbeat, or switch heartbeats on and off
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "heartbeat",
    help_triggers("--help", "-h", "help"),
    example = "{command_name} disable"
)]
pub struct SystemHeartbeat {
    /// last (default), enable or disable
    #[argh(positional)]
    pub action: Option<String>,
}

/// the words that wake a listening device
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "voicewake",
    help_triggers("--help", "-h", "help"),
    example = "{command_name} get\n{command_name} set clawdia computer"
)]
pub struct Voicewake {
    #[argh(subcommand)]
    pub command: VoicewakeCommand,
}

#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand)]
pub enum VoicewakeCommand {
    Get(VoicewakeGet),
    Set(VoicewakeSet),
}

/// show them
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "get",
    help_triggers("--help", "-h", "help"),
    example = "{command_name}"
)]
pub struct VoicewakeGet {}

/// replace them
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "set",
    help_triggers("--help", "-h"),
    example = "{command_name} clawdia \"hey computer\""
)]
pub struct VoicewakeSet {
    /// one word or phrase each
    #[argh(positional)]
    pub words: Vec<String>,
}

/// read and change the configuration file
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "config",
    help_triggers("--help", "-h", "help"),
    note = "These commands work on the file itself, whether or not the gateway runs. \
            Comments in it are kept.",
    example = "{command_name} get gateway.port\n{command_name} set gateway.bind lan\n{command_name} validate"
)]
pub struct Config {
    #[argh(subcommand)]
    pub command: ConfigCommand,
}

#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand)]
pub enum ConfigCommand {
    Get(ConfigGet),
    Set(ConfigSet),
    Unset(ConfigUnset),
    Path(ConfigPath),
    Validate(ConfigValidate),
}

/// print a value, or everything; secrets are hidden
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "get",
    help_triggers("--help", "-h", "help"),
    example = "{command_name} gateway.port"
)]
pub struct ConfigGet {
    /// where, for example gateway.port
    #[argh(positional)]
    pub path: Option<String>,
}

/// set a value; what is no JSON5 is taken as text
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "set",
    help_triggers("--help", "-h"),
    example = "{command_name} gateway.auth.token '${{MY_TOKEN}}'\n\
               {command_name} agents.defaults.model.primary anthropic/claude-sonnet-4-5"
)]
pub struct ConfigSet {
    /// where, for example gateway.port
    #[argh(positional)]
    pub path: String,
    /// the value, as JSON5 or text
    #[argh(positional)]
    pub value: String,
}

/// remove a value
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "unset",
    help_triggers("--help", "-h", "help"),
    example = "{command_name} gateway.port"
)]
pub struct ConfigUnset {
    /// where, for example gateway.port
    #[argh(positional)]
    pub path: String,
}

/// print where the file is
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "path",
    help_triggers("--help", "-h", "help"),
    example = "$EDITOR \"$({command_name})\""
)]
pub struct ConfigPath {}

/// report every fault of the file
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "validate",
    help_triggers("--help", "-h", "help"),
    example = "{command_name}"
)]
pub struct ConfigValidate {}

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

/// set this machine up: secret, where to listen, which model answers
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "setup",
    help_triggers("--help", "-h", "help"),
    note = "Asks where it is run at a terminal; what an option answers is not asked. The secret is \
            --token, --token-file or --password, or a token that is made.",
    example = "{command_name}\n\
               {command_name} --yes --bind tailnet --model anthropic/claude-sonnet-4-5 --api-key-env ANTHROPIC_API_KEY"
)]
pub struct SetupArgs {
    /// where to listen: loopback, lan, tailnet, auto or custom
    #[argh(option, arg_name = "mode")]
    pub bind: Option<String>,
    /// the address of --bind custom
    #[argh(option, arg_name = "address")]
    pub host: Option<String>,
    /// port to listen on
    #[argh(option, arg_name = "number")]
    pub port: Option<u16>,
    /// the model that answers, for example anthropic/claude-sonnet-4-5; builtin needs none
    #[argh(option, arg_name = "provider/model")]
    pub model: Option<String>,
    /// the environment variable that holds the provider's key; the key itself is not stored
    #[argh(option, arg_name = "name")]
    pub api_key_env: Option<String>,
    /// ask nothing: take the defaults
    #[argh(switch, short = 'y')]
    pub yes: bool,
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
