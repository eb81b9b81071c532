//! `clawdia devices pair`: a code for one device, as text and as a picture.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};
use serde_json::{Value, json};

use crate::cli::commands::DevicesPair;
use crate::cli::exit::{Failure, Outcome};
use crate::cli::out::{Out, Paint};
use crate::cli::run::{list, reach, text, unix_ms};
use crate::cli::setup::{Session, variable};
use crate::cli::text::{printable, span};
use crate::client::GatewayUrl;
use crate::client::party::{OPERATOR_SCOPES, host_name};

/// What every scope of an operator begins with.
const PREFIX: &str = "operator.";

/// Makes a code and shows it.
pub fn run(args: &DevicesPair, session: &mut Session, out: &mut Out) -> Outcome {
    let params = params(args)?;
    let place = place(args, session)?;
    let mut made = session.call("device.pair.code", &params)?;
    let code = text(&made, "code").to_owned();
    if let Some(address) = &place.address {
        made["url"] = address.as_str().into();
        made["setupCode"] = setup_code(address, &code).into();
    }
    if out.wants_json() {
        out.json(&made)?;
        return Ok(());
    }
    print(&made, &code, &place, out)
}

fn params(args: &DevicesPair) -> Result<Value, Failure> {
    if !matches!(args.role.as_str(), "node" | "operator") {
        let fault = format!("--role is node or operator, not {:?}", args.role);
        return Err(Failure::usage(fault));
    }
    let mut params = json!({ "role": args.role });
    if let Some(scopes) = &args.scopes {
        if args.role == "node" {
            return Err(Failure::usage(
                "--scopes are an operator's, so add --role operator; a node has none",
            ));
        }
        let names = scopes.split(',').map(str::trim);
        let names =
            names
                .filter(|name| !name.is_empty())
                .map(|name| match name.starts_with(PREFIX) {
                    true => name.to_owned(),
                    false => format!("{PREFIX}{name}"),
                });
        let names: Vec<String> = names.collect();
        if let Some(name) = names
            .iter()
            .find(|it| !OPERATOR_SCOPES.contains(&it.as_str()))
        {
            let known = OPERATOR_SCOPES.join(", ").replace(PREFIX, "");
            let name = name.trim_start_matches(PREFIX);
            let fault = format!("--scopes {name}: there is no such scope, but {known}");
            return Err(Failure::usage(fault));
        }
        params["scopes"] = names.into();
    }
    if let Some(seconds) = args.ttl {
        params["ttlMs"] = seconds.saturating_mul(1_000).into();
    }
    Ok(params)
}

/// Where the device finds the gateway.
#[derive(Debug, Default)]
struct Place {
    /// None where the gateway listens on loopback only.
    address: Option<String>,
    /// Its address on its own machine.
    own: String,
    port: u16,
    /// The `ssh` target by which this command came to that machine.
    host: Option<String>,
    /// What its certificate is known by, where no authority signed it.
    pin: Option<String>,
}

/// As typed, as this command found it, or as the gateway says.
fn place(args: &DevicesPair, session: &mut Session) -> Result<Place, Failure> {
    let url = session.to.url.clone();
    let own = GatewayUrl {
        port: url.far_port.unwrap_or(url.port),
        ..url.clone()
    };
    let mut place = Place {
        address: None,
        own: own.origin(),
        port: own.port,
        host: session
            .to
            .way
            .as_ref()
            .map(|(login, _)| login.target.to_string()),
        pin: session.to.pin.clone().filter(|_| own.secure),
    };
    if let Some(typed) = &args.address {
        let url = GatewayUrl::parse(typed).map_err(Failure::usage)?;
        // What is in front of the gateway there has a certificate of its own.
        place.pin = None;
        place.address = Some(url.origin());
        return Ok(place);
    }
    if !url.is_loopback() {
        place.address = Some(url.origin());
        return Ok(place);
    }
    // Who may not read is told the address by nobody.
    let status = session.call("status", &json!({})).unwrap_or_default();
    let snapshot = &session.client.hello().payload["snapshot"];
    let mut present = list(snapshot, "presence").iter();
    let gateway = present.find(|it| text(it, "mode") == "gateway");
    let url = reach::running(&status, gateway.map_or("", |it| text(it, "ip")));
    // Tailscale's certificate is another one, and signed.
    if url.as_ref().is_some_and(|url| url.port != own.port) || status["listen"]["tls"] != true {
        place.pin = None;
    }
    place.address = url.map(|url| url.origin());
    Ok(place)
}

/// What phones of the ecosystem scan: address and code as JSON, in base64url.
fn setup_code(address: &str, code: &str) -> String {
    let payload = json!({ "url": address, "bootstrapToken": code });
    URL_SAFE_NO_PAD.encode(payload.to_string())
}

fn print(made: &Value, code: &str, place: &Place, out: &mut Out) -> Outcome {
    let left_ms = made["expiresAtMs"]
        .as_u64()
        .unwrap_or(0)
        .saturating_sub(unix_ms());
    let role = text(made, "role");
    let scopes = super::scopes(made);
    let what = match role {
        "node" => "a node".to_owned(),
        role => format!("an {role} ({scopes})"),
    };
    // Rounded, so that five minutes are not shown as four.
    let left = span(left_ms.div_ceil(1_000) * 1_000);
    out.line(&format!("For {what}; works once, for {left}:"))?;
    let shown = format!("\n    {}\n", out.paint(Paint::Bold, code));
    out.line(&shown)?;
    if role == "node" {
        print_commands(code, place, out)?;
    } else {
        out.hint("For an app or a page. A clawdia elsewhere comes by clawdia remote up, or with --token-file.")?;
    }
    let Some(setup_code) = made["setupCode"].as_str() else {
        out.hint("The gateway listens on loopback: for a picture to scan, pass --address URL.")?;
        return Ok(());
    };
    out.line(&format!("With a phone: {setup_code}\n"))?;
    if let Ok(picture) = QrCode::with_error_correction_level(setup_code, EcLevel::L) {
        let mut renderer = picture.render::<Dense1x2>();
        // A terminal is dark: what is printed is the light part.
        renderer
            .dark_color(Dense1x2::Light)
            .light_color(Dense1x2::Dark);
        out.line(&renderer.build())?;
    }
    Ok(())
}

/// What is typed on the node; it is another machine, so no profile of this one is in it.
fn print_commands(code: &str, place: &Place, out: &mut Out) -> Outcome {
    let pin = place.pin.as_ref();
    let pin = pin.map_or(String::new(), |pin| format!(" --tls-fingerprint {pin}"));
    if let Some(url) = &place.address {
        out.line("On the node:")?;
        out.line(&format!(
            "    clawdia node run --url {url}{pin} --code {code}\n"
        ))?;
        if url.starts_with("ws://") {
            out.hint("It has no TLS, so the node wants --insecure too, or: clawdia config set gateway.tls.enabled true")?;
        }
        return Ok(());
    }
    let port = place.port;
    let host = place.host.clone().unwrap_or_else(|| {
        let user = variable("USER").filter(|it| !it.is_empty());
        let (user, host) = (user.unwrap_or("USER".into()), host_name());
        format!("{user}@{}", host.unwrap_or("HOST".into()))
    });
    out.line(
        "The gateway listens on loopback only, so the node comes by ssh. There, in two terminals:",
    )?;
    let target = printable(&host);
    out.line(&format!("    ssh -N -L {port}:127.0.0.1:{port} {target}"))?;
    let own = &place.own;
    out.line(&format!(
        "    clawdia node run --url {own}{pin} --code {code}\n"
    ))?;
    if place.host.is_none() {
        out.hint(&format!(
            "{target} is what this machine calls itself: write what the node knows it by."
        ))?;
    }
    out.hint(&format!("Without ssh: {}", reach::OPEN))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args() -> DevicesPair {
        DevicesPair {
            role: "operator".into(),
            scopes: Some("read, operator.write,".into()),
            ttl: Some(60),
            address: None,
        }
    }

    #[test]
    fn scopes_may_be_typed_without_their_prefix() {
        let params = params(&args()).unwrap();
        let scopes = json!(["operator.read", "operator.write"]);
        assert_eq!(
            params,
            json!({"role": "operator", "scopes": scopes, "ttlMs": 60_000})
        );
    }

    #[test]
    fn an_unknown_scope_is_answered_with_those_that_there_are() {
        let args = DevicesPair {
            scopes: Some("read,fly".into()),
            ..args()
        };
        let fault = params(&args).unwrap_err();
        assert_eq!(fault.exit as u8, 2);
        assert_eq!(
            fault.message,
            "--scopes fly: there is no such scope, but admin, approvals, pairing, read, write"
        );
    }

    #[test]
    fn a_node_has_no_scopes() {
        let args = DevicesPair {
            role: "node".into(),
            ..args()
        };
        assert!(params(&args).is_err());
    }

    #[test]
    fn what_is_scanned_is_address_and_code_and_nothing_else() {
        let code = setup_code("wss://home.example", "ABCD");
        let json = URL_SAFE_NO_PAD.decode(code).unwrap();
        let value: Value = serde_json::from_slice(&json).unwrap();
        assert_eq!(
            value,
            json!({"url": "wss://home.example", "bootstrapToken": "ABCD"})
        );
    }

    #[test]
    fn the_picture_is_there_where_the_address_is_known() {
        let mut made = json!({"code": "ABCD", "role": "node", "scopes": [], "expiresAtMs": 0});
        let place = |address: Option<&str>, pin: Option<&str>| Place {
            address: address.map(str::to_owned),
            own: "wss://127.0.0.1:7".into(),
            port: 7,
            host: Some("you@host".into()),
            pin: pin.map(str::to_owned),
        };
        let told = |made: &Value, place: &Place| {
            let (mut out, buffer) = Out::buffer(false);
            print(made, "ABCD", place, &mut out).unwrap();
            drop(out);
            buffer.text()
        };
        let text = told(&made, &place(None, Some("ab12")));
        assert!(text.contains("--address") && !text.contains('█'), "{text}");
        for line in [
            "    ssh -N -L 7:127.0.0.1:7 you@host\n",
            "    clawdia node run --url wss://127.0.0.1:7 --tls-fingerprint ab12 --code ABCD\n",
        ] {
            assert!(text.contains(line), "{text}");
        }
        made["setupCode"] = setup_code("wss://h", "ABCD").into();
        let text = told(&made, &place(Some("wss://h"), None));
        assert!(text.contains('█'), "{text}");
        let line = "    clawdia node run --url wss://h --code ABCD\n";
        assert!(text.contains(line), "{text}");
        assert!(!text.contains("--insecure"), "{text}");
        let text = told(&made, &place(Some("ws://h:7"), None));
        assert!(text.contains("--insecure"), "{text}");
    }
}
