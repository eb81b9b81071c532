//! Scopes: what a connection of some role may call.
//!
//! A set of scopes is a few bits. The empty set allows nothing and is never a wildcard.

use std::fmt;

pub use crate::state::Role;
use crate::state::Texts;

/// One thing that an operator may be allowed to do, in the order of output arrays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// Everything.
    Admin,
    /// Ask for and resolve approvals of commands.
    Approvals,
    /// Pair and manage devices and nodes.
    Pairing,
    /// Read state and receive events.
    Read,
    /// Send, run, change what is not settings; reads too.
    Write,
}

impl Scope {
    /// Every scope, in the order of output arrays.
    pub const ALL: [Self; 5] = [
        Self::Admin,
        Self::Approvals,
        Self::Pairing,
        Self::Read,
        Self::Write,
    ];

    /// Reads one scope name. Names that this gateway does not know give None.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == text)
    }

    /// The scope as the wire writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "operator.admin",
            Self::Approvals => "operator.approvals",
            Self::Pairing => "operator.pairing",
            Self::Read => "operator.read",
            Self::Write => "operator.write",
        }
    }

    /// Whether holding `self` allows what `other` allows.
    pub const fn implies(self, other: Self) -> bool {
        match self {
            Self::Admin => true,
            Self::Write => matches!(other, Self::Write | Self::Read),
            _ => self as u8 == other as u8,
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A set of scopes, as asked for, approved or granted.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct ScopeSet(u8);

impl ScopeSet {
    /// Allows nothing.
    pub const EMPTY: Self = Self(0);
    /// Every operator scope by name: what the verified shared secret stands for.
    pub const ALL: Self = Self((1 << Scope::ALL.len()) - 1);

    /// Takes the known names and leaves out the rest, so an unknown name is never granted.
    pub fn parse<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        names.into_iter().filter_map(Scope::parse).collect()
    }

    /// Reads what a row holds.
    pub fn of_texts(texts: &Texts) -> Self {
        Self::parse(texts.iter().map(|text| &**text))
    }

    /// What a row shall hold.
    pub fn to_texts(self) -> Texts {
        self.names().map(Into::into).collect()
    }

    /// The set with `scope` in it.
    pub const fn with(self, scope: Scope) -> Self {
        Self(self.0 | scope.bit())
    }

    /// The scopes of either set.
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether `scope` itself is in the set.
    pub const fn has(self, scope: Scope) -> bool {
        self.0 & scope.bit() != 0
    }

    /// Whether the set holds nothing.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether some scope of the set implies `wanted`.
    pub fn allows(self, wanted: Scope) -> bool {
        self.iter().any(|held| held.implies(wanted))
    }

    /// Whether the set allows every scope of `wanted`.
    pub fn contains_all(self, wanted: Self) -> bool {
        wanted.iter().all(|scope| self.allows(scope))
    }

    /// The first scope of `wanted` that the set does not allow, in output order.
    pub fn first_missing(self, wanted: Self) -> Option<Scope> {
        wanted.iter().find(|scope| !self.allows(*scope))
    }

    /// What of `requested` the set allows: the grant of a connection.
    pub fn cut(self, requested: Self) -> Self {
        requested
            .iter()
            .filter(|scope| self.allows(*scope))
            .collect()
    }

    /// The scopes in the order of output arrays.
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |scope| self.has(*scope))
    }

    /// The names in the order of output arrays.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        self.iter().map(Scope::as_str)
    }
}

impl FromIterator<Scope> for ScopeSet {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        scopes.into_iter().fold(Self::EMPTY, Self::with)
    }
}

impl fmt::Debug for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

/// Who may call a method: a column of the method table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Only connections of role `node`.
    Node,
    /// Operators that hold the scope or one that implies it.
    Operator(Scope),
}

impl Access {
    /// Checks a call of a connection with `role` and `scopes`.
    pub fn check(self, role: Role, scopes: ScopeSet) -> Result<(), Denied> {
        match (self, role) {
            (Self::Node, Role::Node) => Ok(()),
            (Self::Operator(scope), Role::Operator) if scopes.allows(scope) => Ok(()),
            (Self::Operator(scope), Role::Operator) => Err(Denied::Scope(scope)),
            _ => Err(Denied::Role(role)),
        }
    }
}

/// Why a call is refused. Its text is the message of `INVALID_REQUEST`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// The caller lacks this scope.
    Scope(Scope),
    /// The caller's role has no such method.
    Role(Role),
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scope(scope) => write!(f, "missing scope: {scope}"),
            Self::Role(role) => write!(f, "unauthorized role: {}", role.as_str()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subsets() -> impl Iterator<Item = ScopeSet> {
        (0..1u8 << Scope::ALL.len()).map(ScopeSet)
    }

    #[test]
    fn names_are_read_and_written_in_one_order() {
        let set = ScopeSet::parse([
            "operator.write",
            "operator.read",
            "operator.admin",
            "operator.read",
        ]);
        let names: Vec<_> = set.names().collect();
        assert_eq!(names, ["operator.admin", "operator.read", "operator.write"]);
        let mut sorted = Scope::ALL.map(Scope::as_str);
        sorted.sort_unstable();
        assert_eq!(sorted, Scope::ALL.map(Scope::as_str));
    }

    #[test]
    fn rows_keep_the_set() {
        for set in subsets() {
            assert_eq!(ScopeSet::of_texts(&set.to_texts()), set);
        }
    }

    #[test]
    fn unknown_names_are_kept_out_of_the_grant() {
        for name in [
            "",
            "*",
            "admin",
            "operator.*",
            "Operator.Admin",
            "operator.admin ",
        ] {
            assert!(ScopeSet::parse([name]).is_empty(), "{name:?}");
        }
        let mixed = ScopeSet::parse(["operator.talk", "operator.read"]);
        assert_eq!(mixed, ScopeSet::EMPTY.with(Scope::Read));
    }

    #[test]
    fn admin_implies_everything_and_write_reads() {
        for scope in Scope::ALL {
            assert!(Scope::Admin.implies(scope));
            assert!(scope.implies(scope));
            assert_eq!(scope.implies(Scope::Admin), scope == Scope::Admin);
        }
        assert!(Scope::Write.implies(Scope::Read));
        assert!(!Scope::Read.implies(Scope::Write));
        assert!(!Scope::Write.implies(Scope::Pairing));
        assert!(!Scope::Pairing.implies(Scope::Approvals));
    }

    #[test]
    fn the_empty_set_is_no_wildcard() {
        for scope in Scope::ALL {
            assert!(!ScopeSet::EMPTY.allows(scope));
        }
        for wanted in subsets() {
            assert_eq!(ScopeSet::EMPTY.contains_all(wanted), wanted.is_empty());
            assert_eq!(ScopeSet::EMPTY.cut(wanted), ScopeSet::EMPTY);
            assert_eq!(wanted.cut(ScopeSet::EMPTY), ScopeSet::EMPTY);
        }
    }

    #[test]
    fn a_grant_never_passes_what_was_asked_nor_what_is_held() {
        for held in subsets() {
            for asked in subsets() {
                let granted = held.cut(asked);
                assert!(held.contains_all(granted));
                assert!(granted.iter().all(|scope| asked.has(scope)));
                assert_eq!(granted == asked, held.contains_all(asked));
                assert_eq!(
                    held.first_missing(asked).is_none(),
                    held.contains_all(asked)
                );
            }
        }
    }

    #[test]
    fn a_call_without_the_scope_names_it() {
        let read = ScopeSet::EMPTY.with(Scope::Read);
        let denied = Access::Operator(Scope::Write).check(Role::Operator, read);
        assert_eq!(
            denied.unwrap_err().to_string(),
            "missing scope: operator.write"
        );
        let denied = Access::Operator(Scope::Read).check(Role::Operator, ScopeSet::EMPTY);
        assert_eq!(
            denied.unwrap_err().to_string(),
            "missing scope: operator.read"
        );
        assert_eq!(
            Access::Operator(Scope::Read).check(Role::Operator, read),
            Ok(())
        );
    }

    #[test]
    fn roles_do_not_cross_whatever_the_scopes() {
        let denied = Access::Node.check(Role::Operator, ScopeSet::ALL);
        assert_eq!(
            denied.unwrap_err().to_string(),
            "unauthorized role: operator"
        );
        let denied = Access::Operator(Scope::Read).check(Role::Node, ScopeSet::ALL);
        assert_eq!(denied.unwrap_err().to_string(), "unauthorized role: node");
        assert_eq!(Access::Node.check(Role::Node, ScopeSet::EMPTY), Ok(()));
    }
}
