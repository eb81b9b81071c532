//! `/metrics`: figures in the text format of Prometheus. A counter costs an addition where
//! something happens; what can be looked up is looked up when somebody asks.

use super::peer::Phase;
use super::{Fetch, FetchResult, Gateway};
use crate::ids::ConnId;
use crate::wire::http::Head;
use std::fmt::Write;

/// The format's own media type (Prometheus, "Exposition formats").
const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What happened since the start.
#[derive(Default)]
pub(super) struct Counters {
    pub connections_accepted: u64,
    pub connections_refused: u64,
    pub connections_evicted: u64,
    pub connects_refused: u64,
    pub requests: u64,
    pub requests_refused: u64,
    pub deliveries: u64,
    pub deliveries_dropped: u64,
    pub slow_peers_cut: u64,
    pub memory_cut: u64,
    pub memory_refused: u64,
    pub steps: u64,
    pub batches_failed: u64,
    pub records: u64,
}

/// What io counts, and how long its queues are, at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Bytes that peers sent, decrypted.
    pub received_bytes: u64,
    /// Bytes that peers' sockets took, before encryption.
    pub sent_bytes: u64,
    /// Times that the loop went round.
    pub turns: u64,
    /// Deadlines that were met, how late all of them and the latest one were.
    pub deadlines: u64,
    pub late_ms_total: u64,
    pub late_ms_max: u64,
    /// Connections that went because memory was short.
    pub relieved: u64,
    /// Requests that wait for the store's threads.
    pub store_queue_len: usize,
    /// Threads that execute steps, and how many steps ended in a panic.
    pub step_threads: usize,
    pub step_panics: u64,
}

impl Gateway {
    /// Answers with everything, once io has said what it knows.
    pub(super) fn on_metrics(&mut self, conn: ConnId, head: &Head<'_>) {
        let only_head = match head.method {
            "GET" => false,
            "HEAD" => true,
            _ => return self.answer_bytes(conn, false, 405, "text/plain", b"use GET\n"),
        };
        self.fetch(Fetch::Load, move |gateway, _, result| {
            let load = match result {
                FetchResult::Load(load) => load,
                _ => Load::default(),
            };
            let page = gateway.metrics(&load);
            gateway.answer_bytes(conn, only_head, 200, MEDIA_TYPE, page.as_bytes());
        });
    }

    fn metrics(&self, load: &Load) -> String {
        let mut page = Page::default();
        self.write_connections(&mut page, load.relieved);
        self.write_work(&mut page);
        self.write_load(&mut page, load);
        page.0
    }

    fn write_connections(&self, page: &mut Page, relieved: u64) {
        let counters = &self.counters;
        let live = self.operators.len() + self.nodes.len();
        let closing = self
            .peers
            .iter()
            .filter(|it| matches!(it.phase, Phase::Closing));
        let closing = closing.count();
        let waiting = self.peers.len().saturating_sub(live + closing);
        page.gauge("connections", "Connections that are open.");
        page.row(r#"class="operator""#, self.operators.len());
        page.row(r#"class="node""#, self.nodes.len());
        page.row(r#"class="handshake_or_http""#, waiting);
        page.row(r#"class="closing""#, closing);
        page.counter(
            "connections_accepted_total",
            "Connections that were let in.",
        );
        page.row("", counters.connections_accepted);
        page.counter(
            "connections_shed_total",
            "Connections that were turned away or cut.",
        );
        page.row(r#"why="budget""#, counters.connections_refused);
        page.row(r#"why="evicted""#, counters.connections_evicted);
        page.row(r#"why="slow""#, counters.slow_peers_cut);
        page.row(r#"why="memory""#, counters.memory_cut + relieved);
        page.counter(
            "connects_refused_total",
            "Calls of connect that were refused.",
        );
        page.row("", counters.connects_refused);
        page.counter("requests_total", "Requests of peers that said hello.");
        page.row("", counters.requests);
        page.counter(
            "requests_refused_total",
            "Requests that were answered with an error at once.",
        );
        page.row("", counters.requests_refused);
        page.counter(
            "requests_shed_total",
            "Requests that were refused for want of memory.",
        );
        page.row("", counters.memory_refused);
        if let Some(memory) = self.memory() {
            page.gauge("memory_used_bytes", "What counts against the limit.");
            page.row("", memory.used_bytes);
            page.gauge("memory_limit_bytes", "What the process may use.");
            page.row("", memory.limit_bytes);
        }
        page.counter(
            "events_delivered_total",
            "Events that were given to a receiver.",
        );
        page.row("", counters.deliveries);
        page.counter(
            "events_dropped_total",
            "Events left out for a receiver that was too slow.",
        );
        page.row("", counters.deliveries_dropped);
        page.gauge("outbox_bytes", "Bytes that wait to be sent, of all peers.");
        page.row("", self.turn.queued_total());
        page.gauge(
            "outbox_watched_peers",
            "Peers that do not take what they are sent.",
        );
        page.row("", self.slow.len());
    }

    fn write_work(&self, page: &mut Page) {
        let counters = &self.counters;
        page.counter(
            "agent_steps_total",
            "Steps of runs that were given to workers.",
        );
        page.row("", counters.steps);
        page.gauge("runs", "Runs that were accepted and have not ended.");
        page.row(r#"state="at_work""#, self.runs.at_work());
        page.row(r#"state="waiting""#, self.runs.len() - self.runs.at_work());
        page.gauge("node_calls", "Calls of nodes that wait for their answer.");
        page.row("", self.fleet.calls_len());
        page.gauge("messages_outgoing", "Messages on their way to channels.");
        page.row("", self.state.outgoing().iter().count());
        page.counter(
            "store_batches_total",
            "Batches of records that were given to the store.",
        );
        page.row("", self.commits.batches());
        page.counter(
            "store_batches_failed_total",
            "Batches that the store refused.",
        );
        page.row("", counters.batches_failed);
        page.counter("store_records_total", "Records that were stored.");
        page.row("", counters.records);
        page.gauge("store_waiting", "Changes and calls that wait for a batch.");
        page.row("", self.commits.waiting_len());
        page.gauge("uptime_seconds", "Since the start.");
        page.row("", self.uptime_ms() / 1_000);
    }

    fn write_load(&self, page: &mut Page, load: &Load) {
        page.counter("received_bytes_total", "Bytes that peers sent, decrypted.");
        page.row("", load.received_bytes);
        page.counter(
            "sent_bytes_total",
            "Bytes that peers took, before encryption.",
        );
        page.row("", load.sent_bytes);
        page.counter("loop_turns_total", "Times that the loop went round.");
        page.row("", load.turns);
        page.counter("loop_deadlines_total", "Deadlines that the loop met.");
        page.row("", load.deadlines);
        page.counter(
            "loop_lag_milliseconds_total",
            "How late all deadlines were met.",
        );
        page.row("", load.late_ms_total);
        page.gauge(
            "loop_lag_milliseconds_max",
            "How late the latest one was met.",
        );
        page.row("", load.late_ms_max);
        page.gauge(
            "store_queue_len",
            "Requests that wait for the store's threads.",
        );
        page.row("", load.store_queue_len);
        page.gauge("step_threads", "Threads that execute steps.");
        page.row("", load.step_threads);
        page.counter("step_panics_total", "Steps that ended in a fault of ours.");
        page.row("", load.step_panics);
    }
}

/// Lines of the format, under a prefix of ours.
#[derive(Default)]
struct Page(String, &'static str);

impl Page {
    fn counter(&mut self, name: &'static str, help: &str) {
        self.begin(name, help, "counter");
    }

    fn gauge(&mut self, name: &'static str, help: &str) {
        self.begin(name, help, "gauge");
    }

    fn begin(&mut self, name: &'static str, help: &str, kind: &str) {
        self.1 = name;
        // A text takes everything.
        let _ = write!(
            self.0,
            "# HELP clawdia_{name} {help}\n# TYPE clawdia_{name} {kind}\n"
        );
    }

    /// A value of what was begun last, with labels or none.
    fn row(&mut self, labels: &str, value: impl std::fmt::Display) {
        let name = self.1;
        let _ = match labels {
            "" => writeln!(self.0, "clawdia_{name} {value}"),
            labels => writeln!(self.0, "clawdia_{name}{{{labels}}} {value}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use crate::driver::{Driver, TOKEN};
    use serde_json::json;

    fn page(driver: &mut Driver) -> String {
        let response = driver.http(&format!(
            "GET /metrics HTTP/1.1\r\nHost: 127.0.0.1:18789\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"
        ));
        assert!(response.starts_with("HTTP/1.1 200 "), "{response}");
        assert!(response.contains("text/plain; version=0.0.4"), "{response}");
        response
    }

    fn value(page: &str, name: &str) -> u64 {
        let line = page.lines().find_map(|line| line.strip_prefix(name));
        let value = line.and_then(|rest| rest.trim().parse().ok());
        value.unwrap_or_else(|| panic!("{name} is not in {page}"))
    }

    #[test]
    fn values_move_with_what_happens() {
        let mut driver = Driver::default();
        let before = page(&mut driver);
        assert_eq!(
            value(&before, r#"clawdia_connections{class="operator"}"#),
            0
        );
        let operator = driver.operator();
        driver.ok(operator, "health", json!({}));
        driver.err(operator, "no.such", json!({}));
        driver.ok(
            operator,
            "chat.send",
            json!({
                "sessionKey": "main", "message": "hi", "idempotencyKey": "k"
            }),
        );
        driver.advance(3_000);
        let after = page(&mut driver);
        assert_eq!(value(&after, r#"clawdia_connections{class="operator"}"#), 1);
        for name in [
            "clawdia_connections_accepted_total",
            "clawdia_requests_total",
            "clawdia_requests_refused_total",
            "clawdia_events_delivered_total",
            "clawdia_agent_steps_total",
            "clawdia_store_batches_total",
            "clawdia_store_records_total",
        ] {
            assert!(value(&after, name) > value(&before, name), "{name}");
        }
    }

    #[test]
    fn every_figure_says_what_it_is_and_stands_once() {
        let mut driver = Driver::default();
        let page = page(&mut driver);
        let figures: Vec<&str> = page
            .lines()
            .filter(|line| line.starts_with("clawdia_"))
            .collect();
        assert!(figures.len() > 25, "{page}");
        for (at, line) in figures.iter().enumerate() {
            let (series, _) = line.rsplit_once(' ').unwrap();
            assert!(
                !figures[..at]
                    .iter()
                    .any(|other| other.starts_with(&format!("{series} ")))
            );
            let name = series.split('{').next().unwrap();
            for comment in ["HELP", "TYPE"] {
                assert!(page.contains(&format!("# {comment} {name} ")), "{name}");
            }
            assert_eq!(
                page.contains(&format!("# TYPE {name} counter")),
                name.ends_with("_total")
            );
        }
    }

    #[test]
    fn nobody_reads_them_without_the_secret() {
        let mut driver = Driver::default();
        for fields in ["", "Authorization: Bearer wrong\r\n"] {
            let request = format!("GET /metrics HTTP/1.1\r\nHost: 127.0.0.1:18789\r\n{fields}\r\n");
            let response = driver.http(&request);
            assert!(response.starts_with("HTTP/1.1 401 "), "{response}");
            assert!(!response.contains("clawdia_"), "{response}");
        }
    }
}
