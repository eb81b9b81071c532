//! The gateway's own token, made where the configuration names no secret.

use super::state_dir::{StartFault, check_owner, is_open_to_others};
use super::{atomic, entropy};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The token's name in the state directory.
pub const TOKEN_FILE: &str = "gateway-token";

/// 256 bits: not to be guessed, however fast a guesser is answered.
const TOKEN_BYTES: usize = 32;
/// A longer file is not a token.
const TOKEN_FILE_BYTES_MAX: u64 = 4096;

/// Where the state directory keeps the token.
pub fn token_path(dir: &Path) -> PathBuf {
    dir.join(TOKEN_FILE)
}

/// The token of the state directory; None where none was made yet.
pub fn load_token(dir: &Path) -> Result<Option<String>, StartFault> {
    let path = token_path(dir);
    let meta = match fs::symlink_metadata(&path) {
        Ok(meta) => meta,
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(fault) => return Err(StartFault::io("read", &path, fault)),
    };
    let refuse = |why: &str| {
        let path = path.display();
        Err(StartFault::refused(format!(
            "{path} {why}: remove it and a new token is made"
        )))
    };
    if !meta.is_file() || meta.len() > TOKEN_FILE_BYTES_MAX {
        return refuse("is not a token file");
    }
    check_owner(&path, &meta)?;
    if is_open_to_others(&meta) {
        return refuse("was open to other users, who may know the token now");
    }
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(fault) if fault.kind() == io::ErrorKind::InvalidData => return refuse("is damaged"),
        Err(fault) => return Err(StartFault::io("read", &path, fault)),
    };
    match text.trim() {
        "" => refuse("is empty"),
        token => Ok(Some(token.to_string())),
    }
}

/// The token of the state directory, made now where there was none. Two processes that make one
/// at the same time get the same.
pub fn load_or_create_token(dir: &Path) -> Result<String, StartFault> {
    if let Some(token) = load_token(dir)? {
        return Ok(token);
    }
    let path = token_path(dir);
    let token = random_token().map_err(|fault| StartFault::io("make a token for", &path, fault))?;
    match atomic::create(&path, format!("{token}\n").as_bytes()) {
        Ok(()) => Ok(token),
        Err(fault) if fault.kind() == io::ErrorKind::AlreadyExists => {
            let message = format!("{} was made and removed meanwhile", path.display());
            load_token(dir)?.ok_or(StartFault::refused(message))
        }
        Err(fault) => Err(StartFault::io("write", &path, fault)),
    }
}

/// 43 characters of base64url.
fn random_token() -> io::Result<String> {
    let mut bytes = [0; TOKEN_BYTES];
    entropy::fill(&mut bytes)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::state_dir::EXIT_CONFIG;
    use std::fs::Permissions;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    #[test]
    fn a_token_is_made_once_long_and_for_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(load_token(dir.path()), Ok(None));
        let token = load_or_create_token(dir.path()).unwrap();
        assert_eq!(token.len(), 43);
        assert_eq!(load_or_create_token(dir.path()).as_ref(), Ok(&token));
        assert_eq!(load_token(dir.path()), Ok(Some(token.clone())));
        assert_eq!(
            fs::metadata(token_path(dir.path())).unwrap().mode() & 0o777,
            0o600
        );
        let other = tempfile::tempdir().unwrap();
        assert_ne!(load_or_create_token(other.path()).unwrap(), token);
    }

    #[test]
    fn makers_at_the_same_time_get_the_same_token() {
        let dir = tempfile::tempdir().unwrap();
        let tokens: Vec<String> = std::thread::scope(|scope| {
            let makers: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| load_or_create_token(dir.path()).unwrap()))
                .collect();
            makers
                .into_iter()
                .map(|maker| maker.join().unwrap())
                .collect()
        });
        assert!(tokens.iter().all(|token| *token == tokens[0]));
    }

    #[test]
    fn a_file_that_others_could_read_or_that_is_no_token_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = token_path(dir.path());
        load_or_create_token(dir.path()).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        let fault = load_or_create_token(dir.path()).unwrap_err();
        assert_eq!(fault.exit_code, EXIT_CONFIG);
        assert!(fault.message.contains("gateway-token"), "{fault}");
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        for damaged in [&b""[..], b" \n", b"\xff\xfe", &[b'x'; 5000]] {
            fs::write(&path, damaged).unwrap();
            assert!(load_or_create_token(dir.path()).is_err(), "{damaged:?}");
            assert_eq!(fs::read(&path).unwrap(), damaged);
        }
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/etc/hostname", &path).unwrap();
        assert!(load_or_create_token(dir.path()).is_err());
    }
}
