//! Static files of one directory, confined to it: no step upwards and no link leads out.

use crate::gateway::FetchResult;
use crate::limits::STATIC_FILE_BYTES_MAX;
use rustix::fs::{Mode, OFlags, ResolveFlags};
use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::Path;

/// The page, for every path that names no file.
const PAGE: &str = "index.html";
/// Pages may live below any path; their files are asked for below it.
const ASSETS: &str = "/assets/";

/// Reads the file that `path` names below `root`, or the page.
///
/// `path` begins with a slash and is decoded already. A path below `assets` that is not there
/// is missing; any other one is the page's own business.
pub fn read(root: &Path, path: &str) -> FetchResult {
    let dir = match rustix::fs::open(
        root,
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    ) {
        Ok(dir) => dir,
        Err(fault) => {
            return FetchResult::Failed(format!(
                "gateway.controlUi.root {}: {fault}",
                root.display()
            ));
        }
    };
    let (name, is_asset) = match path.find(ASSETS) {
        Some(at) => (&path[at + 1..], true),
        None => (path.trim_start_matches('/'), false),
    };
    if !name.is_empty()
        && let Some(bytes) = read_below(&dir, name)
    {
        return FetchResult::File {
            media_type: media_type(name),
            bytes,
        };
    }
    if is_asset {
        return FetchResult::Missing;
    }
    match read_below(&dir, PAGE) {
        Some(bytes) => FetchResult::File {
            media_type: media_type(PAGE),
            bytes,
        },
        None => FetchResult::Missing,
    }
}

/// The kernel refuses whatever would leave `dir`, links included.
fn read_below(dir: &OwnedFd, name: &str) -> Option<Vec<u8>> {
    let fd = open_below(dir, name)?;
    let file = File::from(fd);
    let about = file.metadata().ok()?;
    if !about.is_file() || about.len() > STATIC_FILE_BYTES_MAX {
        return None;
    }
    let mut bytes = Vec::with_capacity(about.len() as usize);
    file.take(STATIC_FILE_BYTES_MAX)
        .read_to_end(&mut bytes)
        .ok()?;
    Some(bytes)
}

#[cfg(target_os = "linux")]
fn open_below(dir: &OwnedFd, name: &str) -> Option<OwnedFd> {
    rustix::fs::openat2(
        dir,
        name,
        OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW,
        Mode::empty(),
        ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS,
    )
    .ok()
}

/// Where there is no openat2, each step is opened by itself and none may be a link.
#[cfg(not(target_os = "linux"))]
fn open_below(dir: &OwnedFd, name: &str) -> Option<OwnedFd> {
    let mut at: Option<OwnedFd> = None;
    let mut steps = name.split('/').peekable();
    while let Some(step) = steps.next() {
        if matches!(step, "" | "." | "..") {
            return None;
        }
        let kind = if steps.peek().is_some() {
            OFlags::DIRECTORY
        } else {
            OFlags::empty()
        };
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | kind;
        let from = at.as_ref().unwrap_or(dir);
        at = Some(rustix::fs::openat(from, step, flags, Mode::empty()).ok()?);
    }
    at
}

fn media_type(name: &str) -> &'static str {
    match name.rsplit('.').next().unwrap_or("") {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "woff2" => "font/woff2",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_outside_the_root_is_served() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("ui");
        std::fs::create_dir_all(root.join("assets")).unwrap();
        std::fs::write(dir.path().join("secret"), "no").unwrap();
        std::fs::write(root.join("index.html"), "page").unwrap();
        std::fs::write(root.join("assets/app.js"), "app").unwrap();
        std::os::unix::fs::symlink(dir.path().join("secret"), root.join("leak.txt")).unwrap();
        std::os::unix::fs::symlink(dir.path(), root.join("up")).unwrap();
        let text = |path: &str| match read(&root, path) {
            FetchResult::File { bytes, .. } => String::from_utf8(bytes).unwrap(),
            FetchResult::Missing => "missing".to_owned(),
            _ => "failed".to_owned(),
        };
        assert_eq!(text("/"), "page");
        assert_eq!(text("/chat"), "page");
        assert_eq!(text("/assets/app.js"), "app");
        assert_eq!(text("/deep/path/assets/app.js"), "app");
        assert_eq!(text("/assets/none.js"), "missing");
        for outside in [
            "/leak.txt",
            "/up/secret",
            "/../secret",
            "/assets/../../secret",
        ] {
            assert!(!text(outside).contains("no"), "{outside}");
        }
    }
}
