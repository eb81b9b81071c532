//! What happens by itself, and what has happened.

use argh::{ArgsInfo, FromArgs};

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
    /// once: a time such as 2026-12-24T18:00+01:00 (UTC without a zone), or a duration from now such as 20m
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
    /// how hard to think: off, minimal, low, medium, high or xhigh
    #[argh(option, arg_name = "level")]
    pub thinking: Option<String>,
    /// the longest time of a run
    #[argh(option, arg_name = "duration")]
    pub run_timeout: Option<String>,
    /// send the answer to a channel as well: where the agent was written from last
    #[argh(switch)]
    pub deliver: bool,
    /// send it to this channel, for example telegram
    #[argh(option, arg_name = "name")]
    pub channel: Option<String>,
    /// send it to this receiver there
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
    /// once: a time such as 2026-12-24T18:00+01:00 (UTC without a zone), or a duration from now such as 20m
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
    /// how hard to think: off, minimal, low, medium, high or xhigh
    #[argh(option, arg_name = "level")]
    pub thinking: Option<String>,
    /// the longest time of a run
    #[argh(option, arg_name = "duration")]
    pub run_timeout: Option<String>,
    /// send the answer to a channel as well: where the agent was written from last
    #[argh(switch)]
    pub deliver: bool,
    /// send it to this channel, for example telegram
    #[argh(option, arg_name = "name")]
    pub channel: Option<String>,
    /// send it to this receiver there
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
