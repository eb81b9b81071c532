//! The end of the process: nobody new comes in, what was accepted is finished for a bounded time,
//! then everybody is sent away, a fleet bit by bit so that it does not come back in one wave.

use super::broadcast::Weight;
use super::timers::Timer;
use super::{Effect, Gateway};
use crate::ids::ConnId;
use crate::limits::{CLOSE_GRACE_MS, SHUTDOWN_AT_ONCE_MAX, SHUTDOWN_DRAIN_MS, SHUTDOWN_SPREAD_MS};
use crate::log::Level;

/// Between two bits of a fleet.
const STEP_MS: u64 = 20;
/// What clients are told about how long it takes, besides the time over which they are sent away.
const RESTART_MS: u64 = 1_500;

/// Those who are still to be sent away, in an order of chance.
pub(super) struct Parting {
    conns: Vec<ConnId>,
    /// How many at a time.
    step_len: usize,
}

impl Gateway {
    pub(super) fn on_shutdown(&mut self, reason: &'static str) {
        if self.stopping {
            return;
        }
        self.stopping = true;
        self.effects.push_back(Effect::StopAccepting);
        self.log(Level::Info, "gateway", "shutting down");
        self.broadcast("shutdown", Weight::Must, None, |_, w| {
            w.object(|w| {
                w.field_str("reason", reason);
                w.field_u64("restartExpectedMs", RESTART_MS);
            });
        });
        self.timers
            .set(self.now.mono_ms + SHUTDOWN_DRAIN_MS, Timer::Drained);
        self.store_all_seen_devices();
        self.drain();
    }

    /// Sends everybody away once nothing accepted is on its way any more.
    pub(super) fn drain(&mut self) {
        if self.stopping
            && !self.runs.is_busy()
            && !self.channels.is_busy()
            && self.commits.is_idle()
            && self.tickets.is_empty()
        {
            self.part();
        }
    }

    /// A bounded time is over: first that to drain, then that to say goodbye.
    pub(super) fn on_drained(&mut self) {
        if self.parting.is_none() {
            return self.part();
        }
        self.part_with(usize::MAX);
        self.effects.push_back(Effect::Exit);
    }

    fn part(&mut self) {
        if self.parting.is_some() {
            return;
        }
        let mut conns: Vec<ConnId> = self.peers.iter().map(|peer| peer.conn).collect();
        let at_once = conns.len() <= SHUTDOWN_AT_ONCE_MAX;
        let step_len = match at_once {
            true => usize::MAX,
            false => {
                self.shuffle(&mut conns);
                conns
                    .len()
                    .div_ceil((SHUTDOWN_SPREAD_MS / STEP_MS) as usize)
            }
        };
        self.parting = Some(Parting { conns, step_len });
        let goodbye_ms = match at_once {
            true => CLOSE_GRACE_MS,
            false => SHUTDOWN_SPREAD_MS + CLOSE_GRACE_MS,
        };
        self.timers
            .set(self.now.mono_ms + goodbye_ms, Timer::Drained);
        self.on_part();
        self.exit_if_empty();
    }

    /// The next bit of the fleet goes.
    pub(super) fn on_part(&mut self) {
        let Some(step_len) = self.parting.as_ref().map(|parting| parting.step_len) else {
            return;
        };
        if self.part_with(step_len) {
            self.timers.set(self.now.mono_ms + STEP_MS, Timer::Part);
        }
    }

    /// Whether there are more.
    fn part_with(&mut self, count: usize) -> bool {
        let Some(parting) = &mut self.parting else {
            return false;
        };
        let left = parting.conns.len().saturating_sub(count);
        let conns = parting.conns.split_off(left);
        for conn in conns {
            self.close(conn, 1012, "service restart");
        }
        left > 0
    }

    /// Fisher and Yates' shuffle.
    fn shuffle(&mut self, conns: &mut [ConnId]) {
        for last in (1..conns.len()).rev() {
            let mut bytes = [0; 8];
            self.entropy.fill(&mut bytes);
            conns.swap(
                last,
                (u64::from_le_bytes(bytes) % (last as u64 + 1)) as usize,
            );
        }
    }

    /// Nobody is left to say goodbye to.
    pub(super) fn exit_if_empty(&mut self) {
        if self.parting.is_some() && self.peers.is_empty() {
            self.effects.push_back(Effect::Exit);
        }
    }
}
