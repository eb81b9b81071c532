//! What a person or a configuration names as the target of `ssh`.

use crate::remote::target::SshTarget;
use crate::remote::words::{self, Login};

/// A target: nothing panics, and what is accepted is one harmless word with one meaning.
///
/// # Panics
///
/// When an accepted target could be an option, a command, or another target.
pub fn ssh_target(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    let target = match SshTarget::parse(text) {
        Ok(target) => target,
        Err(told) => {
            assert!(!told.contains(|c: char| c.is_control()), "{told:?}");
            return;
        }
    };
    assert_eq!(SshTarget::parse(&target.to_string()).as_ref(), Ok(&target));
    assert_ne!(target.port(), Some(0));
    let destination = target.destination();
    let harmless = |c: char| c.is_ascii_alphanumeric() || ".-_@:".contains(c);
    assert!(destination.chars().all(harmless), "{destination}");
    for part in destination.split('@') {
        assert!(!part.is_empty() && !part.starts_with('-'), "{destination}");
    }
    let words = words::tunnel(&Login::new(target, None), 1, 2);
    let behind_options = words
        .iter()
        .position(|word| word == "--")
        .map(|at| &words[at + 1..]);
    assert_eq!(behind_options, Some(&[destination.into()][..]));
}
