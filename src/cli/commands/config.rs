//! Configuration.

use argh::{ArgsInfo, FromArgs};

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
