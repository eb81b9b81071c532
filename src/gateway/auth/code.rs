//! Codes by which one device is let in without anybody looking at it: made by an operator, worth
//! one `connect`, and for a few minutes.
//!
//! They live in memory alone and as hashes, so none outlives the process and none can be read out
//! of it. A code holds no other secret.

use super::scope::{Role, ScopeSet};
use super::secret::sha256;
use crate::limits::SETUP_CODES_MAX;
use std::collections::BTreeMap;

/// What a code is worth. Fixed when it is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeGrant {
    pub role: Role,
    /// Of an operator; a node has none.
    pub scopes: ScopeSet,
    /// The device whose operator made it, if it was a device: with its token the code goes.
    pub made_by: Option<Box<str>>,
    /// On the monotonic clock.
    pub expires_at_ms: u64,
}

/// Codes that were not used yet.
#[derive(Debug, Default)]
pub struct Codes {
    by_hash: BTreeMap<[u8; 32], CodeGrant>,
}

/// Digits and letters that nobody takes for each other (Crockford's base 32).
const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// A code of 80 bits, to be read aloud: four groups of four.
pub fn write_code(bits: [u8; 10]) -> String {
    let number = bits
        .iter()
        .fold(0u128, |all, byte| all << 8 | u128::from(*byte));
    let mut out = String::with_capacity(19);
    for at in 0..16 {
        if at > 0 && at % 4 == 0 {
            out.push('-');
        }
        let letter = number >> (75 - 5 * at) & 31;
        out.push(char::from(LETTERS[letter as usize]));
    }
    out
}

/// The code however it was typed.
fn hash(shown: &str) -> [u8; 32] {
    let letters = shown.chars().filter(|c| !matches!(c, '-' | ' '));
    let plain: String = letters
        .map(|c| match c.to_ascii_uppercase() {
            'O' => '0',
            'I' | 'L' => '1',
            c => c,
        })
        .collect();
    sha256(plain.as_bytes())
}

impl Codes {
    /// Adds a code; false where too many wait to be used.
    pub fn add(&mut self, code: &str, grant: CodeGrant, mono_ms: u64) -> bool {
        self.by_hash
            .retain(|_, grant| grant.expires_at_ms > mono_ms);
        let has_room = self.by_hash.len() < SETUP_CODES_MAX;
        if has_room {
            self.by_hash.insert(hash(code), grant);
        }
        has_room
    }

    /// Uses a code up. It is worth nothing from then on, whatever becomes of its use; one that was
    /// made for another role is not used up.
    ///
    /// # Errors
    ///
    /// None: there is no such code, it was used, or it has expired. Otherwise the code's own role.
    pub fn redeem(
        &mut self,
        shown: &str,
        role: Role,
        mono_ms: u64,
    ) -> Result<CodeGrant, Option<Role>> {
        let hash = hash(shown);
        match self.by_hash.get(&hash) {
            Some(grant) if grant.expires_at_ms > mono_ms && grant.role != role => {
                Err(Some(grant.role))
            }
            Some(_) => {
                let grant = self.by_hash.remove(&hash);
                let fresh = grant.filter(|grant| grant.expires_at_ms > mono_ms);
                fresh.ok_or(None)
            }
            None => Err(None),
        }
    }

    /// Forgets what the operator of a device made.
    pub fn forget_made_by(&mut self, device: &str) {
        self.by_hash
            .retain(|_, grant| grant.made_by.as_deref() != Some(device));
    }

    /// Forgets all of them.
    pub fn clear(&mut self) {
        self.by_hash.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant() -> CodeGrant {
        CodeGrant {
            role: Role::Node,
            scopes: ScopeSet::EMPTY,
            made_by: Some("maker".into()),
            expires_at_ms: 100,
        }
    }

    #[test]
    fn a_code_is_sixteen_letters_that_hold_all_bits() {
        assert_eq!(write_code([0; 10]), "0000-0000-0000-0000");
        assert_eq!(write_code([0xff; 10]), "ZZZZ-ZZZZ-ZZZZ-ZZZZ");
        let codes: std::collections::BTreeSet<String> = (0..80)
            .map(|bit| {
                let mut bits = [0; 10];
                bits[bit / 8] = 1 << (bit % 8);
                write_code(bits)
            })
            .collect();
        assert_eq!(codes.len(), 80);
    }

    #[test]
    fn a_code_is_worth_one_use_however_it_is_typed() {
        let mut codes = Codes::default();
        assert!(codes.add("0123-ABCD-0000-1111", grant(), 0));
        assert_eq!(
            codes.redeem("0123-ABCD-0000-1112", Role::Node, 1),
            Err(None)
        );
        let typed = "o i23 abcd0O00lIi1";
        assert_eq!(codes.redeem(typed, Role::Node, 1), Ok(grant()));
        assert_eq!(codes.redeem(typed, Role::Node, 1), Err(None));
    }

    #[test]
    fn a_code_ends_with_its_time_and_holds_for_its_role() {
        let mut codes = Codes::default();
        codes.add("A", grant(), 0);
        assert_eq!(codes.redeem("A", Role::Operator, 99), Err(Some(Role::Node)));
        assert_eq!(codes.redeem("A", Role::Operator, 100), Err(None));
        codes.add("A", grant(), 0);
        assert_eq!(codes.redeem("A", Role::Node, 100), Err(None));
        codes.add("A", grant(), 0);
        assert!(codes.redeem("A", Role::Node, 99).is_ok());
    }

    #[test]
    fn codes_are_few_and_go_with_who_made_them() {
        let mut codes = Codes::default();
        for n in 0..SETUP_CODES_MAX {
            assert!(codes.add(&n.to_string(), grant(), 0));
        }
        assert!(!codes.add("more", grant(), 99));
        assert!(codes.add("more", grant(), 100));
        codes.add(
            "other",
            CodeGrant {
                made_by: None,
                expires_at_ms: 300,
                ..grant()
            },
            0,
        );
        codes.forget_made_by("maker");
        assert_eq!(codes.redeem("more", Role::Node, 1), Err(None));
        assert!(codes.redeem("other", Role::Node, 1).is_ok());
        codes.add("last", grant(), 0);
        codes.clear();
        assert_eq!(codes.redeem("last", Role::Node, 1), Err(None));
    }
}
