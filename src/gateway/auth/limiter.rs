//! Counts wrong guesses and locks out who makes too many.
//!
//! Ten failures within a minute lock the guesser for five minutes. What is no guess, such
//! as a missing secret or a malformed frame, is never reported here, so nobody can lock
//! out others by it; and each kind of secret is counted alone, so a device with a good
//! token passes while the shared secret is locked.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::address::Subscriber;
use super::locality::Client;
use super::origin::Origin;
use super::secret::sha256;
use crate::limits::{GUESS_ENTRIES_MAX, GUESS_LOCK_MS, GUESS_WINDOW_MS, GUESSES_MAX};
use crate::wire::http::Refusal;

/// What is being guessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SecretKind {
    /// The gateway's token or password, over WebSocket or HTTP.
    Shared,
    /// A device's token.
    DeviceToken,
    /// A code that is redeemed once.
    SetupCode,
    /// The token of webhooks.
    Hook,
    /// The secret with which a channel's service brings messages.
    Webhook,
}

/// Who guesses at what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Guesser {
    who: Who,
    kind: SecretKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Who {
    Remote(Subscriber),
    /// A page in a browser on this machine, by the hash of its origin.
    LocalPage([u8; 32]),
}

impl Guesser {
    /// Whom to count a guess of `client` on, whose upgrade carried `origin`. None for a
    /// program on this machine, which could read the secret from the configuration; a page
    /// that some browser here has open could not.
    fn new(client: &Client, origin: Option<&Origin>, kind: SecretKind) -> Option<Self> {
        let who = match origin {
            None if client.local => return None,
            Some(origin) if client.local => Who::LocalPage(sha256(origin.to_string().as_bytes())),
            _ => Who::Remote(Subscriber::of(client.ip)),
        };
        Some(Self { who, kind })
    }

    const LOWEST: Self = Self {
        who: Who::Remote(Subscriber::V4([0; 4])),
        kind: SecretKind::Shared,
    };
}

/// The guesser has to wait. The error is `unauthorized: too many attempts`, retryable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Locked {
    /// `retryAfterMs`: when the lock ends, from now; never 0.
    pub retry_after_ms: u64,
}

impl Locked {
    /// What the peer is told.
    pub const TEXT: &'static str = "unauthorized: too many attempts";
}

/// What a plain request is told.
impl From<Locked> for Refusal {
    fn from(_: Locked) -> Self {
        Self::new(429, "too many attempts")
    }
}

/// The failures of the last minute and the locks, of a bounded number of guessers.
#[derive(Debug, Default)]
pub struct Limiter {
    guessers: BTreeMap<Guesser, State>,
    /// Every guesser by when it may be forgotten: the unlocked first, then the locked.
    by_end: BTreeSet<(bool, u64, Guesser)>,
}

#[derive(Debug)]
enum State {
    /// When each failure happened, oldest first; fewer than the limit.
    Counting(VecDeque<u64>),
    Locked {
        until_ms: u64,
    },
}

impl State {
    fn order(&self, guesser: Guesser) -> (bool, u64, Guesser) {
        match self {
            Self::Counting(failures) => {
                let last_ms = failures.back().copied().unwrap_or(0);
                (false, last_ms.saturating_add(GUESS_WINDOW_MS), guesser)
            }
            Self::Locked { until_ms } => (true, *until_ms, guesser),
        }
    }
}

impl Limiter {
    /// To be asked before a secret is compared: a locked guesser learns nothing, not even
    /// when it is right. Gives on whom a wrong one is counted, if it is counted at all.
    pub fn admit(
        &self,
        client: &Client,
        origin: Option<&Origin>,
        kind: SecretKind,
        mono_ms: u64,
    ) -> Result<Option<Guesser>, Locked> {
        let guesser = Guesser::new(client, origin, kind);
        guesser.map_or(Ok(()), |guesser| self.check(guesser, mono_ms))?;
        Ok(guesser)
    }

    /// Asking prolongs no lock.
    fn check(&self, guesser: Guesser, mono_ms: u64) -> Result<(), Locked> {
        match self.guessers.get(&guesser) {
            Some(State::Locked { until_ms }) if *until_ms > mono_ms => Err(Locked {
                retry_after_ms: until_ms - mono_ms,
            }),
            _ => Ok(()),
        }
    }

    /// Counts a wrong guess, also one that came beside something that was right.
    pub fn failed(&mut self, guesser: impl Into<Option<Guesser>>, mono_ms: u64) {
        let Some(guesser) = guesser.into() else {
            return;
        };
        self.forget_ended(mono_ms);
        let mut failures = match self.remove(guesser) {
            Some(locked @ State::Locked { .. }) => return self.insert(guesser, locked),
            Some(State::Counting(failures)) => failures,
            None => VecDeque::new(),
        };
        failures.retain(|at_ms| mono_ms.saturating_sub(*at_ms) < GUESS_WINDOW_MS);
        failures.push_back(mono_ms);
        let state = if failures.len() < GUESSES_MAX as usize {
            State::Counting(failures)
        } else {
            State::Locked {
                until_ms: mono_ms.saturating_add(GUESS_LOCK_MS),
            }
        };
        self.make_room();
        self.insert(guesser, state);
    }

    fn forget_ended(&mut self, mono_ms: u64) {
        for locked in [false, true] {
            let first = |order: &BTreeSet<(bool, u64, Guesser)>| {
                let mut of_kind = order.range((locked, 0, Guesser::LOWEST)..);
                of_kind
                    .next()
                    .filter(|next| next.0 == locked && next.1 <= mono_ms)
                    .copied()
            };
            while let Some((.., guesser)) = first(&self.by_end) {
                self.remove(guesser);
            }
        }
    }

    /// Gives up the oldest count first. A lock goes only where there is nothing but locks,
    /// and then the one nearest its end: to free himself an attacker has to get thousands of
    /// other addresses locked, each by a full round of failures.
    fn make_room(&mut self) {
        if self.guessers.len() >= GUESS_ENTRIES_MAX
            && let Some((.., guesser)) = self.by_end.pop_first()
        {
            self.guessers.remove(&guesser);
        }
    }

    fn insert(&mut self, guesser: Guesser, state: State) {
        self.by_end.insert(state.order(guesser));
        self.guessers.insert(guesser, state);
    }

    fn remove(&mut self, guesser: Guesser) -> Option<State> {
        let state = self.guessers.remove(&guesser)?;
        self.by_end.remove(&state.order(guesser));
        Some(state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::IpAddr;

    fn at(ip: IpAddr, kind: SecretKind) -> Guesser {
        let who = Who::Remote(Subscriber::of(ip));
        Guesser { who, kind }
    }

    fn remote(ip: &str) -> Guesser {
        at(ip.parse().unwrap(), SecretKind::Shared)
    }

    fn nth(n: u32) -> Guesser {
        at(IpAddr::V4((0x0a00_0000 + n).into()), SecretKind::Shared)
    }

    fn fail(limiter: &mut Limiter, guesser: Guesser, times: u32, mono_ms: u64) {
        for _ in 0..times {
            limiter.failed(guesser, mono_ms);
        }
    }

    fn client(ip: &str, local: bool) -> Client {
        Client {
            ip: ip.parse().unwrap(),
            local,
            owner: false,
            via_proxy: false,
            https: false,
        }
    }

    #[test]
    fn ten_failures_in_a_minute_lock_for_five() {
        let mut limiter = Limiter::default();
        let guesser = remote("1.2.3.4");
        fail(&mut limiter, guesser, GUESSES_MAX - 1, 1_000);
        assert_eq!(limiter.check(guesser, 1_000), Ok(()));
        limiter.failed(guesser, 60_999);
        let locked = Locked {
            retry_after_ms: GUESS_LOCK_MS,
        };
        assert_eq!(limiter.check(guesser, 60_999), Err(locked));
        let last = Locked { retry_after_ms: 1 };
        assert_eq!(
            limiter.check(guesser, 60_999 + GUESS_LOCK_MS - 1),
            Err(last)
        );
        assert_eq!(limiter.check(guesser, 60_999 + GUESS_LOCK_MS), Ok(()));
    }

    #[test]
    fn who_is_locked_is_told_so_before_his_secret_is_looked_at() {
        let mut limiter = Limiter::default();
        let kind = SecretKind::Hook;
        let far = client("1.2.3.4", false);
        let guesser = limiter.admit(&far, None, kind, 0).unwrap();
        for _ in 0..GUESSES_MAX {
            limiter.failed(guesser, 0);
        }
        let locked = limiter.admit(&far, None, kind, 1).unwrap_err();
        assert_eq!(Refusal::from(locked).status, 429);
        // A program on this machine is counted on nobody.
        let here = client("127.0.0.1", true);
        for _ in 0..=GUESSES_MAX {
            let nobody = limiter.admit(&here, None, kind, 0);
            assert_eq!(nobody, Ok(None));
            limiter.failed(None, 0);
        }
    }

    #[test]
    fn the_window_slides() {
        let mut limiter = Limiter::default();
        let guesser = remote("1.2.3.4");
        // Nine a window, over and over, never lock.
        for at in 0..200 {
            limiter.failed(guesser, at * GUESS_WINDOW_MS.div_ceil(9));
            assert_eq!(
                limiter.check(guesser, at * GUESS_WINDOW_MS.div_ceil(9)),
                Ok(())
            );
        }
        // Five late in one minute and five early in the next do.
        let mut limiter = Limiter::default();
        fail(&mut limiter, guesser, 5, 59_000);
        fail(&mut limiter, guesser, 5, 61_000);
        assert!(limiter.check(guesser, 61_000).is_err());
    }

    #[test]
    fn neither_asking_nor_failing_prolongs_a_lock() {
        let mut limiter = Limiter::default();
        let guesser = remote("1.2.3.4");
        fail(&mut limiter, guesser, GUESSES_MAX, 0);
        fail(&mut limiter, guesser, 50, GUESS_LOCK_MS - 1);
        assert!(limiter.check(guesser, GUESS_LOCK_MS - 1).is_err());
        assert_eq!(limiter.check(guesser, GUESS_LOCK_MS), Ok(()));
        // And the next round counts from the start.
        fail(&mut limiter, guesser, GUESSES_MAX - 1, GUESS_LOCK_MS);
        assert_eq!(limiter.check(guesser, GUESS_LOCK_MS), Ok(()));
    }

    #[test]
    fn one_address_has_one_count_in_every_spelling() {
        let mut limiter = Limiter::default();
        fail(&mut limiter, remote("1.2.3.4"), 5, 0);
        fail(&mut limiter, remote("::ffff:1.2.3.4"), 5, 0);
        assert!(limiter.check(remote("1.2.3.4"), 0).is_err());
        fail(&mut limiter, remote("2001:db8::1"), 5, 0);
        fail(&mut limiter, remote("2001:db8::2"), 5, 0);
        assert!(limiter.check(remote("2001:db8::3"), 0).is_err());
        assert_eq!(limiter.check(remote("1.2.3.5"), 0), Ok(()));
        assert_eq!(limiter.check(remote("2001:db8:0:1::1"), 0), Ok(()));
    }

    #[test]
    fn each_kind_of_secret_is_counted_alone() {
        let mut limiter = Limiter::default();
        let ip = "1.2.3.4".parse().unwrap();
        fail(&mut limiter, at(ip, SecretKind::Shared), GUESSES_MAX, 0);
        for kind in [SecretKind::DeviceToken, SecretKind::SetupCode] {
            assert_eq!(limiter.check(at(ip, kind), 0), Ok(()));
        }
    }

    #[test]
    fn only_a_program_on_this_machine_is_exempt() {
        let page = Origin::parse("http://127.0.0.1:18789").unwrap();
        let kind = SecretKind::Shared;
        assert_eq!(Guesser::new(&client("127.0.0.1", true), None, kind), None);
        // Loopback, but through a proxy: anybody.
        let proxied = client("127.0.0.1", false);
        assert_eq!(
            Guesser::new(&proxied, None, kind),
            Some(remote("127.0.0.1"))
        );
        let far = client("1.2.3.4", false);
        for origin in [None, Some(&page)] {
            assert_eq!(Guesser::new(&far, origin, kind), Some(remote("1.2.3.4")));
        }
    }

    #[test]
    fn local_pages_are_counted_by_origin() {
        let mut limiter = Limiter::default();
        let here = client("127.0.0.1", true);
        let page = |text| {
            let origin = Origin::parse(text).unwrap();
            Guesser::new(&here, Some(&origin), SecretKind::Shared).unwrap()
        };
        fail(&mut limiter, page("http://localhost:18789"), GUESSES_MAX, 0);
        assert!(limiter.check(page("http://LOCALHOST:18789"), 0).is_err());
        assert_eq!(limiter.check(page("http://127.0.0.1:18789"), 0), Ok(()));
    }

    #[test]
    fn spraying_does_not_free_a_locked_address() {
        let mut limiter = Limiter::default();
        let attacker = remote("1.2.3.4");
        fail(&mut limiter, attacker, GUESSES_MAX, 0);
        for n in 0..3 * GUESS_ENTRIES_MAX as u32 {
            limiter.failed(nth(n), 1 + u64::from(n) / 1_000);
            assert!(limiter.guessers.len() <= GUESS_ENTRIES_MAX);
        }
        assert!(limiter.check(attacker, 100).is_err());
    }

    #[test]
    fn a_newcomer_is_counted_even_among_locks_alone() {
        let mut limiter = Limiter::default();
        for n in 0..GUESS_ENTRIES_MAX as u32 {
            fail(&mut limiter, nth(n), GUESSES_MAX, u64::from(n));
        }
        let newcomer = remote("1.2.3.4");
        let now_ms = GUESS_ENTRIES_MAX as u64;
        fail(&mut limiter, newcomer, GUESSES_MAX, now_ms);
        assert!(limiter.check(newcomer, now_ms).is_err());
        assert_eq!(limiter.guessers.len(), GUESS_ENTRIES_MAX);
        // The lock nearest its end made room.
        assert_eq!(limiter.check(nth(0), now_ms), Ok(()));
        assert!(limiter.check(nth(1), now_ms).is_err());
    }

    #[test]
    fn what_has_ended_is_forgotten() {
        let mut limiter = Limiter::default();
        for n in 0..100 {
            fail(&mut limiter, nth(n), 1 + n % GUESSES_MAX, u64::from(n));
        }
        limiter.failed(remote("1.2.3.4"), 200 + GUESS_LOCK_MS);
        assert_eq!(limiter.guessers.len(), 1);
        assert_eq!(limiter.by_end.len(), 1);
    }
}
