//! Who may name whom: the table of layers, read from the sources' own words.
//!
//! A layer is a folder or a file of `src`. It may name the modules on its row and nothing else of
//! the program, and none of the outside things that its row forbids. Tests may name anything.

use std::path::{Path, PathBuf};

/// The outside world: what a pure layer cannot do without naming.
const WORLD: &[&str] = &[
    "mio::",
    "rustls::",
    "rustix::",
    "rusqlite::",
    "signal_hook",
    "std::fs",
    "std::env",
    "std::process",
    "std::thread",
    "thread::",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "UnixStream",
    "Instant::now",
    "SystemTime",
    "SystemRandom",
    "Mutex",
    "RwLock",
];

/// What would make a core that gives another transcript from the same inputs, or fails.
const UNREPEATABLE: &[&str] = &["HashMap", "HashSet", "RandomState"];

struct Layer {
    path: &'static str,
    /// Modules of the program, besides itself.
    may_name: &'static [&'static str],
    /// Besides [`WORLD`] where it is `pure`.
    must_not_name: &'static [&'static [&'static str]],
}

const LAYERS: &[Layer] = &[
    row("limits", &[], &[WORLD]),
    row("ids", &[], &[WORLD]),
    row("now", &[], &[WORLD]),
    row("order", &[], &[WORLD]),
    row("log", &["limits", "order"], &[]),
    row("ui", &[], &[WORLD]),
    row("tailnet", &["limits"], &[WORLD, UNREPEATABLE]),
    row("approvals", &["limits"], &[WORLD, UNREPEATABLE]),
    row("wire", &["limits"], &[WORLD, UNREPEATABLE]),
    row("conn", &["limits", "wire"], &[WORLD, UNREPEATABLE]),
    row("outbox", &["limits", "wire"], &[WORLD, UNREPEATABLE]),
    row("state", &["limits", "ids"], &[WORLD, UNREPEATABLE]),
    row("schedule", &["limits", "log"], &[WORLD, UNREPEATABLE]),
    row(
        "config",
        &["limits", "log", "order", "tailnet"],
        &[&["mio::", "rustls::"]],
    ),
    row(
        "gateway",
        &[
            "agent",
            "approvals",
            "channels",
            "config",
            "ids",
            "limits",
            "log",
            "mcp",
            "now",
            "order",
            "outbox",
            "schedule",
            "state",
            "tailnet",
            "ui",
            "wire",
        ],
        &[WORLD, UNREPEATABLE],
    ),
    row(
        "driver",
        &[
            "agent", "channels", "config", "conn", "gateway", "ids", "limits", "log", "mcp", "now",
            "outbox", "state", "tailnet", "wire",
        ],
        &[WORLD, UNREPEATABLE],
    ),
    row(
        "fuzz",
        &[
            "agent", "channels", "config", "conn", "driver", "gateway", "ids", "io", "limits",
            "remote", "state", "wire",
        ],
        &[WORLD, UNREPEATABLE],
    ),
    row(
        "agent",
        &["approvals", "config", "limits", "wire"],
        &[&["mio::"]],
    ),
    row("channels/markdown", &[], &[WORLD, UNREPEATABLE]),
    row(
        "channels",
        &["agent", "config", "limits"],
        &[&["mio::", "std::thread", "std::fs"]],
    ),
    row("mcp", &["config", "limits"], &[WORLD, UNREPEATABLE]),
    row("client", &["config", "io", "limits", "wire"], &[&["mio::"]]),
    row(
        "remote/beacon",
        &["limits", "order"],
        &[WORLD, UNREPEATABLE],
    ),
    row("remote/target", &["limits"], &[WORLD, UNREPEATABLE]),
    row("remote/words", &["limits"], &[WORLD, UNREPEATABLE]),
    row("remote/fault", &[], &[WORLD, UNREPEATABLE]),
    row("remote/pace", &["limits"], &[WORLD, UNREPEATABLE]),
    row(
        "remote",
        &["client", "config", "io", "limits", "order", "wire"],
        &[&["mio::"]],
    ),
    row(
        "node",
        &["approvals", "client", "host", "io", "limits"],
        &[&["mio::"]],
    ),
    row(
        "host",
        &["agent", "client", "io", "limits", "order"],
        &[&["mio::"]],
    ),
    row("service", &["client", "io"], &[&["mio::"]]),
    row(
        "cli",
        &[
            "agent",
            "approvals",
            "client",
            "config",
            "host",
            "io",
            "limits",
            "log",
            "node",
            "now",
            "order",
            "remote",
            "schedule",
            "service",
        ],
        &[&["mio::"]],
    ),
];

const fn row(
    path: &'static str,
    may_name: &'static [&'static str],
    must_not_name: &'static [&'static [&'static str]],
) -> Layer {
    Layer {
        path,
        may_name,
        must_not_name,
    }
}

/// The only files with unsafe code.
const UNSAFE: &[&str] = &["wire/mask.rs", "io/sys.rs"];
/// Long because they are one table each.
const TABLES: &[&str] = &["config/table.rs", "gateway/methods.rs", "limits.rs"];
const LINES_MAX: usize = 500;

#[test]
fn a_layer_names_only_what_is_below_it() {
    let mut faults = String::new();
    for layer in LAYERS {
        let own = layer.path.trim_end_matches(".rs");
        for source in sources(layer.path) {
            for module in modules(&source.code) {
                if module != own && !layer.may_name.contains(&module.as_str()) {
                    faults += &format!("{} names {module}\n", source.path);
                }
            }
            for word in layer.must_not_name.iter().copied().flatten() {
                if source.code.contains(word) {
                    faults += &format!("{} names {word}\n", source.path);
                }
            }
        }
    }
    assert!(faults.is_empty(), "{faults}");
}

#[test]
fn every_folder_and_file_of_the_program_is_on_a_row() {
    let top = std::fs::read_dir(root()).unwrap();
    for entry in top {
        let name = entry.unwrap().file_name().into_string().unwrap();
        // The outermost layer may name everything.
        let is_outermost = ["io", "lib.rs", "main.rs"].contains(&name.as_str());
        let on_row = |layer: &Layer| layer.path == name || format!("{}.rs", layer.path) == name;
        assert!(
            is_outermost || LAYERS.iter().any(on_row),
            "{name} has no layer"
        );
    }
}

#[test]
fn unsafe_code_stands_in_its_two_files_only() {
    for source in sources("") {
        if source.code.contains("unsafe ") {
            assert!(UNSAFE.contains(&source.path.as_str()), "{}", source.path);
        }
    }
}

#[test]
fn no_file_is_longer_than_can_be_read() {
    for source in sources("") {
        let is_table = TABLES.contains(&source.path.as_str());
        assert!(
            is_table || source.lines <= LINES_MAX,
            "{} has {} lines",
            source.path,
            source.lines
        );
    }
}

/// What an input can reach answers with a value, never with a panic.
#[test]
fn nothing_that_an_input_reaches_unwraps() {
    let mut faults = String::new();
    for layer in ["wire", "gateway", "state", "conn.rs", "outbox.rs"] {
        for source in sources(layer) {
            for word in [
                ".unwrap()",
                ".expect(",
                "panic!(",
                "unreachable!(",
                "todo!(",
            ] {
                if source.code.contains(word) {
                    faults += &format!("{} has {word}\n", source.path);
                }
            }
        }
    }
    assert!(faults.is_empty(), "{faults}");
}

struct Source {
    /// From `src`.
    path: String,
    /// Without comments, texts and tests.
    code: String,
    lines: usize,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn sources(below: &str) -> Vec<Source> {
    let mut files = Vec::new();
    let path = root().join(below);
    // A file with a folder of the same name is one module.
    let twin = root().join(format!("{below}.rs"));
    for path in [path, twin] {
        collect(&path, &mut files);
    }
    assert!(!files.is_empty(), "no sources at {below:?}");
    files.sort();
    files.iter().map(|path| read(path)).collect()
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) {
    if path.is_dir() {
        for entry in std::fs::read_dir(path).unwrap() {
            collect(&entry.unwrap().path(), files);
        }
    } else if path.extension().is_some_and(|it| it == "rs") && path.is_file() && !is_test(path) {
        files.push(path.to_owned());
    }
}

/// Files that their parent declares under `#[cfg(test)]`.
fn is_test(path: &Path) -> bool {
    let words = ["tests", "testing"];
    path.with_extension("")
        .components()
        .filter_map(|part| part.as_os_str().to_str())
        .any(|part| words.contains(&part) || part.ends_with("_tests"))
}

fn read(path: &Path) -> Source {
    let text = std::fs::read_to_string(path).unwrap();
    Source {
        path: path
            .strip_prefix(root())
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned(),
        lines: text.lines().count(),
        code: code(&text),
    }
}

/// A source without what only tests have: modules under `#[cfg(test)]`, which end with a brace
/// in the first column, and the lines behind any other `#[cfg(test)]`.
fn without_tests(mut text: &str) -> String {
    let mut out = String::new();
    while let Some(at) = text.find("#[cfg(test)]\n") {
        let (before, tests) = text.split_at(at);
        out += before;
        let marked = tests.split_once('\n').map_or("", |(_, behind)| behind);
        let is_block = marked.starts_with("mod ")
            && marked
                .lines()
                .next()
                .is_some_and(|line| line.ends_with('{'));
        let end = if is_block { "\n}" } else { "\n" };
        let end = marked.find(end).map_or(marked.len(), |at| at + end.len());
        text = &marked[end..];
    }
    out + text
}

/// The program's part of a source, without comments and texts.
fn code(text: &str) -> String {
    let text = without_tests(text);
    let mut out = String::new();
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '/' if rest.peek() == Some(&'/') => while rest.next_if(|c| *c != '\n').is_some() {},
            '"' => {
                while let Some(c) = rest.next() {
                    match c {
                        '\\' => drop(rest.next()),
                        '"' => break,
                        _ => {}
                    }
                }
            }
            // A quoted quote is no text's beginning.
            '\'' if rest.peek() == Some(&'"') => drop(rest.next()),
            _ => out.push(c),
        }
    }
    out
}

/// The modules behind `crate::`, those in braces included.
fn modules(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, start) in code.match_indices("crate::") {
        let rest = &code[at + start.len()..];
        if let Some(list) = rest.strip_prefix('{') {
            let mut depth = 0;
            let mut name = String::new();
            for c in list.chars() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => found.push(std::mem::take(&mut name)),
                    c if depth == 0 => name.push(c),
                    _ => {}
                }
            }
            found.push(name);
        } else {
            found.push(rest.to_owned());
        }
    }
    let first = |name: &String| {
        let name = name.trim_start();
        let end = name.find(|c: char| !c.is_alphanumeric() && c != '_');
        name[..end.unwrap_or(name.len())].to_owned()
    };
    let mut names: Vec<String> = found.iter().map(first).collect();
    names.retain(|name| !name.is_empty());
    names
}

#[test]
fn the_reader_of_sources_sees_what_it_should() {
    let text = "use crate::{io::x, limits};\n// crate::no\nlet a = \"crate::no\"; crate::conn::Conn\n\
                #[cfg(test)]\nmod tests {\n crate::no\n}\n#[cfg(test)]\nmod more;\ncrate::ids";
    assert_eq!(modules(&code(text)), ["io", "limits", "conn", "ids"]);
    assert!(!is_test(Path::new("src/wire/json.rs")));
    assert!(is_test(Path::new("src/io/store/tests/mod.rs")));
    assert!(is_test(Path::new("src/config/edit_tests.rs")));
}
