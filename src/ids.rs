//! Connection ids that cannot be confused after their slot is used again.

/// A slot of the connection table and the generation that lives in it now.
///
/// A slot is used again after its connection went; the generation then differs,
/// so an answer meant for the old connection reaches nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnId {
    slot: u32,
    generation: u32,
}

impl ConnId {
    /// Names the connection in `slot` whose slot has been used `generation` times before.
    pub const fn new(slot: u32, generation: u32) -> Self {
        Self { slot, generation }
    }

    /// The index into connection tables.
    pub const fn slot(self) -> usize {
        self.slot as usize
    }

    /// How often the slot was used before this connection.
    pub const fn generation(self) -> u32 {
        self.generation
    }
}

impl std::fmt::Display for ConnId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.slot, self.generation)
    }
}
