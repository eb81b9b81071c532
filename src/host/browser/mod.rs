//! One request to a browser control server: a node's `browser.proxy`, and `browser.request` of a
//! gateway that has such a server itself.
//!
//! The server's secret goes with each request to its one address and nowhere else; a redirect is
//! an error like any other answer that is no success.

mod http;
mod look;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::agent::Browse;
use crate::limits::{BROWSER_MS, BROWSER_MS_MAX, NODE_RESULT_BYTES_MAX};
use http::Request;
pub use look::{Guard, look};

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The caller has to ask for something else.
    Invalid(String),
    /// Not here, or not now.
    Unavailable(String),
    /// The deadline passed.
    TimedOut,
}

impl Fault {
    /// For people.
    pub fn message(self) -> String {
        match self {
            Self::Invalid(text) | Self::Unavailable(text) => text,
            Self::TimedOut => "the browser control server did not answer in time".to_owned(),
        }
    }
}

/// How the browser control server is reached.
#[derive(Clone, Default, PartialEq)]
pub struct BrowserControl {
    /// Its address; `None` where none is configured.
    pub address: Option<SocketAddr>,
    /// Its own secret, which is not the gateway's. A server is never asked without.
    pub token: Option<String>,
    /// The profiles that a caller may use; all where none is named.
    pub allow_profiles: Vec<String>,
    /// Folders whose files an answer may name.
    pub file_roots: Vec<PathBuf>,
}

/// Does what the gateway itself asks for.
///
/// # Errors
///
/// What is wrong, for people.
pub fn browse(browse: &Browse) -> Result<String, String> {
    let control = BrowserControl {
        address: Some(browse.address),
        token: Some(browse.token.expose().to_owned()),
        allow_profiles: Vec::new(),
        file_roots: file_roots(Path::new(&browse.media)),
    };
    let answer = control.proxy(&browse.request);
    answer.map(|it| it.to_string()).map_err(Fault::message)
}

/// Where a browser control server may keep what it made: what is temporary, `media`, and what the
/// ecosystem's own server uses.
pub fn file_roots(media: &Path) -> Vec<PathBuf> {
    let theirs = std::env::home_dir().map(|home| home.join(".clawdbot/media"));
    let own = [std::env::temp_dir(), media.to_path_buf()];
    own.into_iter().chain(theirs).collect()
}

impl BrowserControl {
    /// `{method?, path, query?, body?, profile?, timeoutMs?}` → `{result, files?}`
    pub fn proxy(&self, params: &Value) -> Result<Value, Fault> {
        let unset = |key: &str| Fault::Unavailable(format!("{key} is not set on this machine"));
        let address = self.address.ok_or_else(|| unset("browser.controlUrl"))?;
        let token = self.token.as_deref();
        let token = token.ok_or_else(|| unset("browser.controlToken"))?;
        let path = self.path(params)?;
        let span_ms = params["timeoutMs"].as_f64().filter(|ms| *ms >= 1.0);
        // A conversion from floating point saturates.
        let span_ms = span_ms.map_or(BROWSER_MS, |ms| (ms as u64).min(BROWSER_MS_MAX));
        let deadline = Instant::now() + Duration::from_millis(span_ms);
        let method = params["method"]
            .as_str()
            .unwrap_or("GET")
            .to_ascii_uppercase();
        if !["GET", "POST", "PUT", "PATCH", "DELETE"].contains(&method.as_str()) {
            return Err(Fault::Invalid(format!("method {method:?}")));
        }
        let body = params.get("body").filter(|body| !body.is_null());
        let mut result = http::ask(
            &Request {
                address,
                method: &method,
                path: &path,
                token,
                body: body.map(Value::to_string),
            },
            deadline,
        )?;
        if path == "/profiles" || path.starts_with("/profiles?") {
            self.hide_profiles(&mut result);
        }
        let files = self.files(&result)?;
        let mut payload = json!({"result": result});
        if !files.is_empty() {
            payload["files"] = files.into();
        }
        let bytes = payload.to_string().len();
        if bytes > NODE_RESULT_BYTES_MAX {
            let text = format!(
                "the browser's answer has {bytes} bytes; {NODE_RESULT_BYTES_MAX} can be sent"
            );
            return Err(Fault::Unavailable(text));
        }
        Ok(payload)
    }

    /// The path with its query, checked: a gateway chooses what is asked, not how.
    fn path(&self, params: &Value) -> Result<String, Fault> {
        let asked = params["path"].as_str().map(str::trim).unwrap_or("");
        if asked.is_empty() {
            return Err(Fault::Invalid("path required".into()));
        }
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "/-_.~:@!,;=+".contains(c);
        let has_dots = asked.split('/').any(|part| matches!(part, "." | ".."));
        if !asked.chars().all(is_plain) || has_dots || asked.contains("//") {
            return Err(Fault::Invalid(format!("path {asked:?}")));
        }
        let slash = if asked.starts_with('/') { "" } else { "/" };
        let mut path = format!("{slash}{asked}");
        let profile = params["profile"]
            .as_str()
            .map(str::trim)
            .filter(|it| !it.is_empty());
        let is_allowed = match profile {
            Some(name) => {
                self.allow_profiles.is_empty() || self.allow_profiles.iter().any(|it| it == name)
            }
            None => self.allow_profiles.is_empty() || path == "/profiles",
        };
        let query = params["query"].as_object();
        // A gateway repeats the query's profile beside it.
        let in_query = query.and_then(|query| query.get("profile"));
        let is_other = in_query.is_some_and(|it| it.as_str().map(str::trim) != profile);
        if !is_allowed || (is_other && !self.allow_profiles.is_empty()) {
            return Err(Fault::Invalid("browser profile not allowed".into()));
        }
        let own = profile.map(|name| ("profile".to_owned(), Value::from(name)));
        let more = query
            .into_iter()
            .flatten()
            .filter(|(name, _)| profile.is_none() || *name != "profile")
            .map(|(name, value)| (name.clone(), value.clone()));
        let mut sign = '?';
        for (name, value) in own.into_iter().chain(more) {
            let text = match value {
                Value::Null => continue,
                Value::String(text) => text,
                other => other.to_string(),
            };
            path += &format!("{sign}{}={}", http::escaped(&name), http::escaped(&text));
            sign = '&';
        }
        Ok(path)
    }

    fn hide_profiles(&self, result: &mut Value) {
        if self.allow_profiles.is_empty() {
            return;
        }
        if let Some(profiles) = result["profiles"].as_array_mut() {
            profiles.retain(|profile| {
                let name = profile["name"].as_str();
                name.is_some_and(|name| self.allow_profiles.iter().any(|it| it == name))
            });
        }
    }

    /// The files that an answer names: screenshots and downloads are of use on the other side only
    /// as bytes.
    fn files(&self, result: &Value) -> Result<Vec<Value>, Fault> {
        let named = [
            &result["path"],
            &result["imagePath"],
            &result["download"]["path"],
        ];
        let mut paths: Vec<&str> = named
            .into_iter()
            .filter_map(Value::as_str)
            .map(str::trim)
            .filter(|path| !path.is_empty())
            .collect();
        paths.dedup();
        paths.into_iter().map(|path| self.file(path)).collect()
    }

    fn file(&self, path: &str) -> Result<Value, Fault> {
        let fault = |why: String| Fault::Unavailable(format!("browser proxy file {path}: {why}"));
        let real = Path::new(path).canonicalize();
        let real = real.map_err(|error| fault(error.to_string()))?;
        let mut roots = self
            .file_roots
            .iter()
            .filter_map(|root| root.canonicalize().ok());
        if !roots.any(|root| real.starts_with(root)) {
            return Err(fault("it is not in a folder of the browser's".into()));
        }
        let meta = real.metadata().map_err(|error| fault(error.to_string()))?;
        // Base64 takes four bytes for three.
        let max = (NODE_RESULT_BYTES_MAX / 4 * 3) as u64;
        if !meta.is_file() || meta.len() > max {
            return Err(fault(format!(
                "it has {} bytes; {max} can be sent",
                meta.len()
            )));
        }
        let bytes = std::fs::read(&real).map_err(|error| fault(error.to_string()))?;
        let mut file = json!({"path": path, "base64": STANDARD.encode(&bytes)});
        if let Some(kind) = media_type(&bytes) {
            file["mimeType"] = kind.into();
        }
        Ok(file)
    }
}

/// The kinds that browsers hand out, by their first bytes.
fn media_type(bytes: &[u8]) -> Option<&'static str> {
    const KINDS: [(&[u8], &str); 5] = [
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\xff\xd8\xff", "image/jpeg"),
        (b"GIF8", "image/gif"),
        (b"%PDF-", "application/pdf"),
        (b"PK\x03\x04", "application/zip"),
    ];
    if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
        return Some("image/webp");
    }
    KINDS
        .iter()
        .find(|(magic, _)| bytes.starts_with(magic))
        .map(|(_, kind)| *kind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::thread::JoinHandle;

    /// Answers one request, and gives it back.
    fn server(answer: String) -> (BrowserControl, JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let thread = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut seen = Vec::new();
            let mut chunk = [0; 4096];
            while !String::from_utf8_lossy(&seen).contains("\r\n\r\n") {
                let count = stream.read(&mut chunk).unwrap();
                seen.extend_from_slice(&chunk[..count]);
            }
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8(seen).unwrap()
        });
        let browser = BrowserControl {
            address: Some(([127, 0, 0, 1], port).into()),
            token: Some("own".into()),
            ..BrowserControl::default()
        };
        (browser, thread)
    }

    fn ok(body: &str) -> String {
        format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{body}")
    }

    #[test]
    fn a_request_goes_through_and_its_answer_comes_back() {
        let (browser, server) = server(ok(r#"{"tabs":[]}"#));
        let params = json!({"path":"tabs","profile":"a b","query":{"limit":2,"profile":"a b","x":null,"é":"&"}});
        assert_eq!(
            browser.proxy(&params).unwrap(),
            json!({"result":{"tabs":[]}})
        );
        let seen = server.join().unwrap();
        assert!(
            seen.starts_with("GET /tabs?profile=a%20b&limit=2&%C3%A9=%26 HTTP/1.0\r\n"),
            "{seen}"
        );
        assert!(seen.contains("\r\nAuthorization: Bearer own\r\n"), "{seen}");
    }

    #[test]
    fn an_error_is_told_with_its_status() {
        let (browser, server) = server("HTTP/1.1 404 Not Found\r\n\r\nno tab".into());
        let params = json!({"path":"/tabs/1","method":"post","body":{"a":1}});
        assert_eq!(browser.proxy(&params).unwrap_err().message(), "404: no tab");
        let seen = server.join().unwrap();
        assert!(
            seen.starts_with("POST /tabs/1 HTTP/1.0\r\n") && seen.ends_with("{\"a\":1}"),
            "{seen}"
        );
    }

    #[test]
    fn a_caller_reaches_no_other_place() {
        let browser = BrowserControl {
            address: Some(([127, 0, 0, 1], 1).into()),
            token: Some("own".into()),
            allow_profiles: vec!["work".into()],
            ..BrowserControl::default()
        };
        for params in [
            json!({}),
            json!({"path":"/x\r\nHost: y","profile":"work"}),
            json!({"path":"/a/../b","profile":"work"}),
            json!({"path":"//evil/x","profile":"work"}),
            json!({"path":"/x?profile=other","profile":"work"}),
            json!({"path":"/%2e%2e/x","profile":"work"}),
            json!({"path":"/x","method":"CONNECT","profile":"work"}),
            json!({"path":"/x"}),
            json!({"path":"/x","profile":"home"}),
            json!({"path":"/x","profile":"work","query":{"profile":"home"}}),
        ] {
            let refused = browser.proxy(&params);
            assert!(matches!(refused, Err(Fault::Invalid(_))), "{params}");
        }
    }

    #[test]
    fn no_server_is_asked_without_its_address_and_its_token() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let mut browser = BrowserControl::default();
        for key in ["browser.controlUrl", "browser.controlToken"] {
            let refused = browser.proxy(&json!({"path":"/x"})).unwrap_err();
            assert!(refused.message().contains(key));
            browser.address = Some(listener.local_addr().unwrap());
        }
        assert!(listener.accept().is_err(), "it was asked");
    }

    #[test]
    fn a_redirect_is_not_followed_and_hears_no_token() {
        let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
        elsewhere.set_nonblocking(true).unwrap();
        let port = elsewhere.local_addr().unwrap().port();
        let (browser, server) = server(format!(
            "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:{port}/\r\n\r\n"
        ));
        let refused = browser.proxy(&json!({"path":"/json/version"}));
        assert_eq!(refused.unwrap_err().message(), "HTTP 302");
        assert!(server.join().unwrap().contains("Bearer own"));
        assert!(elsewhere.accept().is_err(), "it was followed");
    }

    #[test]
    fn other_profiles_are_not_even_named() {
        let (mut browser, server) =
            server(ok(r#"{"profiles":[{"name":"work"},{"name":"home"},7]}"#));
        browser.allow_profiles = vec!["work".into()];
        let listed = browser.proxy(&json!({"path":"/profiles"})).unwrap();
        assert_eq!(listed["result"]["profiles"], json!([{"name":"work"}]));
        server.join().unwrap();
    }

    #[test]
    fn only_files_of_the_browser_are_sent() {
        let dir = tempfile::tempdir().unwrap();
        let shot = dir.path().join("shot.png");
        std::fs::write(&shot, b"\x89PNG\r\n\x1a\nx").unwrap();
        let browser = BrowserControl {
            file_roots: vec![dir.path().into()],
            ..BrowserControl::default()
        };
        let files = browser
            .files(&json!({"path": shot, "imagePath": shot}))
            .unwrap();
        assert_eq!(files.len(), 1);
        assert_eq!(files[0]["mimeType"], "image/png");
        std::os::unix::fs::symlink("/etc/passwd", dir.path().join("link")).unwrap();
        for path in ["/etc/passwd", "/no/such/file"]
            .map(PathBuf::from)
            .iter()
            .chain([&dir.path().join("link")])
        {
            assert!(browser.files(&json!({"path": path})).is_err(), "{path:?}");
        }
    }
}
