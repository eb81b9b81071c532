//! Little memory: where the process may use only so much and comes near to it, new work is refused and the heaviest
//! peers are sent away, until there is room again. Going on would end in the system's killing all of it.

use super::dispatch::Stop;
use super::methods::Method;
use super::{Effect, Gateway, Refusal};
use crate::log::{Level, LogLine};

/// What the process uses of what it may, at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    pub used_bytes: u64,
    pub limit_bytes: u64,
}

impl Memory {
    /// From seven eighths on it is short.
    const fn is_short(self) -> bool {
        self.used_bytes >= self.limit_bytes / 8 * 7
    }

    /// Once short, it is short until a quarter is free.
    pub const fn is_calm(self) -> bool {
        self.used_bytes < self.limit_bytes / 4 * 3
    }
}

/// The last that was heard of memory; None where it has no limit.
#[derive(Default)]
pub(super) struct Shortage {
    memory: Option<Memory>,
    is_short: bool,
}

/// Code and words for who is sent away: RFC 6455's registry calls 1013 "try again later".
const TRY_AGAIN: u16 = 1013;
pub(super) const SHORT: &str = "short of memory";
/// When to come again.
const RETRY_AFTER_MS: u64 = 1_000;
/// A peer that holds less is not worth to be sent away.
const HEAVY_BYTES: usize = 64 * 1024;

/// What is served all the same: answers that end work, and looking after the gateway.
const SERVED: [&str; 6] = [
    "chat.abort",
    "health",
    "node.event",
    "node.invoke.result",
    "status",
    "system-presence",
];

impl Gateway {
    /// Whether new work is refused for want of memory.
    pub(super) fn is_short_of_memory(&self) -> bool {
        self.shortage.is_short
    }

    /// What is known of the limit, for figures.
    pub(super) fn memory(&self) -> Option<Memory> {
        self.shortage.memory
    }

    /// Hears how much is used. While it is too much, every time somebody goes.
    pub(super) fn on_memory(&mut self, memory: Memory) {
        self.shortage.memory = Some(memory);
        let was_short = self.shortage.is_short;
        self.shortage.is_short = memory.is_short() || was_short && !memory.is_calm();
        let (level, text) = match (was_short, self.shortage.is_short) {
            (false, true) => (Level::Warn, "short of memory: new work is refused"),
            (true, false) => (Level::Info, "there is memory again"),
            _ => return self.relieve(),
        };
        let line = LogLine::new(self.now.unix_ms, level, "gateway/memory", text);
        self.log_with(
            line.with("usedBytes", memory.used_bytes)
                .with("limitBytes", memory.limit_bytes),
        );
        self.relieve();
    }

    /// Sends away the peer with most bytes queued, and has io send away who holds most unfinished messages.
    fn relieve(&mut self) {
        if !self.shortage.is_short {
            return;
        }
        self.receivers_spare = Vec::new();
        self.effects.push_back(Effect::Relieve {
            code: TRY_AGAIN,
            reason: SHORT,
        });
        let queued = |peer: &super::peer::Peer| (peer.outbox.queued_len(), peer.conn);
        let Some((queued, conn)) = self.peers.iter().map(queued).max() else {
            return;
        };
        if queued < HEAVY_BYTES {
            return;
        }
        self.counters.memory_cut += 1;
        let line = LogLine::new(
            self.now.unix_ms,
            Level::Warn,
            "gateway/memory",
            "heaviest peer closed",
        );
        self.log_with(
            line.with("conn", conn.to_string())
                .with("queuedBytes", queued),
        );
        // It takes no bytes, so it would keep them while it says goodbye.
        if let Some(peer) = self.peers.get_mut(conn) {
            peer.outbox.clear(&mut self.turn);
        }
        self.close(conn, TRY_AGAIN, SHORT);
    }

    /// Refuses a method that would need more memory than there is.
    pub(super) fn spare_memory(&mut self, method: &Method) -> Result<(), Stop> {
        if !self.shortage.is_short || SERVED.contains(&method.name) {
            return Ok(());
        }
        self.counters.memory_refused += 1;
        Err(Stop::Refuse(Refusal {
            retryable: true,
            retry_after_ms: Some(RETRY_AFTER_MS),
            ..Refusal::unavailable(SHORT)
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::Memory;
    use crate::driver::{Address, Driver, TOKEN};
    use crate::gateway::Input;
    use serde_json::json;

    fn heard(driver: &mut Driver, used_bytes: u64) {
        let memory = Memory {
            used_bytes,
            limit_bytes: 64 << 20,
        };
        driver.handle(Input::Memory(memory));
    }

    fn use_bytes(driver: &mut Driver, used_bytes: u64) {
        heard(driver, used_bytes);
        driver.settle();
    }

    fn ready(driver: &mut Driver) -> String {
        driver.http("GET /readyz HTTP/1.1\r\nHost: 127.0.0.1:18789\r\n\r\n")
    }

    #[test]
    fn short_of_memory_new_work_is_refused_until_a_quarter_is_free() {
        let mut driver = Driver::default();
        let operator = driver.operator();
        let send = |key: &str| json!({"sessionKey": "main", "message": "x", "idempotencyKey": key});
        use_bytes(&mut driver, 55 << 20);
        assert!(ready(&mut driver).starts_with("HTTP/1.1 200 "));
        use_bytes(&mut driver, 56 << 20);
        let refused = driver.err(operator, "chat.send", send("a"));
        assert_eq!(refused["code"], "UNAVAILABLE");
        assert_eq!(refused["retryable"], true);
        assert!(refused["retryAfterMs"].is_u64(), "{refused}");
        driver.ok(operator, "health", json!({}));
        let answer = ready(&mut driver);
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        assert!(answer.contains("short of memory: 58720256 of 67108864 bytes"));
        let refused = driver.try_open(&Address::default()).unwrap_err();
        assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
        // A program is told as it reads it, and others in a line.
        for (request, told) in [
            (
                "POST /v1/responses",
                r#"{"error":{"message":"short of memory""#,
            ),
            ("POST /tools/invoke", r#"{"ok":false,"error":{"type":"#),
            ("GET /", "short of memory\n"),
        ] {
            let answer = driver.http(&format!(
                "{request} HTTP/1.1\r\nHost: 127.0.0.1:18789\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"
            ));
            assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
            assert!(answer.contains(told), "{request}: {answer}");
        }
        // Between the two marks it stays as it was.
        use_bytes(&mut driver, 50 << 20);
        driver.err(operator, "chat.send", send("b"));
        use_bytes(&mut driver, 47 << 20);
        driver.ok(operator, "chat.send", send("c"));
        assert!(ready(&mut driver).starts_with("HTTP/1.1 200 "));
    }

    #[test]
    fn the_heaviest_peer_goes_and_those_that_take_their_bytes_stay() {
        let mut driver = Driver::default();
        let (slow, other) = (driver.operator(), driver.operator());
        driver.remote(slow).window = 0;
        let text = "x".repeat(100_000);
        driver.gateway.send_text(slow, |_, w| w.str(&text));
        driver.settle();
        heard(&mut driver, 60 << 20);
        // Its bytes are gone before it is: it may take its time to say goodbye.
        assert_eq!(driver.gateway.queued_len(slow), 0);
        driver.settle();
        assert!(!driver.is_open(slow) && driver.is_open(other));
        // Nobody else is heavy: nobody else goes.
        use_bytes(&mut driver, 60 << 20);
        assert!(driver.is_open(other));
        let closed = driver
            .log
            .iter()
            .filter(|it| it.message == "heaviest peer closed");
        assert_eq!(closed.count(), 1);
    }
}
