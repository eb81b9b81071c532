//! Words that were spoken here: each line that a command prints becomes a transcript for the
//! gateway, which starts a run with it (Voice Wake forwarding).

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use super::super::super::exit::Failure;
use super::super::super::far::{self, Far};
use super::super::super::setup::Setup;
use crate::client::backoff::Backoff;
use crate::client::identity::Identity;
use crate::client::party::host_name;
use crate::client::tokens::TokenStore;
use crate::client::{Client, ClientError, ConnectOptions, ErrorKind, Party, connect_as, random};
use crate::io::sys;
use crate::limits::{CLIENT_TIMEOUT_MS, VOICE_LINE_BYTES_MAX};

/// Where the voice keeps its own key, in the state directory: to the gateway it is another device
/// than the command line.
const FOLDER: &str = "voice";

/// Starts the command of the person on a thread that lives as long as it, and sends what it prints.
pub fn start(command: String, far: Far, setup: Setup) {
    thread::spawn(move || {
        if let Err(fault) = forward(&command, &far, &setup) {
            eprintln!("clawdia: the voice ended: {fault}");
        }
    });
}

fn forward(command: &str, far: &Far, setup: &Setup) -> Result<(), String> {
    let mut shell = Command::new("sh");
    shell
        .args(["-c", command])
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    sys::die_with_this_thread(&mut shell);
    let mut child = shell.spawn().map_err(|fault| fault.to_string())?;
    let mut lines = BufReader::new(child.stdout.take().ok_or("it has no output")?);
    while let Some(line) = next_line(&mut lines).map_err(|fault| fault.to_string())? {
        let words = line.trim();
        if !words.is_empty() {
            // Meanwhile the command waits: nothing that was said is dropped.
            say(words, far, setup).map_err(|error| error.to_string())?;
        }
    }
    let status = child.wait().map_err(|fault| fault.to_string())?;
    Err(format!(
        "`{command}` {}",
        crate::remote::tunnel::how(status)
    ))
}

/// The next line, cut to its bound; what is longer goes on as another one.
fn next_line(lines: &mut impl BufRead) -> std::io::Result<Option<String>> {
    let mut line = Vec::new();
    let count = lines
        .take(VOICE_LINE_BYTES_MAX)
        .read_until(b'\n', &mut line)?;
    Ok((count > 0).then(|| String::from_utf8_lossy(&line).into_owned()))
}

/// Tells the gateway, again and again until it has taken it. Each time on a connection of its own:
/// between two utterances nobody would answer the gateway's pings.
fn say(words: &str, far: &Far, setup: &Setup) -> Result<(), ClientError> {
    let payload = json!({"text": words}).to_string();
    let params = json!({"event": "voice.transcript", "payloadJSON": payload});
    let mut backoff = Backoff::default();
    loop {
        let deadline = Instant::now() + Duration::from_millis(CLIENT_TIMEOUT_MS);
        let told = connect(far, setup, deadline).and_then(|mut client| {
            client.call("node.event", &params, deadline)?;
            client.close();
            Ok(())
        });
        let Err(error) = told else { return Ok(()) };
        let Some(delay_ms) = backoff.delay_ms(&error, random::number()?) else {
            return Err(error);
        };
        thread::sleep(Duration::from_millis(delay_ms));
    }
}

fn connect(far: &Far, setup: &Setup, deadline: Instant) -> Result<Client, ClientError> {
    let dir = setup.paths.state_dir.join(FOLDER);
    let tokens = TokenStore::new(&dir, setup.profile());
    let identity = Identity::load_or_create(&dir)?;
    let told = |failure: Failure| {
        let kind = match failure.passes {
            true => ErrorKind::Unreachable,
            false => ErrorKind::Configuration,
        };
        ClientError::new(kind, failure.message.clone())
    };
    let config = setup.client_config().map_err(told)?;
    let mut to = setup.through_kept(far, &config).map_err(told)?;
    let Some((login, way)) = &to.way else {
        return Err(ClientError::new(
            ErrorKind::Unreachable,
            "there is no tunnel",
        ));
    };
    let stored = to
        .gateway
        .as_ref()
        .map(|gateway| tokens.get(gateway, "node"));
    if to.secrets.is_empty() && stored.transpose()?.flatten().is_none() {
        to.secrets = far::fetch(login).unwrap_or_default();
    }
    let options = ConnectOptions {
        url: &to.url,
        secrets: &to.secrets,
        gateway: to.gateway.as_ref(),
        pin: None,
        identity: &identity,
        tokens: &tokens,
        mode: "node",
        insecure: false,
        still_meant: &|| way.holds(),
    };
    connect_as(&party()?, &options, deadline)
}

/// A node that only speaks: it offers no commands.
fn party() -> Result<Party, ClientError> {
    let mut client = Map::new();
    client.insert("instanceId".into(), random::uuid()?.into());
    let name = host_name().unwrap_or_else(|| "this machine".into());
    client.insert("displayName".into(), format!("{name} (voice)").into());
    let mut connect = Map::new();
    connect.insert("caps".into(), json!(["voice"]));
    connect.insert("commands".into(), Value::Array(Vec::new()));
    Ok(Party {
        client_id: "node-host",
        role: "node",
        scopes: &[],
        client,
        connect,
        code: None,
    })
}
