//! A plain request before any of its body is read: whether it may go on, by its head alone.

use super::Gateway;
use super::auth::limiter::SecretKind;
use super::auth::locality::Client;
use super::auth::origin::Provenance;
use super::auth::secret::SecretFault;
use crate::ids::ConnId;
use crate::now::Now;
use crate::wire::http::{Head, Refusal, Shape};

/// What nobody asks for without a secret, whether it is served or not.
const PROTECTED: [&str; 4] = ["/v1", "/tools", "/hooks", "/metrics"];

impl Gateway {
    /// Judges a request by its head; gives how long its body is.
    ///
    /// # Errors
    ///
    /// What the peer is answered before it is disconnected, its body unread.
    pub fn request_head(
        &mut self,
        now: Now,
        conn: ConnId,
        head: &Head<'_>,
    ) -> Result<usize, Refusal> {
        self.now = now;
        let (client, provenance) = self.vet_request(conn, head)?;
        let path = head.target.split(['?', '#']).next().unwrap_or("");
        let path = clean_path(path).ok_or(Refusal::bad("malformed path"))?;
        let shape = match self.hook_path(&path) {
            Some(_) => Shape::Hook,
            None => shape_of(&path),
        };
        self.body_max(&client, &provenance, head, &path)
            .and_then(|max| body_len(head, max))
            .map_err(|refusal| refusal.shaped(shape))
    }

    /// The longest body that is read for a path, once the secret that it needs was shown.
    fn body_max(
        &mut self,
        client: &Client,
        provenance: &Provenance,
        head: &Head<'_>,
        path: &str,
    ) -> Result<usize, Refusal> {
        if self.hook_path(path).is_some() {
            return self.check_hook_token(client, provenance, head);
        }
        if self.is_webhook_path(path) {
            return self.check_webhook_secret(client, provenance, head, path);
        }
        if !is_protected(path)? {
            // Nothing that is open to all takes a body.
            return Ok(0);
        }
        self.check_bearer(client, provenance, head)?;
        Ok(self.api_body_max(path))
    }

    /// The gateway's secret as `Authorization: Bearer`. Guesses count as those over WebSocket do.
    fn check_bearer(
        &mut self,
        client: &Client,
        provenance: &Provenance,
        head: &Head<'_>,
    ) -> Result<(), Refusal> {
        let (origin, mono_ms) = (provenance.origin(), self.now.mono_ms);
        let guesser = self
            .limiter
            .admit(client, origin, SecretKind::Shared, mono_ms)?;
        let shown = bearer(head);
        match self.loaded.secret.check(shown, shown) {
            Ok(()) => Ok(()),
            Err(fault) => {
                if fault.is_guess() {
                    self.limiter.failed(guesser, mono_ms);
                }
                Err(match fault {
                    SecretFault::Mismatch(_) => Refusal::new(401, "unauthorized: wrong secret"),
                    _ => Refusal::new(401, "unauthorized: Authorization: Bearer SECRET is missing"),
                })
            }
        }
    }
}

/// The length of a request's body, of at most `max` bytes.
fn body_len(head: &Head<'_>, max: usize) -> Result<usize, Refusal> {
    let len = head.content_len()?;
    let fits = usize::try_from(len)
        .ok()
        .filter(|len| *len <= max.min(u32::MAX as usize / 2));
    fits.ok_or(Refusal::new(413, "body too long"))
}

/// What reads the answers at a protected path.
fn shape_of(path: &str) -> Shape {
    if path.starts_with("/v1") {
        Shape::OpenAi
    } else if path.starts_with("/tools") {
        Shape::Tool
    } else {
        Shape::Text
    }
}

/// RFC 6750 2.1. A URL never authenticates, so nothing else is looked at.
pub(super) fn bearer<'a>(head: &Head<'a>) -> Option<&'a str> {
    let mut fields = head.all("authorization");
    let (Some(value), None) = (fields.next(), fields.next()) else {
        return None;
    };
    let (scheme, secret) = str::from_utf8(value).ok()?.split_once(' ')?;
    let secret = secret.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !secret.is_empty()).then_some(secret)
}

/// Whether a path needs a secret. A path that is one of those but for its case is nobody's.
pub(super) fn is_protected(path: &str) -> Result<bool, Refusal> {
    let under = |prefix: &str, same: fn(&str, &str) -> bool| {
        let (start, rest) = path.split_at_checked(prefix.len()).unwrap_or((path, ""));
        same(start, prefix) && (rest.is_empty() || rest.starts_with('/'))
    };
    if PROTECTED
        .iter()
        .any(|prefix| under(prefix, |one, other| one == other))
    {
        return Ok(true);
    }
    match PROTECTED
        .iter()
        .any(|prefix| under(prefix, str::eq_ignore_ascii_case))
    {
        true => Err(Refusal::bad("malformed path")),
        false => Ok(false),
    }
}

/// The path, decoded once. None for what no honest client sends: a residual escape, a step
/// upwards, a NUL, a backslash, an empty segment.
pub(super) fn clean_path(path: &str) -> Option<String> {
    let mut out = Vec::with_capacity(path.len());
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        let byte = match byte {
            b'%' => {
                let digits = [bytes.next()?, bytes.next()?];
                let text = std::str::from_utf8(&digits).ok()?;
                u8::from_str_radix(text, 16).ok()?
            }
            other => other,
        };
        if matches!(byte, 0..=0x1f | b'\\' | b'%' | 0x7f) {
            return None;
        }
        out.push(byte);
    }
    let path = String::from_utf8(out).ok()?;
    let honest = path.starts_with('/')
        && !path.contains("//")
        && !path.split('/').any(|segment| matches!(segment, "." | ".."));
    honest.then_some(path)
}

#[cfg(test)]
mod tests {
    use super::{clean_path, is_protected};

    #[test]
    fn a_path_is_decoded_once_and_dishonest_ones_are_refused() {
        assert_eq!(clean_path("/a%20b/c").as_deref(), Some("/a b/c"));
        for bad in [
            "",
            "a",
            "//",
            "/a//b",
            "/..",
            "/a/../b",
            "/%2e%2e/x",
            "/a%252fb",
            "/a%00",
            "/a\\b",
            "/%",
            "/%2",
            "/%zz",
            "/a%5cb",
            "/a\u{7f}",
        ] {
            assert_eq!(clean_path(bad), None, "{bad}");
        }
    }

    #[test]
    fn protected_paths_are_written_in_one_way() {
        for path in [
            "/v1",
            "/v1/chat/completions",
            "/tools/invoke",
            "/hooks/wake",
            "/metrics",
        ] {
            assert_eq!(is_protected(path), Ok(true), "{path}");
        }
        for path in ["/", "/v10", "/hook", "/health", "/x/v1"] {
            assert_eq!(is_protected(path), Ok(false), "{path}");
        }
        for path in ["/V1/x", "/Tools/invoke", "/hOOks"] {
            assert!(is_protected(path).is_err(), "{path}");
        }
    }
}
