//! Files of time zones, as the machine has them.

use crate::gateway::FetchResult;
use crate::limits::ZONE_FILE_BYTES_MAX;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Where systems keep them.
const DIRECTORIES: [&str; 3] = [
    "/usr/share/zoneinfo",
    "/usr/lib/zoneinfo",
    "/usr/share/lib/zoneinfo",
];
/// The machine's own.
const LOCAL: &str = "/etc/localtime";

/// The file of a zone; without a name that of `TZ`, else the machine's own.
pub fn read(name: Option<&str>) -> FetchResult {
    let own = std::env::var("TZ").ok();
    let own = own.map(|name| name.trim_start_matches(':').to_owned());
    let name = name.or(own.as_deref()).filter(|name| !name.is_empty());
    let found = match name {
        Some(name) => find(name),
        None => open(Path::new(LOCAL)),
    };
    match found {
        Ok(Some(bytes)) => FetchResult::Zone(bytes),
        Ok(None) => FetchResult::Missing,
        Err(fault) => FetchResult::Failed(fault.to_string()),
    }
}

fn find(name: &str) -> io::Result<Option<Vec<u8>>> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "_+-/".contains(c);
    if name.starts_with('/') || !name.chars().all(fits) {
        return Ok(None);
    }
    for directory in DIRECTORIES {
        if let Some(bytes) = open(&Path::new(directory).join(name))? {
            return Ok(Some(bytes));
        }
    }
    Ok(None)
}

fn open(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Ok(file) if file.metadata()?.is_file() => file,
        Ok(_) => return Ok(None),
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(fault) => return Err(fault),
    };
    let mut bytes = Vec::new();
    file.take(ZONE_FILE_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_leads_nowhere_else() {
        for name in [
            "../../etc/passwd",
            "/etc/passwd",
            "Europe",
            "No/Where",
            "a\0b",
        ] {
            assert!(matches!(read(Some(name)), FetchResult::Missing), "{name}");
        }
    }
}
