//! `clawdia voicewake …`

use serde_json::json;

use super::super::commands::VoicewakeCommand;
use super::super::exit::{Failure, Outcome};
use super::super::out::Out;
use super::super::setup::Setup;
use super::super::text::printable;
use super::list;

/// Shows or replaces the wake words.
pub fn run(command: VoicewakeCommand, setup: &Setup, out: &mut Out) -> Outcome {
    let (method, params) = match command {
        VoicewakeCommand::Get(_) => ("voicewake.get", json!({})),
        VoicewakeCommand::Set(args) if args.words.is_empty() => {
            return Err(Failure::usage("give at least one word"));
        }
        VoicewakeCommand::Set(args) => ("voicewake.set", json!({"triggers": args.words})),
    };
    let mut session = setup.connect()?;
    let payload = session.call(method, &params)?;
    session.client.close();
    if out.wants_json() {
        out.json(&payload)?;
        return Ok(());
    }
    for word in list(&payload, "triggers")
        .iter()
        .filter_map(|word| word.as_str())
    {
        out.line(&printable(word))?;
    }
    Ok(())
}
