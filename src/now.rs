//! The time, as the pure layers see it.

/// Both clocks at one moment, in milliseconds. Integers, so that a test can make them up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Now {
    /// Never goes back; its zero means nothing. For deadlines.
    pub mono_ms: u64,
    /// Since 1970-01-01 UTC. For what people and peers read.
    pub unix_ms: u64,
}
