//! Deadlines of the core, in order.

use super::Gateway;
use super::broadcast::Weight;
use super::tools::CallTag;
use crate::outbox::SharedFrame;
use std::collections::{BTreeMap, BTreeSet};

/// Peers that get their `tick` in one go, so that a large fleet is not served in one turn.
const TICK_SLICE_SLOTS: usize = 512;

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// The `tick` of one slice of the connection table.
    Tick(usize),
    /// The presence list changed.
    Presence,
    /// Something that `health` shows changed.
    Health,
    /// Pending pairings and remembered keys may have expired.
    Forget,
    /// Peers that do not take what they are sent are looked at.
    Slow,
    /// The time of an `agent.wait` call is over.
    Wait(u64),
    /// Nobody decided about a command in time.
    Approval(u64),
    /// The time of a node's call is over.
    Invoke(u64),
    /// A job may be due.
    Cron,
    /// An agent's heartbeat is due.
    Heartbeat,
    /// Ends of runs and of messages that the store did not take are tried again.
    Unsaved,
    /// A channel's account tries again, or has said nothing for too long.
    Link(u64),
    /// Chats that wait for an answer are shown again that it is being written.
    Typing,
    /// The draft of a run's answer may be shown or changed.
    Draft(u64),
    /// The time of a `channels.status` call is over.
    Probe(u64),
    /// A channel's account may send again.
    Outbox(u64),
    /// The time of a tool is over.
    Tool(CallTag),
    /// A tool waits no longer for the command with this ticket, which goes on.
    Process(u64),
    /// The bounded time to drain at shutdown is over, or that to say goodbye.
    Drained,
    /// The next connections are closed at shutdown.
    Part,
}

/// Deadlines, each thing at most once.
#[derive(Default)]
pub struct Timers {
    due: BTreeSet<(u64, Timer)>,
    /// The deadline of each thing that has one.
    at: BTreeMap<Timer, u64>,
}

impl Timers {
    /// Sets a deadline on the monotonic clock, in place of an earlier one of the same thing.
    pub fn set(&mut self, at_ms: u64, timer: Timer) {
        if let Some(former_ms) = self.at.insert(timer, at_ms) {
            self.due.remove(&(former_ms, timer));
        }
        self.due.insert((at_ms, timer));
    }

    /// Forgets the thing's deadline.
    pub fn clear(&mut self, timer: Timer) {
        if let Some(at_ms) = self.at.remove(&timer) {
            self.due.remove(&(at_ms, timer));
        }
    }

    /// Whether the thing has a deadline.
    pub fn has(&self, timer: Timer) -> bool {
        self.at.contains_key(&timer)
    }

    /// The next deadline.
    pub fn next_ms(&self) -> Option<u64> {
        self.due.first().map(|(at_ms, _)| *at_ms)
    }

    fn pop(&mut self, now_ms: u64) -> Option<Timer> {
        let first = *self.due.first()?;
        (first.0 <= now_ms).then(|| {
            self.due.remove(&first);
            self.at.remove(&first.1);
            first.1
        })
    }
}

impl Gateway {
    /// Does what is due.
    pub(super) fn expire(&mut self) {
        while let Some(timer) = self.timers.pop(self.now.mono_ms) {
            match timer {
                Timer::Tick(slice) => self.tick(slice),
                Timer::Presence => self.broadcast_presence(),
                Timer::Health => self.broadcast_health(),
                Timer::Forget => self.forget_expired(),
                Timer::Slow => self.look_at_slow_peers(),
                Timer::Wait(number) => self.on_wait_over(number),
                Timer::Approval(number) => self.on_approval_over(number),
                Timer::Invoke(number) => self.on_invoke_over(number),
                Timer::Cron => self.look_at_cron(),
                Timer::Heartbeat => self.on_heartbeat_due(),
                Timer::Unsaved => {
                    self.retry_unsaved();
                    self.settle_unsaved();
                }
                Timer::Link(slot) => self.on_link_due(slot),
                Timer::Typing => self.show_typing_again(),
                Timer::Draft(slot) => self.on_draft_due(slot),
                Timer::Probe(number) => self.on_probe_over(number),
                Timer::Outbox(slot) => self.offer_of(slot),
                Timer::Tool(tag) => self.on_tool_overdue(tag),
                Timer::Process(ticket) => self.on_process_wait_over(ticket),
                Timer::Drained => self.on_drained(),
                Timer::Part => self.on_part(),
            }
        }
    }

    /// Sets a deadline `after_ms` from now unless the thing has one.
    pub(super) fn set_timer(&mut self, after_ms: u64, timer: Timer) {
        if !self.timers.has(timer) {
            self.timers.set(self.now.mono_ms + after_ms, timer);
        }
    }

    /// Sees to it that the slice of a new peer ticks.
    pub(super) fn start_ticking(&mut self, slot: usize) {
        let interval_ms = self.config().gateway.limits.tick_interval_ms;
        self.set_timer(interval_ms, Timer::Tick(slot / TICK_SLICE_SLOTS));
    }

    fn tick(&mut self, slice: usize) {
        let mut frame: Option<SharedFrame> = None;
        let from = slice * TICK_SLICE_SLOTS;
        let until = (from + TICK_SLICE_SLOTS).min(self.peers.slots_len());
        for slot in from..until {
            let live = self
                .peers
                .at_slot(slot)
                .filter(|peer| peer.live().is_some());
            let Some(conn) = live.map(|peer| peer.conn) else {
                continue;
            };
            let frame = *frame.get_or_insert_with(|| {
                self.encode("tick", None, |gateway, w| {
                    w.object(|w| w.field_u64("ts", gateway.now.unix_ms));
                })
            });
            self.deliver(conn, frame, Weight::Must);
        }
        if frame.is_some() {
            let interval_ms = self.config().gateway.limits.tick_interval_ms;
            self.timers
                .set(self.now.mono_ms + interval_ms, Timer::Tick(slice));
        }
    }
}
