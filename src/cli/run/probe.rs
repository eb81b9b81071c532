//! `clawdia gateway probe`: every gateway that this machine knows, and what answered.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::super::exit::{Failure, Outcome};
use super::super::far::{Far, Way};
use super::super::out::{Out, Paint};
use super::super::setup::{Destination, Session, Setup};
use super::{text, unix_ms};
use crate::client::GatewayUrl;
use crate::client::secret::Secrets;
use crate::config::{Config, MdnsMode};
use crate::io::discovery;
use crate::limits::DISCOVER_FOR_PROBE_MS;
use crate::remote::beacon::Found;
use crate::remote::record::{Record, Records};

/// A gateway to try: what it is to this machine, where, and how to get there.
struct Candidate<'a> {
    name: &'static str,
    place: String,
    reach: Box<dyn Fn() -> Result<Destination, Failure> + 'a>,
}

/// Tries what `--url` or `--ssh` names, else all.
pub fn run(setup: &Setup, out: &mut Out) -> Outcome {
    let config = setup.client_config()?;
    let mut rows = Vec::new();
    for candidate in candidates(setup, &config)? {
        let started = Instant::now();
        let probed = (candidate.reach)()
            .and_then(|to| setup.connect_to(to, "probe"))
            .and_then(|session| ask(session, started));
        let mut row = match probed {
            Ok(row) => row,
            Err(failure) => json!({"ok": false, "error": {
                "code": failure.code, "message": failure.message, "mend": failure.mend}}),
        };
        row["name"] = candidate.name.into();
        row["url"] = candidate.place.into();
        rows.push(row);
    }
    print(&rows, out)?;
    if rows.iter().any(|row| row["ok"] == true) {
        return Ok(());
    }
    let failure = Failure::failed("no gateway answered");
    Err(
        match setup.globals.url.is_some() || setup.globals.ssh.is_some() {
            true => failure,
            false => failure.mend("clawdia gateway run"),
        },
    )
}

fn candidates<'a>(setup: &'a Setup, config: &'a Config) -> Result<Vec<Candidate<'a>>, Failure> {
    let by_url = |name, url: GatewayUrl| Candidate {
        name,
        place: url.to_string(),
        reach: Box::new(move || setup.destination_of(url.clone(), config)),
    };
    let by_ssh = |name, far: Far| Candidate {
        name,
        place: format!("ssh {}", far.login.target),
        reach: Box::new(move || setup.through(&far, config)),
    };
    if setup.globals.ssh.is_some() {
        let far = setup.far(config)?;
        return Ok(far.into_iter().map(|far| by_ssh("given", far)).collect());
    }
    if let Some(text) = &setup.globals.url {
        let url = GatewayUrl::parse(text).map_err(Failure::usage)?;
        return Ok(vec![by_url("given", url)]);
    }
    let mut found = vec![by_url("local", setup.local_url(config)?)];
    let configured = Far::configured(config)?;
    match (&configured, setup.remote_url(config)?) {
        (Some(far), _) => found.push(by_ssh("remote", far.clone())),
        (None, Some(url)) => found.push(by_url("remote", url)),
        (None, None) => {}
    }
    let records = Records::new(&setup.paths.state_dir).list();
    for record in records {
        let target = record.target();
        let is_configured = configured
            .as_ref()
            .is_some_and(|far| Ok(&far.login.target) == target.as_ref());
        if !is_configured && record.is_watched() {
            found.push(by_record(record, setup, config));
        }
    }
    if config.discovery.mdns.mode != Some(MdnsMode::Off) {
        found.extend(discovered(setup, config));
    }
    Ok(found)
}

/// Those that the network told of, if anybody. They are strangers: no secret and no device token goes
/// there, also not one that was meant for somebody else; what the network said is no pin either.
fn discovered<'a>(setup: &'a Setup, config: &'a Config) -> Vec<Candidate<'a>> {
    let time = Duration::from_millis(DISCOVER_FOR_PROBE_MS);
    // A machine without such a network has the other ways.
    let heard = discovery::browse(time).unwrap_or_default();
    let urls = heard.iter().filter_map(Found::url);
    let urls = urls.filter_map(|url| GatewayUrl::parse(&url).ok());
    let stranger = move |url: GatewayUrl| -> Result<Destination, Failure> {
        Ok(Destination {
            secrets: Secrets::default(),
            gateway: None,
            ..setup.destination_of(url, config)?
        })
    };
    urls.map(|url| Candidate {
        name: "discovered",
        place: url.to_string(),
        reach: Box::new(move || stranger(url.clone())),
    })
    .collect()
}

/// A tunnel that another process keeps open: told as it stands, never opened for a probe.
fn by_record<'a>(record: Record, setup: &'a Setup, config: &'a Config) -> Candidate<'a> {
    let reach = move |record: &Record| {
        let Some(ssh) = record.ssh.clone().filter(|_| record.stands()) else {
            let fault = record.fault.clone();
            let fault = fault.unwrap_or_else(|| format!("the tunnel is {}", record.phase.word()));
            return Err(Failure::failed(fault));
        };
        let far = Far::typed(&record.target, None, Some(record.remote_port), config)?;
        let way = Way::Standing(ssh, record.local_port);
        setup.destination_by(&far, way, record.remote_port, config)
    };
    Candidate {
        name: "tunnel",
        place: format!(
            "ws://127.0.0.1:{} (ssh {})",
            record.local_port, record.target
        ),
        reach: Box::new(move || reach(&record)),
    }
}

fn ask(mut session: Session, started: Instant) -> Result<Value, Failure> {
    let connect_ms = started.elapsed().as_millis() as u64;
    let health = session.call("health", &json!({}))?;
    let presence = session.call("system-presence", &json!({}))?;
    let hello = session.client.hello();
    let row = json!({
        "ok": health["ok"] == true,
        "connectMs": connect_ms,
        "totalMs": started.elapsed().as_millis() as u64,
        "version": hello.server_version,
        "protocol": hello.protocol,
        "health": health,
        "presence": presence,
    });
    session.client.close();
    Ok(row)
}

fn print(rows: &[Value], out: &mut Out) -> Outcome {
    if out.wants_json() {
        out.json(&json!({"ts": unix_ms(), "targets": rows}))?;
        return Ok(());
    }
    for row in rows {
        let (mark, paint) = if row["ok"] == true {
            ("●", Paint::Good)
        } else {
            ("○", Paint::Bad)
        };
        let head = format!(
            "{} {:<10} {}",
            out.paint(paint, mark),
            text(row, "name"),
            text(row, "url")
        );
        out.line(&head)?;
        if row["ok"] == true {
            let version = format!("{} (protocol {})", text(row, "version"), row["protocol"]);
            out.field("version", Paint::Plain, &version)?;
            let took = format!(
                "{} ms to connect, {} ms in all",
                row["connectMs"], row["totalMs"]
            );
            out.field("took", Paint::Plain, &took)?;
        } else {
            out.field("problem", Paint::Plain, text(&row["error"], "message"))?;
            if let Some(mend) = row["error"]["mend"][0].as_str() {
                let mend = out.hinted(mend).into_owned();
                out.field("try", Paint::Dim, &mend)?;
            }
        }
    }
    Ok(())
}
