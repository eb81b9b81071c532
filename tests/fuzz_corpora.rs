//! Replays what the fuzz targets were given and have found.

#[path = "../fuzz/bodies/messages.rs"]
mod messages;

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

/// A test for each target, by its name.
macro_rules! targets {
    ($($name:ident: $body:path,)*) => {
        $(
            #[test]
            fn $name() {
                replay(stringify!($name), $body);
            }
        )*

        #[test]
        fn every_target_is_replayed() {
            let targets = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/fuzz_targets");
            for entry in fs::read_dir(targets).unwrap() {
                let path = entry.unwrap().path();
                let name = path.file_stem().unwrap().to_str().unwrap();
                assert!([$(stringify!($name)),*].contains(&name), "{name}");
            }
        }
    };
}

targets! {
    config: clawdia::fuzz::config,
    connect: clawdia::fuzz::connect,
    connection: clawdia::fuzz::connection,
    envelope: clawdia::fuzz::envelope,
    forwarded: clawdia::fuzz::forwarded,
    frames: clawdia::fuzz::frames,
    http_head: clawdia::fuzz::http_head,
    messages: messages::messages,
    provider: clawdia::fuzz::provider,
    proxy_header: clawdia::fuzz::proxy_header,
    record: clawdia::fuzz::record,
    ssh_target: clawdia::fuzz::ssh_target,
    telegram: clawdia::fuzz::telegram,
    text: clawdia::fuzz::text,
}
