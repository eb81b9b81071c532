//! A conversation that grows too long becomes a summary, kept in the transcript in its place.
//!
//! Before the first step of a run, or where a person says `/compact`, a step of its own asks the
//! model for it. What the summary stands for is archived with it in one transaction. Where that
//! fails the run goes on with what fits.

use super::RunPhase;
use super::budget::{is_before, tokens_of_row};
use super::context::{Place, conversation};
use crate::agent::{ChatMessage, RunTag, Speaker, Step, StopReason, Thinking, Usage};
use crate::gateway::commit::Key;
use crate::gateway::{Gateway, transcript};
use crate::limits::{SUMMARY_BYTES_MAX, SUMMARY_SPARES_MESSAGES_MAX};
use crate::state::{Record, StoredMessage};
use std::sync::Arc;

/// A message that is just this summarises everything before it.
const COMMAND: &str = "/compact";
const ASK: &str = "Summarise this conversation for yourself, so that you can go on with it: what \
    was wanted, decided, done and found out, with names, numbers and paths, and what is still \
    open. Write only the summary.";
/// Of the tokens for a conversation: where it is shortened, and what is kept as it is.
const FULL: (u64, u64) = (3, 4);
const KEPT: u64 = 4;

/// A summary that is being made.
#[derive(Clone, Copy, Debug)]
pub struct Compacting {
    /// The last message that it stands for.
    up_to_seq: u64,
    messages: usize,
    /// A person asked for it, and for nothing else.
    by_hand: bool,
}

impl Gateway {
    /// Turns a run's step into one that asks for a summary, where the conversation before it is
    /// too long for `tokens_max`.
    pub(super) fn compact_first(
        &mut self,
        step: &mut Step,
        rows: &[StoredMessage],
        tokens_max: u64,
    ) {
        let Some(run) = self.runs.by_slot.get(&step.tag.run) else {
            return;
        };
        let waiting = self.runs.waiting_messages(&run.row.session_key);
        let place = Place {
            message_seq: run.message_seq,
            own: &run.own,
            waiting: &waiting,
        };
        let before: Vec<&StoredMessage> =
            rows.iter().filter(|row| is_before(row, &place)).collect();
        let asked = rows.iter().find(|row| row.seq == run.message_seq);
        let by_hand = asked
            .and_then(|row| transcript::text_of(&row.message.body))
            .is_some_and(|text| text.trim().eq_ignore_ascii_case(COMMAND));
        let len = before.iter().map(|row| tokens_of_row(row)).sum::<u64>();
        let is_full = len > tokens_max / FULL.1 * FULL.0;
        if run.is_compacted || run.rounds > 0 || !(is_full || by_hand) {
            return;
        }
        let kept = match by_hand {
            true => 0,
            false => kept(&before, tokens_max / KEPT),
        };
        let old = &before[..before.len() - kept];
        let Some(last) = old.last().filter(|_| old.len() > 1) else {
            return;
        };
        let compacting = Compacting {
            up_to_seq: last.seq,
            messages: old.len(),
            by_hand,
        };
        let old: Vec<StoredMessage> = old.iter().copied().cloned().collect();
        let whole = Place {
            message_seq: u64::MAX,
            own: &[],
            waiting: &[],
        };
        step.messages = conversation(&old, &whole, tokens_max);
        step.messages.push(ChatMessage {
            speaker: Speaker::User,
            text: ASK.into(),
            images: Vec::new(),
            unix_ms: self.now.unix_ms,
        });
        step.tools = Arc::new([]);
        step.thinking = Thinking::Off;
        if let Some(run) = self.runs.by_slot.get_mut(&step.tag.run) {
            run.compacting = Some(compacting);
        }
    }

    /// The model wrote a summary: it takes the place of what it stands for.
    pub(super) fn on_summary(&mut self, slot: u64, made: Compacting, text: &str, usage: Usage) {
        let text = text.trim();
        if text.is_empty() {
            return self.go_on_uncompacted(slot, "the model wrote no summary");
        }
        let Some(run) = self.runs.by_slot.get_mut(&slot) else {
            return;
        };
        if run.phase == RunPhase::Stepping {
            self.runs.at_work -= 1;
            run.phase = RunPhase::Storing;
            run.generation += 1;
            run.used = run.used.plus(usage);
        }
        let key = Key::Session(run.row.session_key.as_ref().into());
        if self.commits.is_reserved(&key) {
            let text = text.to_owned();
            return self.commits.wait(Box::new(move |gateway, _| {
                let waits = gateway.runs.by_slot.get(&slot);
                if waits.is_some_and(|run| run.phase == RunPhase::Storing) {
                    gateway.on_summary(slot, made, &text, usage);
                }
            }));
        }
        let row = self.runs.by_slot[&slot].row.clone();
        let session = self.session(&row.session_key).cloned();
        let Some(session) = session.filter(|it| it.session_id == row.session_id) else {
            return self.fail_run(slot, "the session is gone");
        };
        let mut changed = self.session_after(&session, Some(usage));
        changed.compaction_count = changed.compaction_count.saturating_add(1);
        let records = vec![
            Record::MessagesArchive {
                session_id: session.session_id.clone(),
                up_to_seq: made.up_to_seq,
                summary: Some(Arc::new(transcript::summary_message(
                    cut(text),
                    self.now.unix_ms,
                ))),
                archived_at_ms: self.now.unix_ms,
            },
            Record::SessionPut(Arc::new(changed)),
        ];
        self.commit(vec![key], records, move |gateway, _, stored| {
            let is_it = |run: &super::LiveRun| run.phase == RunPhase::Storing;
            if !gateway.runs.by_slot.get(&slot).is_some_and(is_it) {
                return;
            }
            match (stored, made.by_hand) {
                (Err(fault), true) => {
                    gateway.fail_run(slot, &format!("the summary could not be stored: {fault}"));
                }
                (Ok(()), true) => {
                    let text = format!("{} messages became a summary.", made.messages);
                    let model = gateway.default_model();
                    gateway.finish_run(slot, text, Usage::default(), StopReason::Stop, &model);
                }
                (_, false) => gateway.step_after_summary(slot),
            }
        });
    }

    /// There is no summary: the run goes on with what fits into the model's window.
    pub(super) fn go_on_uncompacted(&mut self, slot: u64, why: &str) {
        let by_hand = self
            .runs
            .by_slot
            .get(&slot)
            .and_then(|run| run.compacting)
            .is_some_and(|made| made.by_hand);
        if by_hand {
            return self.fail_run(slot, &format!("nothing was shortened: {why}"));
        }
        if let Some(run) = self.runs.by_slot.get_mut(&slot)
            && run.phase == RunPhase::Stepping
        {
            self.runs.at_work -= 1;
        }
        self.step_after_summary(slot);
    }

    fn step_after_summary(&mut self, slot: u64) {
        if let Some(run) = self.runs.by_slot.get_mut(&slot) {
            run.compacting = None;
            run.is_compacted = true;
            run.phase = RunPhase::Waiting;
            run.generation += 1;
            self.runs.ready.push_back(slot);
        }
        self.start_runs();
    }

    /// Whether a late or failed answer belongs to a summary.
    pub(super) fn compacting(&self, tag: RunTag) -> Option<Compacting> {
        self.runs.by_slot.get(&tag.run)?.compacting
    }
}

/// How many of the newest messages have at most so many tokens.
fn kept(before: &[&StoredMessage], tokens_max: u64) -> usize {
    let mut len = 0;
    let newest = before.iter().rev().take(SUMMARY_SPARES_MESSAGES_MAX);
    newest
        .take_while(|row| {
            len += tokens_of_row(row);
            len <= tokens_max
        })
        .count()
}

/// The start of a summary that is too long for one.
fn cut(text: &str) -> &str {
    let end = (0..=SUMMARY_BYTES_MAX.min(text.len())).rfind(|at| text.is_char_boundary(*at));
    &text[..end.unwrap_or(0)]
}

#[cfg(test)]
mod tests {
    use crate::agent::{FailureKind, ModelRef, Step, StepEvent, StopReason, Usage};
    use crate::driver::{Driver, Options, Steps};
    use crate::ids::ConnId;
    use serde_json::{Value, json};

    fn start() -> (Driver, ConnId) {
        let mut driver = Driver::new(Options {
            config: "{agents: {defaults: {contextTokens: 8000}}}".into(),
            steps: Steps::Held,
            ..Options::default()
        });
        let operator = driver.operator();
        (driver, operator)
    }

    fn says(driver: &mut Driver, operator: ConnId, key: &str, message: &str) -> Box<Step> {
        let params = json!({"sessionKey": "main", "message": message, "idempotencyKey": key});
        driver.ok(operator, "chat.send", params);
        step(driver)
    }

    fn step(driver: &mut Driver) -> Box<Step> {
        driver.settle();
        driver.steps.pop_front().expect("a step")
    }

    fn ends(driver: &mut Driver, step: &Step, text: &str) {
        let event = StepEvent::Done {
            text: text.into(),
            calls: Vec::new(),
            usage: Usage {
                input: 10,
                output: 1,
                ..Usage::default()
            },
            stop_reason: StopReason::Stop,
            model: ModelRef::new("m", "m"),
        };
        driver.step(step.tag, event);
        driver.settle();
    }

    fn history(driver: &mut Driver, operator: ConnId) -> Vec<String> {
        let params = json!({"sessionKey": "main", "limit": 1000});
        let history = driver.ok(operator, "chat.history", params);
        let rows = history["messages"].as_array().cloned().unwrap_or_default();
        let text = |row: &Value| row["content"][0]["text"].as_str().map(str::to_owned);
        rows.iter().filter_map(text).collect()
    }

    /// Fills the window; gives the step that asks for the summary.
    fn fill(driver: &mut Driver, operator: ConnId) -> Box<Step> {
        for turn in 0..20 {
            let long = format!("turn {turn} {}", "x".repeat(3_000));
            let next = says(driver, operator, &format!("k{turn}"), &long);
            if next.tools.is_empty() {
                return next;
            }
            ends(driver, &next, "ok");
        }
        panic!("it never became too long");
    }

    #[test]
    fn a_long_conversation_becomes_a_summary_that_the_next_step_reads() {
        let (mut driver, operator) = start();
        let asks = fill(&mut driver, operator);
        let last = asks.messages.last().expect("what is asked");
        assert!(last.text.contains("Summarise"), "{}", last.text);
        driver.step(asks.tag, StepEvent::Delta("they ".into()));
        assert!(
            driver
                .events(operator, "agent")
                .iter()
                .all(|it| it["stream"] != "assistant")
        );
        ends(&mut driver, &asks, "they counted x");
        let goes_on = step(&mut driver);
        assert!(goes_on.messages[0].text.contains("they counted x"));
        assert!(!goes_on.tools.is_empty());
        assert!(
            goes_on
                .messages
                .last()
                .is_some_and(|it| it.text.starts_with("turn "))
        );
        ends(&mut driver, &goes_on, "fine");
        let texts = history(&mut driver, operator);
        assert!(texts[0].starts_with("turn 0 "), "people see what was said");
        assert!(texts.iter().all(|text| !text.contains("they counted x")));
        let turns = texts.iter().filter(|text| text.starts_with("turn "));
        let mut distinct: Vec<&String> = turns.clone().collect();
        distinct.dedup();
        assert_eq!(turns.count(), distinct.len(), "each once");
        let list = driver.ok(operator, "sessions.list", json!({}));
        assert!(list["sessions"][0]["totalTokens"].is_u64());
    }

    #[test]
    fn without_a_summary_the_run_goes_on_with_what_fits() {
        let (mut driver, operator) = start();
        let asks = fill(&mut driver, operator);
        let failed = StepEvent::Failed {
            kind: FailureKind::Network,
            message: "gone".into(),
            retryable: true,
        };
        driver.step(asks.tag, failed);
        let goes_on = step(&mut driver);
        assert!(!goes_on.tools.is_empty());
        let bytes: usize = goes_on.messages.iter().map(|it| it.text.len()).sum();
        assert!(bytes < 8_000 * 3, "{bytes}");
        ends(&mut driver, &goes_on, "fine");
        assert!(
            history(&mut driver, operator)[0].starts_with("turn 0 "),
            "nothing is lost"
        );
    }

    #[test]
    fn a_person_can_ask_for_it_and_a_stop_leaves_everything_as_it_was() {
        let (mut driver, operator) = start();
        for turn in 0..3 {
            let next = says(&mut driver, operator, &format!("k{turn}"), "hello");
            ends(&mut driver, &next, "hi");
        }
        let asks = says(&mut driver, operator, "c1", "/compact");
        assert!(asks.tools.is_empty());
        driver.ok(operator, "chat.abort", json!({"sessionKey": "main"}));
        ends(&mut driver, &asks, "too late");
        assert_eq!(history(&mut driver, operator).len(), 7);
        let asks = says(&mut driver, operator, "c2", "/compact");
        ends(&mut driver, &asks, "they greeted each other");
        let texts = history(&mut driver, operator);
        assert_eq!(texts[0], "hello", "people see what was said");
        assert_eq!(texts.len(), 9);
        assert_eq!(
            texts.last().map(String::as_str),
            Some("7 messages became a summary.")
        );
        assert!(driver.steps.is_empty());
    }
}
