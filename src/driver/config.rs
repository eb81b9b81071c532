//! The configuration file that the driver makes up.

use super::TOKEN;
use crate::config::AuthMode;
use crate::config::document::Document;
use crate::gateway::LoadedConfig;
use crate::gateway::auth::secret::GatewaySecret;

/// Where the file would be.
pub const PATH: &str = "/state/clawdia.json";

/// Reads a text as the process would; where it names no token, [`TOKEN`] is the secret.
///
/// # Errors
///
/// Every fault, a line each.
pub fn load(text: &str) -> Result<LoadedConfig, String> {
    let document = Document::new(PATH, text.to_owned());
    let loaded = document.load(&|_| None).map_err(|faults| {
        let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
        lines.join("\n")
    })?;
    let auth = &loaded.config.gateway.auth;
    let secret = match (auth.effective_mode(), &auth.password, &auth.token) {
        (AuthMode::Password, Some(password), _) => GatewaySecret::password(password.expose()),
        (AuthMode::Token, _, Some(token)) => GatewaySecret::token(token.expose()),
        _ => GatewaySecret::token(TOKEN),
    };
    Ok(LoadedConfig {
        secret: secret.map_err(|fault| fault.to_string())?,
        config: loaded.config,
        document,
    })
}
