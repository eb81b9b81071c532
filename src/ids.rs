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

/// Connections that wait for something, each taken in the order in which it came. What a `VecDeque` does, without
/// going round in its memory: a line is emptied to the last before it is filled again.
#[derive(Debug, Default)]
pub struct Line {
    /// Never shortened: a place is used again without asking for room.
    conns: Vec<ConnId>,
    at: usize,
    end: usize,
}

impl Line {
    /// Takes its place at the end.
    #[inline(always)]
    pub fn push(&mut self, conn: ConnId) {
        match self.conns.get_mut(self.end) {
            Some(place) => *place = conn,
            None => self.conns.push(conn),
        }
        self.end += 1;
    }

    /// The first of those that are left.
    #[inline(always)]
    pub fn take_first(&mut self) -> Option<ConnId> {
        if self.at == self.end {
            (self.at, self.end) = (0, 0);
            return None;
        }
        let conn = *self.conns.get(self.at)?;
        self.at += 1;
        Some(conn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_emptied_in_the_order_in_which_it_was_filled() {
        let conn = |slot| ConnId::new(slot, 0);
        let mut line = Line::default();
        line.push(conn(2));
        line.push(conn(1));
        assert_eq!(line.take_first(), Some(conn(2)));
        line.push(conn(3));
        assert_eq!(line.take_first(), Some(conn(1)));
        assert_eq!(line.take_first(), Some(conn(3)));
        assert_eq!(line.take_first(), None);
        line.push(conn(4));
        assert_eq!(line.take_first(), Some(conn(4)));
        assert_eq!(line.take_first(), None);
        assert_eq!(
            line.conns.len(),
            3,
            "a place for each that ever waited at once"
        );
    }
}
