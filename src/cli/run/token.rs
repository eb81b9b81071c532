//! `clawdia token`

use serde_json::json;

use super::super::exit::{Failure, Outcome};
use super::super::out::Out;
use super::super::setup::Setup;
use super::running;
use crate::io::secret::token_path;

/// Prints the secret that clients of the local gateway need, or where it is kept.
pub fn run(path: bool, setup: &Setup, out: &mut Out) -> Outcome {
    let config = setup.config_for(&["gateway.auth"])?;
    let secrets = setup.local_secrets(&config)?;
    let generated = token_path(&setup.paths.state_dir).display().to_string();
    let Some(secret) = secrets.token.or(secrets.password) else {
        return Err(Failure::failed(
            "there is no secret yet: the first start of the gateway makes one",
        )
        .fact("place", generated)
        .mend("clawdia gateway run"));
    };
    let (value, source) = (secret.value, secret.source);
    if !path {
        running::warn_refused(setup, &value);
    }
    let place = if source == generated {
        generated
    } else {
        setup.document()?.path().to_owned()
    };
    match (out.wants_json(), path) {
        (true, true) => out.json(&json!({"path": place, "source": source}))?,
        (true, false) => out.json(&json!({"secret": value, "path": place, "source": source}))?,
        (false, true) => out.line(&place)?,
        // Alone on its line, so that $(clawdia token) works.
        (false, false) => out.line(&value)?,
    }
    Ok(())
}
