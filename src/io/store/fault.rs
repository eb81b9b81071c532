//! What SQLite's errors mean to the core and to a start.

use crate::io::state_dir::StartFault;
use crate::state::{StoreFault, StoreFaultKind};
use rusqlite::{Error, ErrorCode, ffi};
use std::path::Path;

/// The fault of a request.
pub(super) fn store_fault(fault: &Error) -> StoreFault {
    let kind = match fault {
        Error::SqliteFailure(failure, _) => kind(failure),
        // What was written does not read as what it should be.
        _ => StoreFaultKind::Corrupt,
    };
    StoreFault {
        kind,
        message: fault.to_string(),
    }
}

/// The fault of a start: only a damaged database needs a person.
pub(crate) fn start_fault(path: &Path, fault: &Error) -> StartFault {
    let fault = store_fault(fault);
    match fault.kind {
        StoreFaultKind::Corrupt => damaged(path, &fault.message),
        StoreFaultKind::Full => {
            let dir = path.parent().unwrap_or(path).display();
            let why = format!("{}; the disk is full: see `df -h {dir}`", fault.message);
            StartFault::io("open the database", path, why)
        }
        _ => StartFault::io("open the database", path, fault.message),
    }
}

/// Names the file, what is wrong with it and the ways back.
pub(crate) fn damaged(path: &Path, why: &str) -> StartFault {
    let path = path.display();
    StartFault::refused(format!(
        "the database {path} is damaged ({why}) and was left as it is: bring back a backup with \
         `clawdia restore FILE`, or move {path}* away to begin with nothing"
    ))
}

fn kind(failure: &ffi::Error) -> StoreFaultKind {
    match (failure.code, failure.extended_code) {
        (ErrorCode::DiskFull, _) => StoreFaultKind::Full,
        // A quota and a limit on the file's size are reported as failed writes.
        (_, ffi::SQLITE_IOERR_WRITE | ffi::SQLITE_IOERR_SHMSIZE) => StoreFaultKind::Full,
        (_, ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_DIR_FSYNC) => StoreFaultKind::SyncFailed,
        (ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked, _) => StoreFaultKind::Busy,
        (ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase, _) => StoreFaultKind::Corrupt,
        _ => StoreFaultKind::Io,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_on_a_full_disk_says_so_and_may_be_tried_again() {
        for code in [ffi::SQLITE_FULL, ffi::SQLITE_IOERR_SHMSIZE] {
            let fault = Error::SqliteFailure(ffi::Error::new(code), None);
            let refused = start_fault(Path::new("/state/clawdia.db"), &fault);
            assert_eq!(refused.exit_code, crate::io::state_dir::EXIT_IO);
            assert!(refused.message.contains("df -h /state"), "{refused}");
        }
    }
}
