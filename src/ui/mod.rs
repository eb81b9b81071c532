//! The static page, embedded in the binary: what this is and how to connect.

/// The page at `/` where no `gateway.controlUi.root` is set; `scheme` is `ws` or `wss`.
pub fn landing_page(version: &str, scheme: &str, port: u16) -> String {
    include_str!("landing.html")
        .replace("{{version}}", version)
        .replace("{{scheme}}", scheme)
        .replace("{{port}}", &port.to_string())
}

/// The page's files: media type and bytes.
pub fn asset(path: &str) -> Option<(&'static str, &'static [u8])> {
    match path {
        "/landing.css" => Some(("text/css; charset=utf-8", include_bytes!("landing.css"))),
        _ => None,
    }
}
