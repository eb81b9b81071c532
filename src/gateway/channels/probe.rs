//! `channels.status` with `probe`: every account says who it is, now.

use crate::channels::{Bot, Fault, Job};
use crate::gateway::Gateway;
use crate::gateway::dispatch::KeptCall;
use crate::gateway::timers::Timer;
use std::collections::BTreeMap;

/// Calls that wait for probes.
#[derive(Default)]
pub struct Probes {
    waiting: BTreeMap<u64, Waiting>,
    given: u64,
}

struct Waiting {
    call: KeptCall,
    /// Probes that are under way.
    left: usize,
}

/// What a probe found.
pub struct Probed {
    pub result: Result<Bot, String>,
    pub elapsed_ms: u64,
}

impl Gateway {
    /// Answers the call with `channels.status` once every account has answered, or after the time.
    pub(in crate::gateway) fn probe_channels(&mut self, call: KeptCall, timeout_ms: u64) {
        let slots: Vec<u64> = self.channels.links.keys().copied().collect();
        if slots.is_empty() {
            return self.reply_kept(&call, |gateway, w| gateway.write_channels(w));
        }
        let probes = &mut self.channels.probes;
        probes.given += 1;
        let number = probes.given;
        let left = slots.len();
        probes.waiting.insert(number, Waiting { call, left });
        self.set_timer(timeout_ms, Timer::Probe(number));
        for slot in slots {
            let ticket = self.call_channel(slot, Job::Identify);
            let asked = (number, self.now.mono_ms);
            if let Some(link) = self.channels.links.get_mut(&slot) {
                link.probes.insert(ticket, asked);
            }
        }
    }

    /// An account answered a probe, or is gone.
    pub(super) fn on_probed(&mut self, slot: u64, asked: (u64, u64), result: Result<Bot, Fault>) {
        let (number, asked_mono_ms) = asked;
        let elapsed_ms = self.now.mono_ms.saturating_sub(asked_mono_ms);
        if let Some(link) = self.channels.links.get_mut(&slot) {
            let result = result.map_err(|fault| fault.to_string());
            link.probed = Some(Probed { result, elapsed_ms });
        }
        let Some(waiting) = self.channels.probes.waiting.get_mut(&number) else {
            return;
        };
        waiting.left -= 1;
        if waiting.left == 0 {
            self.timers.clear(Timer::Probe(number));
            self.on_probe_over(number);
        }
    }

    /// All have answered, or the time is over.
    pub(in crate::gateway) fn on_probe_over(&mut self, number: u64) {
        if let Some(waiting) = self.channels.probes.waiting.remove(&number) {
            self.reply_kept(&waiting.call, |gateway, w| gateway.write_channels(w));
        }
    }
}
