//! Calls on their way to nodes, found by number. Their places are used again, so that a call
//! costs no memory of its own while about as many are on their way as before.

use super::progress::Progress;
use super::repeats::RepeatKey;
use crate::gateway::Gateway;
use crate::gateway::dispatch::KeptCall;
use crate::gateway::nodes::invoke::InvokeOutcome;
use crate::ids::ConnId;
use crate::now::Now;
use crate::state::Text;

/// Bits of a number that say its place; those above count the calls of all places.
const PLACE_BITS: u32 = 24;
/// More free places than this are given back once no call is on its way.
const FREE_PLACES_MAX: usize = 1_024;

/// A call that a node has not answered.
pub struct Call {
    /// The connection that it was sent to; no other may answer it.
    pub node: ConnId,
    pub node_id: Text,
    pub command: Text,
    /// Who is told how it ended.
    pub waiter: Waiter,
    /// Those who asked again with the same idempotency key.
    pub also: Vec<KeptCall>,
    /// Under which its outcome is remembered.
    pub key: Option<RepeatKey>,
    /// Set where the caller wants to see what is printed while it runs.
    pub progress: Option<Box<Progress>>,
}

/// Who is told how a call ended.
pub enum Waiter {
    /// A `node.invoke` call.
    Caller(KeptCall),
    /// A part of the gateway.
    Then(Then),
}

/// What a part of the gateway does with the outcome.
pub type Then = Box<dyn FnOnce(&mut Gateway, Now, InvokeOutcome) + Send>;

/// All calls that nodes have not answered.
#[derive(Default)]
pub struct Calls {
    places: Vec<Option<(u64, Call)>>,
    free: Vec<u32>,
    given: u64,
}

impl Calls {
    /// Numbers begin somewhere.
    pub fn seed(&mut self, random: u64) {
        // Half of the range, so that counting up from there never ends.
        self.given = random >> (PLACE_BITS + 1);
    }

    /// Calls on their way.
    pub fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// The call with this number.
    pub fn get(&self, number: u64) -> Option<&Call> {
        let place = self.places.get(place_of(number))?.as_ref();
        place
            .filter(|(own, _)| *own == number)
            .map(|(_, call)| call)
    }

    /// The same, to be changed.
    pub fn get_mut(&mut self, number: u64) -> Option<&mut Call> {
        let place = self.places.get_mut(place_of(number))?.as_mut();
        place
            .filter(|(own, _)| *own == number)
            .map(|(_, call)| call)
    }

    /// Keeps a call; its number.
    pub fn insert(&mut self, call: Call) -> u64 {
        let place = self.free.pop().unwrap_or_else(|| {
            self.places.push(None);
            self.places.len() as u32 - 1
        });
        self.given += 1;
        let number = self.given << PLACE_BITS | u64::from(place);
        self.places[place as usize] = Some((number, call));
        number
    }

    /// Takes a call out.
    pub fn remove(&mut self, number: u64) -> Option<Call> {
        self.get(number)?;
        let place = place_of(number);
        let (_, call) = self.places[place].take()?;
        self.free.push(place as u32);
        if self.len() == 0 && self.places.len() > FREE_PLACES_MAX {
            self.places = Vec::new();
            self.free = Vec::new();
        }
        Some(call)
    }
}

const fn place_of(number: u64) -> usize {
    (number & ((1 << PLACE_BITS) - 1)) as usize
}

/// A number as nodes see it: 16 hex digits.
pub fn write_id(number: u64) -> [u8; 16] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    std::array::from_fn(|at| DIGITS[(number >> (60 - 4 * at)) as usize & 15])
}

/// Reads what [`write_id`] wrote.
pub fn read_id(id: &str) -> Option<u64> {
    let is_hex = id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hex.then(|| u64::from_str_radix(id, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call() -> Call {
        Call {
            node: ConnId::new(1, 1),
            node_id: "n".into(),
            command: "c".into(),
            waiter: Waiter::Then(Box::new(|_, _, _| {})),
            also: Vec::new(),
            key: None,
            progress: None,
        }
    }

    #[test]
    fn a_number_finds_its_call_alone_though_places_are_used_again() {
        let mut calls = Calls::default();
        calls.seed(u64::MAX);
        let one = calls.insert(call());
        let two = calls.insert(call());
        assert_eq!(calls.len(), 2);
        assert!(calls.remove(one).is_some());
        assert!(calls.remove(one).is_none());
        let three = calls.insert(call());
        assert_eq!(place_of(three), place_of(one));
        assert!(calls.get(one).is_none());
        assert!(calls.get(two).is_some() && calls.get_mut(three).is_some());
        assert_eq!(calls.len(), 2);
    }

    #[test]
    fn ids_are_read_as_they_are_written() {
        for number in [0, 1, 0xfedc_ba98_7654_3210, u64::MAX] {
            let id = write_id(number);
            let id = std::str::from_utf8(&id).unwrap();
            assert_eq!(read_id(id), Some(number));
        }
        for id in [
            "",
            "1",
            "+00000000000000f",
            "00000000000000000",
            "zzzzzzzzzzzzzzzz",
        ] {
            assert_eq!(read_id(id), None, "{id}");
        }
    }
}
