//! `clawdia devices …`

mod pair;

use serde_json::{Value, json};

use super::super::commands::{DevicesApprove, DevicesCommand};
use super::super::exit::{Failure, Outcome};
use super::super::out::{Out, Paint};
use super::super::setup::{Session, Setup};
use super::super::table::{Cell, Table};
use super::super::text::{printable, short_id};
use super::{age, joined, list, or_dash, text, unix_ms};

/// Does what was asked with devices.
pub fn run(command: DevicesCommand, setup: &Setup, out: &mut Out) -> Outcome {
    if let DevicesCommand::Approve(args) = &command {
        check(args)?;
    }
    let mut session = setup.connect()?;
    if let DevicesCommand::Pair(args) = &command {
        let outcome = pair::run(args, &mut session, out);
        session.client.close();
        return outcome;
    }
    let all = session.call("device.pair.list", &json!({}))?;
    let outcome = match command {
        DevicesCommand::List(_) | DevicesCommand::Pair(_) => print(&all, out),
        DevicesCommand::Approve(args) => approve(&args, &all, &mut session, out),
        DevicesCommand::Reject(args) => reject(&args.request, &all, &mut session, out),
        DevicesCommand::Rotate(args) => {
            let mut params = device_and_role(&all, &args.device, args.role)?;
            if !args.scope.is_empty() {
                params["scopes"] = args.scope.into();
            }
            let payload = session.call("device.token.rotate", &params)?;
            told(&payload, "has a new token", out)
        }
        DevicesCommand::Revoke(args) => {
            let params = device_and_role(&all, &args.device, args.role)?;
            let payload = session.call("device.token.revoke", &params)?;
            told(&payload, "lost its token", out)?;
            secret_stays(out)
        }
        DevicesCommand::Remove(args) => {
            let device = find(list(&all, "paired"), "deviceId", &args.device, "device")?;
            let params = json!({"deviceId": text(device, "deviceId")});
            let payload = session.call("device.pair.remove", &params)?;
            told(&payload, "is removed", out)?;
            secret_stays(out)
        }
    };
    session.client.close();
    outcome
}

fn print(all: &Value, out: &mut Out) -> Outcome {
    if out.wants_json() {
        out.json(all)?;
        return Ok(());
    }
    let now = unix_ms();
    let pending = list(all, "pending");
    if !pending.is_empty() {
        out.heading(&format!("Waiting ({})", pending.len()))?;
        let mut table = Table::new(&[
            "REQUEST", "DEVICE", "NAME", "ROLE", "SCOPES", "FROM", "ASKED",
        ]);
        for request in pending {
            table.row([
                Cell::new(short_id(text(request, "requestId")), Paint::Warning),
                short_id(text(request, "deviceId")).into(),
                name(request).into(),
                roles(request).into(),
                scopes(request).into(),
                or_dash(text(request, "remoteIp")).into(),
                age(request, "ts", now).into(),
            ]);
        }
        table.print(out, 2)?;
        let hint = "  Let one in: clawdia devices approve REQUEST";
        out.hint(hint)?;
        out.line("")?;
    }
    let paired = list(all, "paired");
    out.heading(&format!("Paired ({})", paired.len()))?;
    let mut table = Table::new(&[
        "DEVICE", "NAME", "CLIENT", "ROLE", "SCOPES", "PAIRED", "USED",
    ]);
    for device in paired {
        table.row([
            short_id(text(device, "deviceId")).into(),
            name(device).into(),
            or_dash(text(device, "clientId")).into(),
            granted(device),
            scopes(device).into(),
            age(device, "approvedAtMs", now).into(),
            used(device, now),
        ]);
    }
    table.print(out, 2)?;
    Ok(())
}

/// When the device was last connected, by whatever let it in.
fn used(device: &Value, now_ms: u64) -> Cell {
    if device["connected"] == true {
        return Cell::new("connected", Paint::Good);
    }
    let tokens = list(device, "tokens").iter();
    let times = tokens.map(|token| &token["lastUsedAtMs"]);
    let times = times.chain([&device["lastSeenAtMs"]]);
    let last = times.filter_map(Value::as_u64).max();
    age(&json!({"used": last}), "used", now_ms).into()
}

/// What people call it: the name that it was given, else its own, else its platform.
fn name(device: &Value) -> String {
    let names = ["name", "displayName", "platform"].map(|key| text(device, key));
    let name = names.into_iter().find(|name| !name.is_empty());
    name.unwrap_or("-").to_owned()
}

fn roles(device: &Value) -> String {
    match joined(device, "roles") {
        roles if roles.is_empty() => or_dash(text(device, "role")).to_owned(),
        roles => roles,
    }
}

/// The roles of a paired device; of each whose token was revoked, that it lets nobody in.
fn granted(device: &Value) -> Cell {
    let is_revoked = |role: &str| {
        let mut tokens = list(device, "tokens").iter();
        tokens.any(|it| text(it, "role") == role && it["revokedAtMs"].is_u64())
    };
    let names = list(device, "roles").iter().filter_map(Value::as_str);
    let (mut roles, mut paint) = (Vec::new(), Paint::Plain);
    for role in names {
        if is_revoked(role) {
            paint = Paint::Warning;
            roles.push(format!("{role} (revoked)"));
        } else {
            roles.push(role.to_owned());
        }
    }
    Cell::new(or_dash(&roles.join(", ")), paint)
}

/// The scopes without the prefix that all of them have.
fn scopes(device: &Value) -> String {
    or_dash(&joined(device, "scopes")).replace("operator.", "")
}

/// What is wrong with the command line, whoever waits.
fn check(args: &DevicesApprove) -> Outcome {
    match (&args.request, args.latest) {
        (Some(_), true) => Err(Failure::usage("--latest and an id exclude each other")),
        (None, false) => {
            let fault = "which request? `clawdia devices list` shows them";
            Err(Failure::usage(fault))
        }
        _ => Ok(()),
    }
}

fn approve(args: &DevicesApprove, all: &Value, session: &mut Session, out: &mut Out) -> Outcome {
    let pending = list(all, "pending");
    let request = match &args.request {
        Some(id) => find(pending, "requestId", id, "request")?,
        None => pending
            .iter()
            .max_by_key(|request| request["ts"].as_u64())
            .ok_or_else(|| Failure::failed("no device waits"))?,
    };
    if !out.wants_json() {
        let what = format!(
            "{} ({}) as {}, scopes {}",
            name(request),
            short_id(text(request, "deviceId")),
            roles(request),
            scopes(request)
        );
        out.line(&format!("Letting in {}", printable(&what)))?;
        let commands = joined(request, "commands");
        if !commands.is_empty() {
            out.line(&format!("It will run {}", printable(&commands)))?;
        }
    }
    let params = json!({"requestId": text(request, "requestId")});
    let payload = session.call("device.pair.approve", &params)?;
    told(&payload, "is paired", out)
}

fn reject(id: &str, all: &Value, session: &mut Session, out: &mut Out) -> Outcome {
    let request = find(list(all, "pending"), "requestId", id, "request")?;
    let params = json!({"requestId": text(request, "requestId")});
    let payload = session.call("device.pair.reject", &params)?;
    told(&payload, "is turned away", out)
}

/// The one entry whose id begins with what was typed, or whose name that is.
fn find<'a>(
    entries: &'a [Value],
    key: &str,
    typed: &str,
    what: &str,
) -> Result<&'a Value, Failure> {
    let is_meant = |entry: &Value| {
        text(entry, key).starts_with(typed) || name(entry).eq_ignore_ascii_case(typed)
    };
    let mut matching = entries
        .iter()
        .filter(|entry| !typed.is_empty() && is_meant(entry));
    match (matching.next(), matching.next()) {
        (Some(entry), None) => Ok(entry),
        (Some(_), Some(_)) => Err(Failure::failed(format!(
            "more than one {what} is meant by {typed}"
        ))
        .mend("clawdia devices list   # then the start of its id")),
        (None, _) => {
            Err(Failure::failed(format!("there is no {what} {typed}")).mend("clawdia devices list"))
        }
    }
}

fn device_and_role(all: &Value, typed: &str, role: Option<String>) -> Result<Value, Failure> {
    let device = find(list(all, "paired"), "deviceId", typed, "device")?;
    let roles: Vec<&str> = list(device, "tokens")
        .iter()
        .map(|token| text(token, "role"))
        .collect();
    let role = match (role, roles.as_slice()) {
        (Some(role), _) => role,
        (None, [only]) => (*only).to_owned(),
        (None, _) => {
            let fault = format!("which role? --role {}", or_dash(&roles.join(" or --role ")));
            return Err(Failure::usage(fault));
        }
    };
    Ok(json!({"deviceId": text(device, "deviceId"), "role": role}))
}

/// What taking a device's token away does not end.
fn secret_stays(out: &mut Out) -> Outcome {
    if !out.wants_json() {
        let note = "who has the gateway's own secret, or is on its machine, is let in again under a name \
                    of his own; another secret: clawdia config set gateway.auth.token SECRET, or gateway.auth.password";
        let note = out.hinted(note).into_owned();
        out.field("but", Paint::Warning, &note)?;
    }
    Ok(())
}

fn told(payload: &Value, what: &str, out: &mut Out) -> Outcome {
    if out.wants_json() {
        out.json(payload)?;
        return Ok(());
    }
    let id = match text(payload, "deviceId") {
        "" => text(&payload["device"], "deviceId"),
        id => id,
    };
    out.done(&format!("device {} {what}", short_id(id)))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Value {
        json!({
            "pending": [{"requestId":"2d508ad7-1","deviceId":"a3abfd3013","displayName":"phone",
                "roles":["node"],"scopes":[],"ts":5}],
            "paired": [
                {"deviceId":"aa11","roles":["operator"],"scopes":["operator.read"],
                 "tokens":[{"role":"operator","lastUsedAtMs":3}]},
                {"deviceId":"aa33","roles":["node","operator"],
                 "tokens":[{"role":"node","revokedAtMs":3},{"role":"operator"}]},
                {"deviceId":"aa22","tokens":[{"role":"operator"},{"role":"node"}]}]})
    }

    #[test]
    fn ids_may_be_shortened_while_they_are_clear() {
        let all = all();
        let paired = list(&all, "paired");
        assert_eq!(
            find(paired, "deviceId", "aa1", "device").unwrap()["deviceId"],
            "aa11"
        );
        let waiting = list(&all, "pending");
        let named = find(waiting, "requestId", "Phone", "request").unwrap();
        assert_eq!(named["requestId"], "2d508ad7-1");
        for typed in ["aa", "b", "", "aa111"] {
            assert!(
                find(paired, "deviceId", typed, "device").is_err(),
                "{typed}"
            );
        }
    }

    #[test]
    fn the_role_may_be_left_away_where_there_is_one() {
        let all = all();
        assert_eq!(
            device_and_role(&all, "aa11", None).unwrap()["role"],
            "operator"
        );
        assert!(device_and_role(&all, "aa22", None).is_err());
        let chosen = device_and_role(&all, "aa22", Some("node".into())).unwrap();
        assert_eq!(chosen, json!({"deviceId":"aa22","role":"node"}));
    }

    #[test]
    fn who_waits_stands_above_who_is_paired() {
        let (mut out, buffer) = Out::buffer(false);
        print(&all(), &mut out).unwrap();
        drop(out);
        let text = buffer.text();
        assert!(
            text.find("2d508ad7").unwrap() < text.find("Paired (3)").unwrap(),
            "{text}"
        );
        assert!(text.contains("node (revoked), operator"), "{text}");
        let row = text.lines().find(|line| line.contains("aa11")).unwrap();
        assert!(row.contains("operator ") && row.contains(" read"), "{text}");
    }
}
