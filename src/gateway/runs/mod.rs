//! Agent runs: accepted, waiting in their session's lane, stepping, ended.
//!
//! ```text
//! chat.send, agent ──commit──> lane of the session ──> loading ──> stepping ──commit──> ended
//!                              one at a time           transcript  a worker             events
//!                                     ^                               │
//!                                     └───────── tooling <────────────┘
//! ```
//!
//! Runs of one session never overlap; a run holds a worker only while it steps. What must
//! survive of a run is [`crate::state::Run`]; this is what lives in memory alone.

mod accept;
mod budget;
mod compact;
mod context;
mod end;
mod events;
mod fallback;
mod over;
mod prompt;
mod queue;
mod resume;
mod round;
mod step;
mod stop;
mod vision;
mod wait;

pub(super) use accept::{Beside, Origin, Request};
pub(super) use end::write_result;
pub(super) use over::Over;
pub(super) use stop::StopReason;
pub(super) use wait::write_ended;

use crate::agent::{CancelToken, RunTag, Thinking, Usage};
use crate::gateway::dispatch::KeptCall;
use crate::state::{Run, Text};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// A run that was accepted and has not ended.
pub struct LiveRun {
    /// As stored.
    pub row: Arc<Run>,
    /// The session key as its client wrote it: events repeat it.
    pub shown_key: Text,
    /// Which method accepted it, for its idempotency key.
    pub origin: Origin,
    /// The number of its message in the transcript.
    pub message_seq: u64,
    /// First and last numbers of what its tools left in the transcript.
    own: Vec<(u64, u64)>,
    /// Steps that asked for tools.
    rounds: u32,
    /// Models that failed before the one that is asked now.
    fallbacks_tried: usize,
    /// The tools that are at work.
    round: Option<Box<round::Round>>,
    /// Tokens of the steps that asked for tools.
    used: Usage,
    /// For this run alone; else the session's.
    pub thinking: Option<Thinking>,
    /// More for the system prompt.
    pub extra_prompt: Option<Text>,
    /// What its agent's workspace says of it, once that was read.
    notes: Option<prompt::Notes>,
    /// The summary that its step is to make.
    compacting: Option<compact::Compacting>,
    /// What was before it was summarised already, or cannot be.
    is_compacted: bool,
    /// When it must have ended, on the monotonic clock.
    pub deadline_mono_ms: u64,
    /// The `agent` call that gets a second answer.
    pub call: Option<KeptCall>,
    /// Grows with each step; late output of an earlier one is dropped.
    pub generation: u32,
    /// Cancels the step that is under way.
    pub cancel: CancelToken,
    /// How far it is.
    pub phase: RunPhase,
    /// The last event's number, from 1.
    pub seq: u64,
    /// The last line for its session that it was told.
    events_told: u64,
    /// What the answer is so far.
    pub text: String,
    /// When the last chat delta went out, on the monotonic clock.
    pub delta_mono_ms: Option<u64>,
    /// When its first step began, on the wall clock.
    pub started_at_ms: Option<u64>,
}

/// How far a live run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunPhase {
    /// In its session's lane, or for want of a place among the steps, first or next.
    Waiting,
    /// Its transcript is being read.
    Loading,
    /// A worker has it.
    Stepping,
    /// Its tools are at work, or what they are to do or did is being stored.
    Tooling,
    /// A summary of what was before it is being stored.
    Storing,
    /// Its end is being stored.
    Ending,
}

/// All live runs.
#[derive(Default)]
pub struct Runs {
    by_slot: BTreeMap<u64, LiveRun>,
    by_id: BTreeMap<Text, u64>,
    /// Runs of a session in the order in which they were accepted; the first one is at work.
    lanes: BTreeMap<Text, VecDeque<u64>>,
    /// First in their lanes, waiting for a place among the steps: fair by step.
    ready: VecDeque<u64>,
    /// Runs that load or step.
    at_work: usize,
    slots_given: u64,
    waiters: wait::Waiters,
    /// Ends that the store did not take yet.
    unsaved: Vec<Arc<Run>>,
}

impl Runs {
    /// Live runs.
    pub fn len(&self) -> usize {
        self.by_slot.len()
    }

    /// Runs that load or step.
    pub fn at_work(&self) -> usize {
        self.at_work
    }

    /// Whether a run loads, steps or has tools at work.
    pub fn is_busy(&self) -> bool {
        let is_busy = |run: &LiveRun| matches!(run.phase, RunPhase::Tooling | RunPhase::Storing);
        self.at_work > 0 || self.by_slot.values().any(is_busy)
    }

    /// Runs that have begun and not ended.
    pub fn under_way(&self) -> impl Iterator<Item = &Arc<Run>> {
        let is_it = |run: &&LiveRun| run.phase != RunPhase::Waiting || run.seq > 0;
        self.by_slot.values().filter(is_it).map(|run| &run.row)
    }

    /// The live run with this id.
    pub fn get(&self, run_id: &str) -> Option<&LiveRun> {
        self.by_slot.get(self.by_id.get(run_id)?)
    }

    /// The live run in this slot.
    pub fn at(&self, slot: u64) -> Option<&LiveRun> {
        self.by_slot.get(&slot)
    }

    /// Whether no run of a session is live.
    pub fn is_lane_free(&self, session_key: &str) -> bool {
        !self.lanes.contains_key(session_key)
    }

    /// Runs of a session, oldest first.
    fn slots_of(&self, session_key: &str) -> Vec<u64> {
        let lane = self.lanes.get(session_key);
        lane.into_iter().flatten().copied().collect()
    }

    /// The run that a worker's output is for, unless it is of an earlier step.
    fn tagged(&mut self, tag: RunTag) -> Option<&mut LiveRun> {
        self.by_slot
            .get_mut(&tag.run)
            .filter(|run| run.generation == tag.generation && run.phase == RunPhase::Stepping)
    }

    /// The run that a page of its transcript is for, unless it was stopped.
    fn loading(&mut self, tag: RunTag) -> Option<&mut LiveRun> {
        self.by_slot
            .get_mut(&tag.run)
            .filter(|run| run.generation == tag.generation && run.phase == RunPhase::Loading)
    }

    /// Numbers of a session's messages that wait for the run that is at work.
    fn waiting_messages(&self, session_key: &str) -> Vec<u64> {
        let lane = self.lanes.get(session_key).into_iter().flatten().skip(1);
        lane.filter_map(|slot| Some(self.by_slot.get(slot)?.message_seq))
            .collect()
    }

    fn insert(&mut self, run: LiveRun) -> u64 {
        self.slots_given += 1;
        let slot = self.slots_given;
        self.by_id.insert(run.row.run_id.clone(), slot);
        let lane = self.lanes.entry(run.row.session_key.clone()).or_default();
        lane.push_back(slot);
        if lane.len() == 1 {
            self.ready.push_back(slot);
        }
        self.by_slot.insert(slot, run);
        slot
    }

    /// Takes a run out; the next of its lane becomes ready.
    fn remove(&mut self, slot: u64) -> Option<LiveRun> {
        let run = self.by_slot.remove(&slot)?;
        self.by_id.remove(&run.row.run_id);
        self.ready.retain(|other| *other != slot);
        if matches!(run.phase, RunPhase::Loading | RunPhase::Stepping) {
            self.at_work -= 1;
        }
        if let Some(lane) = self.lanes.get_mut(&run.row.session_key) {
            let was_first = lane.front() == Some(&slot);
            lane.retain(|other| *other != slot);
            match lane.front() {
                Some(next) if was_first => self.ready.push_back(*next),
                Some(_) => {}
                None => {
                    self.lanes.remove(&run.row.session_key);
                }
            }
        }
        Some(run)
    }

    /// What must hold after each input.
    pub fn check_invariants(&self) {
        assert_eq!(self.by_slot.len(), self.by_id.len());
        assert_eq!(
            self.by_slot.len(),
            self.lanes.values().map(VecDeque::len).sum::<usize>()
        );
        for run in self.by_slot.values() {
            assert_eq!(run.round.is_some(), run.phase == RunPhase::Tooling);
        }
        let at_work = |run: &&LiveRun| matches!(run.phase, RunPhase::Loading | RunPhase::Stepping);
        assert_eq!(self.at_work, self.by_slot.values().filter(at_work).count());
        for lane in self.lanes.values() {
            for slot in lane.iter().skip(1) {
                assert_eq!(self.by_slot[slot].phase, RunPhase::Waiting, "runs overlap");
            }
        }
    }
}
