//! `clawdia remote …`: gateways on other machines, through SSH.

mod down;
mod lend;
mod list;
mod up;
mod voice;

use super::super::commands::RemoteCommand;
use super::super::exit::{Failure, Outcome};
use super::super::out::Out;
use super::super::setup::Setup;
use crate::remote::record::{Record, Records};
use crate::remote::target::SshTarget;

/// Does what was asked for.
pub fn run(command: RemoteCommand, setup: &Setup, out: &mut Out) -> Outcome {
    match command {
        RemoteCommand::Up(args) => up::run(args, setup, out),
        RemoteCommand::Status(args) => list::status(args.target.as_deref(), setup, out),
        RemoteCommand::List(_) => list::list(setup, out),
        RemoteCommand::Down(args) => down::run(args, setup, out),
    }
}

/// The records of one target, or all.
fn records(target: Option<&str>, setup: &Setup) -> Result<Vec<Record>, Failure> {
    let records = Records::new(&setup.paths.state_dir);
    let Some(text) = target else {
        return Ok(records.list());
    };
    let target = SshTarget::parse(text).map_err(Failure::usage)?;
    let found = records.of(&target, None);
    match found.is_empty() {
        true => Err(
            Failure::failed(format!("no gateway of {target} is known here"))
                .mend(format!("clawdia remote up {target}")),
        ),
        false => Ok(found),
    }
}
