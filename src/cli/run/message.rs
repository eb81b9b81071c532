//! `clawdia message send`

use serde_json::json;

use super::super::commands::MessageCommand;
use super::super::exit::{Failure, Outcome};
use super::super::out::Out;
use super::super::setup::{Session, Setup};
use super::{list, text};
use crate::client::{ErrorKind, random};

/// Sends a message and says what became of it.
pub fn run(command: MessageCommand, setup: &Setup, out: &mut Out) -> Outcome {
    let MessageCommand::Send(args) = command;
    if args.message.is_none() && args.media.is_none() {
        return Err(Failure::usage("give --message or --media"));
    }
    let key = match args.key {
        Some(key) => key,
        None => random::uuid()?,
    };
    let mut params = json!({"to": args.to, "idempotencyKey": key});
    for (name, value) in [
        ("message", args.message),
        ("mediaUrl", args.media),
        ("channel", args.channel),
        ("accountId", args.account),
    ] {
        if let Some(value) = value {
            params[name] = value.into();
        }
    }
    if args.document {
        params["forceDocument"] = true.into();
    }
    let mut session = setup.connect()?;
    let sent = session.call("send", &params).map_err(kept);
    let payload = sent.map_err(|failure| with_channels(failure, &mut session))?;
    session.client.close();
    if out.wants_json() {
        out.json(&payload)?;
        return Ok(());
    }
    let (channel, id) = (text(&payload, "channel"), text(&payload, "messageId"));
    out.line(&format!("sent over {channel} as message {id}"))?;
    Ok(())
}

/// Who named a channel that there is not is told which ones are there.
fn with_channels(failure: Failure, session: &mut Session) -> Failure {
    if !failure.message.starts_with("unsupported channel") {
        return failure;
    }
    let shown = session
        .call("channels.status", &json!({}))
        .unwrap_or_default();
    let names = list(&shown, "channelOrder")
        .iter()
        .filter_map(|it| it.as_str());
    let names = names.filter(|name| shown["channels"][*name]["configured"] == true);
    let told = match names.collect::<Vec<_>>().join(", ") {
        names if names.is_empty() => "none yet".to_owned(),
        names => names,
    };
    failure
        .fact("there are", told)
        .mend("clawdia channels status")
}

/// Who waits no longer must not send it again: the gateway goes on with what it has.
fn kept(mut failure: Failure) -> Failure {
    let is_timeout = |cause: &crate::client::ClientError| cause.kind == ErrorKind::Timeout;
    if failure.cause.as_ref().is_some_and(is_timeout) {
        failure.message =
            "not sent yet: the gateway keeps the message and sends it once the channel takes it"
                .into();
        failure.mend =
            vec!["clawdia channels status   # why it waits; sent again, it comes twice".into()];
    }
    failure
}
