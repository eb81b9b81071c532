//! Golden transcripts: what clients and a gateway of protocol version 3 said to each other, one
//! file a method or a mistake, replayed through the core without sockets.
//!
//! The client's frames are sent as recorded, but for what cannot be the same twice: keys and
//! signatures (`$id1`, `$key1`, `$signature1`, `$token1`), the clock (`$now+3`), the challenge
//! (`$nonce`), and whatever the gateway itself gave out before, such as a request id. What
//! comes back must be the same frames in the same order with the same shapes: see `shape`.
//! Differences that are meant are listed, with the reason, in `differences`.

mod differences;
mod replay;
mod shape;
mod transcript;

use clawdia::gateway::methods::METHODS;
use differences::DIFFERENCES;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use transcript::Transcript;

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts")
}

fn transcripts() -> Vec<Transcript> {
    let entries = std::fs::read_dir(directory()).expect("tests/transcripts");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| Transcript::read(path)).collect()
}

/// `CLAWDIA_GOLDEN=name` replays one file and prints every frame.
#[test]
fn every_transcript_is_answered_as_it_was_recorded() {
    let only = std::env::var("CLAWDIA_GOLDEN").ok();
    let mut unused: BTreeSet<usize> = (0..DIFFERENCES.len()).collect();
    let mut report = String::new();
    for transcript in transcripts() {
        if only.as_ref().is_some_and(|only| *only != transcript.name) {
            continue;
        }
        if !transcript.is_served() {
            continue;
        }
        for difference in replay::replay(&transcript, only.is_some()) {
            let allowed: Vec<usize> = differences::allowed(&transcript.name, &difference);
            if allowed.is_empty() {
                report += &format!("{}: {difference}\n", transcript.name);
            }
            for at in allowed {
                unused.remove(&at);
            }
        }
    }
    assert!(
        report.is_empty(),
        "differences that are not listed:\n{report}"
    );
    if only.is_none() {
        let unused: Vec<_> = unused.into_iter().map(|at| DIFFERENCES[at]).collect();
        assert!(unused.is_empty(), "listed and not met: {unused:#?}");
    }
}

#[test]
fn every_method_has_a_transcript() {
    let called: BTreeSet<String> = transcripts().iter().flat_map(Transcript::methods).collect();
    let missing: Vec<&str> = METHODS
        .iter()
        .map(|row| row.name)
        .filter(|name| !called.contains(*name))
        .collect();
    assert!(missing.is_empty(), "no transcript calls {missing:?}");
}

#[test]
fn the_transcripts_stay_small() {
    let sizes = transcripts().iter().map(|it| it.bytes_len).sum::<usize>();
    assert!(sizes < 2_000_000, "{sizes} bytes of transcripts");
}
