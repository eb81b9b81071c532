//! One request, sent again where that may help, cut where the step is stopped.

use super::{excerpt, failed, told_by};
use crate::agent::{Endpoint, FailureKind, Step, StepError, StepSink};
use crate::limits::{
    MODEL_CONNECT_MS, MODEL_ERROR_BYTES_MAX, MODEL_FIRST_BYTE_MS, MODEL_HEAD_BYTES_MAX,
    MODEL_IDLE_MS, MODEL_RETRY_AFTER_MS_MAX, MODEL_RETRY_MS, MODEL_TRIES_MAX,
};
use std::io::Read;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, Body};

/// What is sent.
pub struct Request {
    pub url: String,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
}

/// A stream that has begun.
pub type Answer = ureq::BodyReader<'static>;

/// Sends the request until a stream begins, at most [`MODEL_TRIES_MAX`] times.
///
/// # Errors
///
/// The step was stopped, or the server cannot be reached or says no.
pub fn send(
    request: &Request,
    step: &Step,
    endpoint: &Endpoint,
    out: &mut dyn StepSink,
) -> Result<Answer, StepError> {
    let mut tries = 0;
    loop {
        tries += 1;
        let refused = match attempt(request, step, endpoint, out) {
            Ok(answer) => return Ok(answer),
            Err(refused) => refused,
        };
        // An abort cuts the connection: what that looks like from here is no failure of its own.
        out.pause(0)?;
        let wait_ms = refused.retry_after_ms.unwrap_or_else(|| {
            let window_ms = MODEL_RETRY_MS.0 << (tries - 1);
            let window_ms = window_ms.min(MODEL_RETRY_MS.1);
            // Jitter, so that many runs do not come back at once.
            window_ms / 2 + step.seed.rotate_left(tries * 8) % (window_ms / 2 + 1)
        });
        let is_last = tries >= MODEL_TRIES_MAX
            || wait_ms > MODEL_RETRY_AFTER_MS_MAX
            || wait_ms >= out.remaining_ms();
        if !refused.is_worth_another_try || is_last {
            return Err(told_by(refused.error, step, endpoint));
        }
        out.pause(wait_ms)?;
    }
}

struct Refused {
    error: StepError,
    is_worth_another_try: bool,
    retry_after_ms: Option<u64>,
}

fn attempt(
    request: &Request,
    step: &Step,
    endpoint: &Endpoint,
    out: &dyn StepSink,
) -> Result<Answer, Refused> {
    let agent = agent(out.remaining_ms(), request.url.starts_with("https:"));
    let cut = agent.clone();
    step.cancel.on_cancel(move || cut.shutdown());
    let mut builder = agent
        .post(&request.url)
        .header("content-type", "application/json")
        .header("accept", "text/event-stream");
    for (name, value) in &request.headers {
        builder = builder.header(*name, value);
    }
    for (name, value) in &endpoint.headers {
        builder = builder.header(name.as_str(), value.expose());
    }
    let response = builder.send(&request.body).map_err(|error| Refused {
        error: failed(FailureKind::Network, unreachable(&error, &request.url)),
        is_worth_another_try: true,
        retry_after_ms: None,
    })?;
    let status = response.status().as_u16();
    let header = |name: &str| response.headers().get(name)?.to_str().ok();
    let retry_after_ms = header("retry-after")
        .and_then(|seconds| seconds.trim().parse::<u64>().ok())
        .map(|seconds| seconds.saturating_mul(1_000));
    let media_type = header("content-type").unwrap_or("").to_ascii_lowercase();
    let (_, body) = response.into_parts();
    if status == 200 && media_type.starts_with("text/event-stream") {
        return Ok(body.into_reader());
    }
    let said = said_in(body);
    let (kind, message) = match status {
        200 => {
            let what = if media_type.is_empty() {
                "nothing"
            } else {
                &media_type
            };
            let text = format!("it answered with {what} and not with a stream of events: {said}");
            (FailureKind::Refused, text)
        }
        300..=399 => {
            let text = format!("it answered {status}: it is somewhere else; mend its baseUrl");
            (FailureKind::Refused, text)
        }
        401 | 403 => {
            let text = format!("it refused the key with {status}: {said}");
            (FailureKind::Auth, text)
        }
        404 => (
            FailureKind::UnknownModel,
            format!("it answered 404: {said}"),
        ),
        429 => (
            FailureKind::RateLimited,
            format!("it is asked too often (429): {said}"),
        ),
        408 | 500..=599 => (
            FailureKind::Network,
            format!("it failed with {status}: {said}"),
        ),
        _ => (
            FailureKind::Refused,
            format!("it refused with {status}: {said}"),
        ),
    };
    let error = failed(kind, message);
    Err(Refused {
        is_worth_another_try: matches!(kind, FailureKind::Network | FailureKind::RateLimited),
        error,
        retry_after_ms,
    })
}

/// One agent a step, so that stopping the step shuts its connection and no other.
fn agent(remaining_ms: u64, is_tls: bool) -> Agent {
    let ms = |ms: u64| Some(Duration::from_millis(ms));
    let mut config = Agent::config_builder()
        .http_status_as_error(false)
        // A key must not follow wherever a server points.
        .max_redirects(0)
        .max_redirects_will_error(false)
        .max_response_header_size(MODEL_HEAD_BYTES_MAX)
        .user_agent(concat!("clawdia/", env!("CARGO_PKG_VERSION")))
        .timeout_global(ms(remaining_ms.max(1)))
        .timeout_resolve(ms(MODEL_CONNECT_MS))
        .timeout_connect(ms(MODEL_CONNECT_MS))
        .timeout_recv_response(ms(MODEL_FIRST_BYTE_MS))
        .timeout_per_read(ms(MODEL_IDLE_MS));
    if is_tls {
        config = config.tls_config(tls_config());
    }
    config.build().into()
}

/// TLS as this program speaks it to the outside: servers are those whom this machine trusts.
pub fn tls_config() -> TlsConfig {
    TlsConfig::builder()
        .root_certs(RootCerts::Specific(roots()))
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build()
}

/// What this machine trusts, read once, and only where a provider is reached over TLS.
fn roots() -> Arc<Vec<Certificate<'static>>> {
    static ROOTS: OnceLock<Arc<Vec<Certificate<'static>>>> = OnceLock::new();
    let read = || {
        let certs = rustls_native_certs::load_native_certs().certs;
        let owned = certs
            .iter()
            .map(|cert| Certificate::from_der(cert).to_owned());
        Arc::new(owned.collect())
    };
    ROOTS.get_or_init(read).clone()
}

fn unreachable(error: &ureq::Error, url: &str) -> String {
    match error {
        ureq::Error::Timeout(what) => format!("{url} did not answer in time ({what})"),
        ureq::Error::HostNotFound => format!("{url} cannot be reached: no such host"),
        other => format!("{url} cannot be reached: {other}"),
    }
}

/// The start of an error's body: the message in it, where it has one.
fn said_in(body: Body) -> String {
    let mut bytes = Vec::new();
    let limit = MODEL_ERROR_BYTES_MAX;
    // As much as came before it broke off is still worth telling.
    let _ = body.into_reader().take(limit).read_to_end(&mut bytes);
    let text = String::from_utf8_lossy(&bytes);
    let value: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    let message = [
        &value["error"]["message"],
        &value["message"],
        &value["error"],
    ];
    let message = message.into_iter().find_map(|value| value.as_str());
    match excerpt(message.unwrap_or(&text)) {
        said if said.is_empty() => "without a word".to_owned(),
        said => said,
    }
}
