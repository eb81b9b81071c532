//! Replays what the fuzz targets were given and have found.

use std::fs;
use std::path::Path;

fn replay(target: &str, body: fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(target);
    let mut replayed = 0;
    for entry in fs::read_dir(corpus).unwrap() {
        body(&fs::read(entry.unwrap().path()).unwrap());
        replayed += 1;
    }
    assert!(replayed > 0, "the corpus of {target} is empty");
}

#[test]
fn http_heads() {
    replay("http_head", clawdia::fuzz::http_head);
}

#[test]
fn proxy_headers() {
    replay("proxy_header", clawdia::fuzz::proxy_header);
}

#[test]
fn frames() {
    replay("frames", clawdia::fuzz::frames);
}

#[test]
fn connections() {
    replay("connection", clawdia::fuzz::connection);
}

#[test]
fn envelopes() {
    replay("envelope", clawdia::fuzz::envelope);
}

#[test]
fn ssh_targets() {
    replay("ssh_target", clawdia::fuzz::ssh_target);
}
