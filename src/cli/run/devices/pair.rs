//! `clawdia devices pair`: a code for one device, as text and as a picture.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};
use serde_json::{Value, json};

use crate::cli::commands::DevicesPair;
use crate::cli::exit::{Failure, Outcome};
use crate::cli::out::{Out, Paint};
use crate::cli::run::{list, text, unix_ms};
use crate::cli::setup::{Session, Setup};
use crate::cli::text::span;
use crate::client::GatewayUrl;
use crate::config::BindMode;

/// Makes a code and shows it.
pub fn run(args: &DevicesPair, setup: &Setup, session: &mut Session, out: &mut Out) -> Outcome {
    let address = address(args, setup, session)?;
    let mut made = session.call("device.pair.code", &params(args)?)?;
    let code = text(&made, "code").to_owned();
    if let Some(address) = &address {
        made["url"] = address.as_str().into();
        made["setupCode"] = setup_code(address, &code).into();
    }
    if out.wants_json() {
        out.json(&made)?;
        return Ok(());
    }
    print(&made, &code, address.as_deref(), out)
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
                "--scopes are an operator's; a node has none",
            ));
        }
        let names = scopes.split(',').map(str::trim);
        let names =
            names
                .filter(|name| !name.is_empty())
                .map(|name| match name.starts_with("operator.") {
                    true => name.to_owned(),
                    false => format!("operator.{name}"),
                });
        params["scopes"] = names.collect();
    }
    if let Some(seconds) = args.ttl {
        params["ttlMs"] = seconds.saturating_mul(1_000).into();
    }
    Ok(params)
}

/// Where the device finds the gateway: as typed, as this command found it, or the machine's own
/// address where the gateway listens beyond loopback.
fn address(
    args: &DevicesPair,
    setup: &Setup,
    session: &Session,
) -> Result<Option<String>, Failure> {
    if let Some(typed) = &args.address {
        let url = GatewayUrl::parse(typed).map_err(Failure::usage)?;
        return Ok(Some(url.origin()));
    }
    let own = &session.to.url;
    if !own.is_loopback() {
        return Ok(Some(own.origin()));
    }
    if matches!(
        setup.client_config()?.gateway.bind,
        BindMode::Loopback | BindMode::Auto
    ) {
        return Ok(None);
    }
    let hello = &session.client.hello().payload;
    let mut presence = list(&hello["snapshot"], "presence").iter();
    let ip = presence
        .find(|it| text(it, "mode") == "gateway")
        .map(|it| text(it, "ip"));
    Ok(ip.filter(|ip| !ip.is_empty()).map(|ip| {
        let url = GatewayUrl {
            host: ip.to_owned(),
            ..own.clone()
        };
        url.origin()
    }))
}

/// What phones of the ecosystem scan: address and code as JSON, in base64url.
fn setup_code(address: &str, code: &str) -> String {
    let payload = json!({ "url": address, "bootstrapToken": code });
    URL_SAFE_NO_PAD.encode(payload.to_string())
}

fn print(made: &Value, code: &str, address: Option<&str>, out: &mut Out) -> Outcome {
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
    let url = address.unwrap_or("ws://HOST:PORT");
    if role == "node" {
        out.line(&format!(
            "On the node:  clawdia node run --url {url} --code {code}"
        ))?;
    }
    let Some(setup_code) = made["setupCode"].as_str() else {
        let hint = "The gateway listens on loopback: for a picture to scan, pass --address URL.";
        out.hint(hint)?;
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
        let (mut out, buffer) = Out::buffer(false);
        print(&made, "ABCD", None, &mut out).unwrap();
        drop(out);
        assert!(buffer.text().contains("--address") && !buffer.text().contains('█'));
        made["setupCode"] = setup_code("wss://h", "ABCD").into();
        let (mut out, buffer) = Out::buffer(false);
        print(&made, "ABCD", Some("wss://h"), &mut out).unwrap();
        drop(out);
        assert!(buffer.text().contains('█'));
        assert!(
            buffer
                .text()
                .contains("clawdia node run --url wss://h --code ABCD")
        );
    }
}
