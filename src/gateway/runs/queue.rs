//! Messages that arrive while a run of their session is at work: `messages.queue.mode` says what
//! becomes of them.
//!
//! `followup`: each gets a run of its own, one after the other. `collect`: those that wait when
//! one begins are answered together with it. `steer`: a run at work reads them before its next
//! step. `interrupt`: what is at work is stopped.
//!
//! A call of `agent` is promised an answer of its own, so its message is never taken into another run.

use super::end::run_keys;
use super::events::Last;
use super::round::open_row;
use super::stop::ok_payload;
use super::{Origin, RunPhase};
use crate::config::types::QueueMode;
use crate::gateway::Gateway;
use crate::state::{Delivery, Record, Run, RunState, Text};
use std::sync::Arc;

impl Gateway {
    /// Takes the messages that wait behind a run into it, where the mode says so. Their runs end
    /// without words of their own. Whether that is being stored: the run goes on afterwards.
    pub(super) fn absorb(&mut self, slot: u64) -> bool {
        let Some(run) = self.runs.by_slot.get(&slot) else {
            return false;
        };
        let Some(session) = self.session(&run.row.session_key) else {
            return false;
        };
        let takes = match self.queue_mode_of(session) {
            QueueMode::Steer => true,
            QueueMode::Collect => run.seq == 0,
            QueueMode::Followup | QueueMode::Interrupt => false,
        };
        let lane = self.runs.slots_of(&run.row.session_key);
        // Who waits for an answer of its own gets one.
        let is_plain = |other: &u64| {
            let other = self.runs.by_slot.get(other);
            other.is_some_and(|other| match other.origin {
                Origin::Chat => other.call.is_none(),
                Origin::Channel => is_same_chat(&run.row.delivery, &other.row.delivery),
                _ => false,
            })
        };
        let taken: Vec<u64> = lane.into_iter().skip(1).filter(is_plain).collect();
        if !takes || taken.is_empty() {
            return false;
        }
        let mut keys = run_keys(&run.row, None);
        let mut own = run.own.clone();
        let mut records = Vec::new();
        let mut ended = Vec::new();
        for other in &taken {
            let other = &self.runs.by_slot[other];
            keys.extend(
                run_keys(&other.row, other.origin.method())
                    .into_iter()
                    .skip(1),
            );
            own.push((other.message_seq, other.message_seq));
            let mut row = Run::clone(&other.row);
            row.state = RunState::Ok;
            row.ended_at_ms = Some(self.now.unix_ms);
            row.summary = Some(Text::from("answered with the message before it"));
            let row = Arc::new(row);
            records.push(Record::RunPut(row.clone()));
            records.extend(self.key_done(other, &ok_payload(&other.row.run_id)));
            ended.push(row);
        }
        if keys.iter().any(|key| self.commits.is_reserved(key)) {
            self.commits
                .wait(Box::new(move |gateway, _| gateway.resume_run(slot)));
            return true;
        }
        let row = Arc::new(open_row(run, false, &own));
        records.push(Record::RunPut(row.clone()));
        self.commit(keys, records, move |gateway, _, stored| {
            if let Err(fault) = stored {
                let text = format!("the messages that wait could not be taken over: {fault}");
                return gateway.fail_run(slot, &text);
            }
            if let Some(run) = gateway.runs.by_slot.get_mut(&slot) {
                run.row = row;
                run.own = own;
            }
            for row in &ended {
                gateway.end_absorbed(row);
            }
            gateway.resume_run(slot);
        });
        true
    }

    /// A run whose message another one answers.
    fn end_absorbed(&mut self, row: &Arc<Run>) {
        let slot = self.runs.by_id.get(&row.run_id).copied();
        let Some(mut run) = slot.and_then(|slot| self.runs.remove(slot)) else {
            return;
        };
        run.seq += 1;
        self.send_chat_last(&run, &Last::Final(""));
        self.on_run_known(row);
    }

    /// The run, unless it was stopped meanwhile, is the next to work.
    fn resume_run(&mut self, slot: u64) {
        let waits = self.runs.by_slot.get(&slot);
        if waits.is_some_and(|run| run.phase == RunPhase::Waiting)
            && !self.runs.ready.contains(&slot)
        {
            self.runs.ready.push_front(slot);
        }
        self.start_runs();
    }
}

/// Whether two answers go to the same people, whatever they quote.
fn is_same_chat(one: &Delivery, other: &Delivery) -> bool {
    let unquoted = |it: &Delivery| Delivery {
        reply_to: None,
        ..it.clone()
    };
    unquoted(one) == unquoted(other)
}

#[cfg(test)]
mod tests {
    use crate::agent::{ModelRef, Step};
    use crate::agent::{Speaker, StepEvent, StopReason, ToolCall, Usage};
    use crate::driver::{Driver, Options, Steps};
    use crate::ids::ConnId;
    use serde_json::json;

    fn start(mode: &str) -> (Driver, ConnId) {
        let mut driver = Driver::new(Options {
            config: format!("{{messages: {{queue: {{mode: '{mode}'}}}}}}"),
            steps: Steps::Held,
            ..Options::default()
        });
        let operator = driver.operator();
        (driver, operator)
    }

    fn says(driver: &mut Driver, operator: ConnId, message: &str) {
        let params = json!({"sessionKey": "main", "message": message, "idempotencyKey": message});
        driver.ok(operator, "chat.send", params);
    }

    fn step(driver: &mut Driver) -> Box<Step> {
        driver.settle();
        driver.steps.pop_front().expect("a step")
    }

    fn ends(driver: &mut Driver, step: &Step, text: &str, calls: Vec<ToolCall>) {
        let stop_reason = match calls.is_empty() {
            true => StopReason::Stop,
            false => StopReason::ToolUse,
        };
        let event = StepEvent::Done {
            text: text.into(),
            calls,
            usage: Usage::default(),
            stop_reason,
            model: ModelRef::new("m", "m"),
        };
        driver.step(step.tag, event);
        driver.settle();
    }

    fn users(step: &Step) -> Vec<&str> {
        let all = step.messages.iter();
        let users = all.filter(|message| message.speaker == Speaker::User);
        users.map(|message| &*message.text).collect()
    }

    fn answers(driver: &mut Driver, conn: ConnId, id: &str) -> Vec<serde_json::Value> {
        std::iter::from_fn(|| driver.response(conn, id)).collect()
    }

    fn states(driver: &mut Driver, operator: ConnId) -> Vec<(String, String)> {
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let chats = driver.events(operator, "chat");
        let pairs = chats
            .iter()
            .map(|it| (text(&it["runId"]), text(&it["state"])));
        pairs.collect()
    }

    fn pair(run: &str, state: &str) -> (String, String) {
        (run.into(), state.into())
    }

    #[test]
    fn each_message_has_a_run_of_its_own_unless_told_otherwise() {
        let (mut driver, operator) = start("followup");
        for message in ["one", "two", "three"] {
            says(&mut driver, operator, message);
        }
        for message in ["one", "two", "three"] {
            let step = step(&mut driver);
            assert_eq!(users(&step).last(), Some(&message));
            ends(&mut driver, &step, "ok", Vec::new());
        }
        assert!(driver.steps.is_empty());
    }

    #[test]
    fn messages_that_wait_are_answered_together() {
        let (mut driver, operator) = start("collect");
        for message in ["one", "two", "three"] {
            says(&mut driver, operator, message);
        }
        let first = step(&mut driver);
        assert_eq!(users(&first), ["one"]);
        ends(&mut driver, &first, "ok", Vec::new());
        let second = step(&mut driver);
        assert_eq!(users(&second), ["one", "two", "three"]);
        ends(&mut driver, &second, "both", Vec::new());
        assert!(driver.steps.is_empty());
        let expected = [
            pair("one", "final"),
            pair("three", "final"),
            pair("two", "final"),
        ];
        assert_eq!(states(&mut driver, operator), expected);
        says(&mut driver, operator, "three");
        driver.settle();
        assert!(driver.steps.is_empty(), "a repeat is no new message");
    }

    #[test]
    fn a_run_at_work_reads_new_messages_before_its_next_step() {
        let (mut driver, operator) = start("steer");
        says(&mut driver, operator, "one");
        let first = step(&mut driver);
        says(&mut driver, operator, "wrong way");
        let call = ToolCall {
            id: "c".into(),
            name: "sessions".into(),
            arguments: r#"{"action":"list"}"#.into(),
        };
        ends(&mut driver, &first, "", vec![call]);
        let second = step(&mut driver);
        assert_eq!(users(&second), ["one", "wrong way"]);
        ends(&mut driver, &second, "turning", Vec::new());
        assert!(driver.steps.is_empty());
        let expected = [pair("wrong way", "final"), pair("one", "final")];
        assert_eq!(states(&mut driver, operator), expected);
    }

    #[test]
    fn a_message_of_a_channel_joins_what_is_answered_in_the_same_chat() {
        for (mode, joins) in [("collect", true), ("steer", true), ("followup", false)] {
            let mut driver = Driver::new(Options {
                config: format!(
                    "{{messages: {{queue: {{mode: '{mode}'}}}}, \
                     channels: {{telegram: {{botToken: '1:a', allowFrom: ['7', '8']}}}}}}"
                ),
                steps: Steps::Held,
                ..Options::default()
            });
            let operator = driver.operator();
            says(&mut driver, operator, "zero");
            let first = step(&mut driver);
            for (sender, message) in [("7", "one"), ("8", "other"), ("7", "two")] {
                driver.service.write(sender, message);
            }
            driver.settle();
            ends(&mut driver, &first, "ok", Vec::new());
            let second = step(&mut driver);
            assert_eq!(users(&second).ends_with(&["one", "two"]), joins, "{mode}");
            ends(&mut driver, &second, "for both", Vec::new());
            let third = step(&mut driver);
            ends(&mut driver, &third, "for the other", Vec::new());
            assert_eq!(driver.steps.is_empty(), joins, "{mode}");
            assert_eq!(driver.service.sent_to("7"), ["for both"]);
            assert_eq!(driver.service.sent_to("8"), ["for the other"]);
        }
    }

    #[test]
    fn a_message_of_a_channel_or_a_program_stops_what_is_at_work() {
        let mut driver = Driver::new(Options {
            config: "{messages: {queue: {mode: 'interrupt'}}, \
                     channels: {telegram: {botToken: '1:a', allowFrom: ['7']}}}"
                .into(),
            steps: Steps::Held,
            ..Options::default()
        });
        let operator = driver.operator();
        says(&mut driver, operator, "one");
        let first = step(&mut driver);
        driver.service.write("7", "two");
        let second = step(&mut driver);
        assert!(first.cancel.is_cancelled());
        let params = json!({"message": "three", "sessionKey": "main", "idempotencyKey": "three"});
        let id = driver.request(operator, "agent", params);
        let third = step(&mut driver);
        assert!(second.cancel.is_cancelled());
        ends(&mut driver, &third, "done", Vec::new());
        let answers = answers(&mut driver, operator, &id);
        assert_eq!(answers.len(), 2, "{answers:?}");
        assert_eq!(
            answers[1]["payload"]["result"]["payloads"][0]["text"],
            "done"
        );
        assert!(driver.service.sent.is_empty());
    }

    #[test]
    fn a_call_of_agent_has_a_run_and_an_answer_of_its_own() {
        for mode in ["collect", "steer"] {
            let (mut driver, operator) = start(mode);
            says(&mut driver, operator, "one");
            let first = step(&mut driver);
            says(&mut driver, operator, "before");
            let params = json!({"message": "two", "sessionKey": "main", "idempotencyKey": "two"});
            let id = driver.request(operator, "agent", params);
            driver.settle();
            ends(&mut driver, &first, "ok", Vec::new());
            let before = step(&mut driver);
            assert_eq!(users(&before).last(), Some(&"before"), "{mode}");
            ends(&mut driver, &before, "ok", Vec::new());
            let second = step(&mut driver);
            ends(&mut driver, &second, "its own", Vec::new());
            let answers = answers(&mut driver, operator, &id);
            assert_eq!(answers.len(), 2, "{mode}: {answers:?}");
            assert_eq!(
                answers[1]["payload"]["result"]["payloads"][0]["text"],
                "its own"
            );
        }
    }

    #[test]
    fn a_new_message_stops_what_is_at_work() {
        let (mut driver, operator) = start("interrupt");
        says(&mut driver, operator, "one");
        let first = step(&mut driver);
        says(&mut driver, operator, "two");
        assert!(first.cancel.is_cancelled());
        let second = step(&mut driver);
        assert_eq!(users(&second).last(), Some(&"two"));
        ends(&mut driver, &second, "ok", Vec::new());
        let expected = [pair("one", "aborted"), pair("two", "final")];
        assert_eq!(states(&mut driver, operator), expected);
    }
}
