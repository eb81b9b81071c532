//! `browser.proxy`: one request to the browser control server of this machine.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::browser_http::{self, Request};
use crate::client::GatewayUrl;
use crate::limits::{NODE_BROWSER_MS, NODE_RESULT_BYTES_MAX};
use crate::node::invoke::{Fault, milliseconds};

/// How the browser control server is reached.
#[derive(Clone, Default, PartialEq)]
pub struct BrowserControl {
    /// Its address, loopback alone; `None` where none is configured.
    pub url: Option<GatewayUrl>,
    /// Its own secret, which is not the gateway's.
    pub token: Option<String>,
    /// The profiles that a gateway may use; all where none is named.
    pub allow_profiles: Vec<String>,
    /// Folders whose files an answer may name.
    pub file_roots: Vec<PathBuf>,
}

impl BrowserControl {
    /// `{method?, path, query?, body?, profile?, timeoutMs?}` → `{result, files?}`
    pub fn proxy(&self, params: &Value) -> Result<Value, Fault> {
        let Some(url) = &self.url else {
            return Err(Fault::unavailable(
                "no browser control server is configured on this node: set browser.controlUrl there",
            ));
        };
        let path = self.path(params)?;
        let span = milliseconds(&params["timeoutMs"]).unwrap_or(NODE_BROWSER_MS);
        let deadline = Instant::now() + Duration::from_millis(span);
        let method = params["method"]
            .as_str()
            .unwrap_or("GET")
            .to_ascii_uppercase();
        if !["GET", "POST", "PUT", "PATCH", "DELETE"].contains(&method.as_str()) {
            return Err(Fault::invalid(format!("method {method:?}")));
        }
        let body = params.get("body").filter(|body| !body.is_null());
        let mut result = browser_http::ask(
            &Request {
                url,
                method: &method,
                path: &path,
                token: self.token.as_deref(),
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
            return Err(Fault::unavailable(text));
        }
        Ok(payload)
    }

    /// The path with its query, checked: a gateway chooses what is asked, not how.
    fn path(&self, params: &Value) -> Result<String, Fault> {
        let asked = params["path"].as_str().map(str::trim).unwrap_or("");
        if asked.is_empty() {
            return Err(Fault::invalid("path required"));
        }
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "/-_.~:@!,;=+".contains(c);
        let has_dots = asked.split('/').any(|part| matches!(part, "." | ".."));
        if !asked.chars().all(is_plain) || has_dots || asked.contains("//") {
            return Err(Fault::invalid(format!("path {asked:?}")));
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
        let names_profile = query.is_some_and(|query| query.contains_key("profile"));
        if !is_allowed || (names_profile && !self.allow_profiles.is_empty()) {
            return Err(Fault::invalid("browser profile not allowed"));
        }
        let profile = profile.map(|name| ("profile".to_owned(), Value::from(name)));
        let more = query
            .into_iter()
            .flatten()
            .map(|(name, value)| (name.clone(), value.clone()));
        let mut sign = '?';
        for (name, value) in profile.into_iter().chain(more) {
            let text = match value {
                Value::Null => continue,
                Value::String(text) => text,
                other => other.to_string(),
            };
            path += &format!(
                "{sign}{}={}",
                browser_http::escaped(&name),
                browser_http::escaped(&text)
            );
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
        let fault = |why: String| Fault::unavailable(format!("browser proxy file {path}: {why}"));
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
            url: Some(GatewayUrl::loopback(port)),
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
        let params = json!({"path":"tabs","profile":"a b","query":{"limit":2,"x":null,"é":"&"}});
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
        assert_eq!(browser.proxy(&params).unwrap_err().message, "404: no tab");
        let seen = server.join().unwrap();
        assert!(
            seen.starts_with("POST /tabs/1 HTTP/1.0\r\n") && seen.ends_with("{\"a\":1}"),
            "{seen}"
        );
    }

    #[test]
    fn a_caller_reaches_no_other_place() {
        let browser = BrowserControl {
            url: Some(GatewayUrl::loopback(1)),
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
            assert_eq!(
                browser.proxy(&params).unwrap_err().code,
                "INVALID_REQUEST",
                "{params}"
            );
        }
        let none = BrowserControl::default()
            .proxy(&json!({"path":"/x"}))
            .unwrap_err();
        assert!(none.message.contains("browser.controlUrl"), "{none:?}");
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
