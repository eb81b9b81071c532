//! Random bytes from the operating system.

use ring::rand::{SecureRandom, SystemRandom};

/// Fills `bytes`.
///
/// # Errors
///
/// When the operating system gives none; nothing that needs a secret can go on then.
pub fn fill(bytes: &mut [u8]) -> std::io::Result<()> {
    SystemRandom::new()
        .fill(bytes)
        .map_err(|_| std::io::Error::other("the system gives no random bytes"))
}

/// The core's entropy in service.
pub struct System;

impl crate::gateway::Entropy for System {
    fn fill(&mut self, bytes: &mut [u8]) {
        // A gateway without randomness must not go on: its tokens could be guessed.
        assert!(fill(bytes).is_ok(), "the system gives no random bytes");
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn two_draws_differ() {
        let (mut one, mut two) = ([0; 32], [0; 32]);
        super::fill(&mut one).unwrap();
        super::fill(&mut two).unwrap();
        assert_ne!(one, two);
    }
}
