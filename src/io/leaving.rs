//! How connections begin, are timed and end: everything of the loop that is not its steady state.

use crate::conn::{Input, Item};
use crate::ids::ConnId;
use crate::limits::{MEMORY_HEAVY_BYTES, OUTBOX_SOFT_BYTES, SLOW_PEER_GRACE_MS};
use crate::now::Now;
use crate::order;
use crate::outbox::Flush;
use crate::wire::close;
use crate::wire::frame::Opcode;
use crate::wire::http::Refusal;
use crate::wire::message::Pool;
use crate::wire::respond::write_refusal;

use super::app::{App, Closed};
use super::converse::{Farewell, Leave, Milestone};
use super::meter::Counting;
use super::peers::{Linger, Peer, Queued, Timer};
use super::reactor::Reactor;
use super::sys;

/// Peers that go at once where memory is short, of a few; of many, half of them.
const RELIEVED_AT_ONCE_MAX: usize = 8;

impl Reactor {
    /// Takes the connection from the program and sends the last bytes. The second time it does nothing.
    pub(super) fn leave<A: App>(&mut self, app: &mut A, now: Now, id: ConnId, leave: Leave) {
        let Some(peer) = self.peers.get_mut(id) else {
            return;
        };
        if peer.leaving.is_some() {
            // The peer went while its last bytes were being sent.
            return self.forget(app, id);
        }
        peer.leaving = Some(leave.linger);
        peer.paused = false;
        if leave.linger != Linger::AwaitClose {
            peer.conn.deafen(&mut self.pool);
        }
        let mut outbox = app.on_closed(now, id, leave.why);
        match leave.farewell {
            Farewell::Nothing => {}
            Farewell::Close(code, reason) => {
                let payload = close::Payload::new(code, &reason);
                outbox.frame(app.turn(), Opcode::Close as u8, payload.as_bytes());
            }
            Farewell::Refusal(refusal) => {
                let mut response = Vec::new();
                write_refusal(&mut response, refusal);
                outbox.bytes(app.turn(), &response);
            }
        }
        peer.aside = Some(Box::new(Queued::Farewell(outbox)));
        self.leaving.push(id);
        self.set_timer(id, Timer::Grace, now.mono_ms + SLOW_PEER_GRACE_MS);
    }

    /// Sends a close frame behind what is queued, and waits for the peer's.
    pub(super) fn close<A: App>(
        &mut self,
        app: &mut A,
        now: Now,
        id: ConnId,
        code: u16,
        reason: String,
    ) {
        let Some(peer) = self.peers.get_mut(id).filter(|peer| peer.leaving.is_none()) else {
            return;
        };
        let leave = if peer.conn.is_open() {
            Leave {
                why: Closed::ByCommand,
                farewell: Farewell::Close(code, reason),
                linger: Linger::AwaitClose,
            }
        } else {
            Leave::silent(Closed::ByCommand, Linger::Discard)
        };
        self.leave(app, now, id, leave);
    }

    /// A socket takes bytes again: the peer goes on, or leaves with what it still has to say.
    pub(super) fn unblock<A: App>(&mut self, app: &mut A, id: ConnId) {
        let Some(peer) = self.peers.get_mut(id) else {
            return;
        };
        // A broken socket shows at the next read or write.
        let _ = peer.socket.send_rest();
        peer.blocked = peer.socket.unsent_len() > 0;
        if peer.blocked {
            return;
        }
        if peer.leaving.is_some() {
            self.leaving.push(id);
        } else {
            // Asking for it puts it on the list of those to flush.
            app.outbox(id);
        }
    }

    /// Gives spare memory back; those with the longest unfinished messages go.
    #[cold]
    pub(super) fn relieve<A: App>(&mut self, app: &mut A, now: Now, code: u16, reason: &str) {
        let kept_len = |peer: &Peer| match peer.leaving {
            None => peer.conn.kept_len(),
            Some(_) => 0,
        };
        let mut heavy = self.peers.heavier_than(MEMORY_HEAVY_BYTES, kept_len);
        order::sort_by(&mut heavy, |one, other| other.cmp(one));
        heavy.truncate(RELIEVED_AT_ONCE_MAX.max(heavy.len() / 2));
        self.meter.relieved += heavy.len() as u64;
        for (_, id) in heavy {
            let leave = Leave::fail(Closed::ByCommand, code, reason);
            self.leave(app, now, id, leave);
        }
        self.pool = Pool::default();
        sys::give_back_memory();
    }

    /// Makes room for another connection.
    pub(super) fn evict<A: App>(&mut self, app: &mut A, now: Now, id: ConnId) {
        let Some(peer) = self.peers.get_mut(id).filter(|peer| peer.leaving.is_none()) else {
            return;
        };
        let mut leave = if peer.conn.is_open() {
            Leave::fail(Closed::Evicted, close::POLICY, "too many connections")
        } else {
            Leave::refuse(Closed::Evicted, Refusal::new(503, "too many connections"))
        };
        // Its descriptor is wanted now: what the kernel does not take at once is lost.
        leave.linger = Linger::Drop;
        self.leave(app, now, id, leave);
        self.flush_leaving(app, now);
        self.forget(app, id);
    }

    /// Sends the last bytes of those that are leaving, and forgets those that have nothing more.
    ///
    /// The grace for the peer begins when it has everything; until then it only has to go on taking bytes.
    pub(super) fn flush_leaving<A: App>(&mut self, app: &mut A, now: Now) {
        while let Some(id) = self.leaving.pop() {
            let Some(peer) = self.peers.get_mut(id) else {
                continue;
            };
            let Some(mut outbox) = peer.take_farewell() else {
                continue;
            };
            let before_len = outbox.queued_len() + peer.socket.unsent_len();
            let sink = Counting {
                meter: &mut self.meter,
                peer,
                cipher: &mut self.cipher,
            };
            let mut flushed = outbox.flush(app.turn(), sink);
            if flushed == Flush::Done && peer.socket.unsent_len() > 0 {
                flushed = Flush::Blocked;
            }
            let progress = outbox.queued_len() + peer.socket.unsent_len() < before_len;
            peer.aside = Some(Box::new(Queued::Farewell(outbox)));
            match (flushed, peer.leaving) {
                (Flush::Blocked, _) => {
                    peer.blocked = true;
                    if progress {
                        self.set_timer(id, Timer::Grace, now.mono_ms + SLOW_PEER_GRACE_MS);
                    }
                }
                (Flush::Done, Some(linger @ (Linger::AwaitClose | Linger::Discard))) => {
                    if linger == Linger::Discard {
                        peer.socket.shut_down_writing();
                    }
                    self.set_timer(id, Timer::Grace, now.mono_ms + self.settings.close_grace_ms);
                }
                (Flush::Broken, _) | (Flush::Done, _) => self.forget(app, id),
            }
        }
    }

    /// Looks through what a leaving peer still sends; whether to read on.
    pub(super) fn listen_out<A: App>(&mut self, app: &mut A, id: ConnId, len: usize) -> bool {
        let Some(peer) = self.peers.get_mut(id) else {
            return false;
        };
        if peer.leaving != Some(Linger::AwaitClose) {
            return true;
        }
        let limits = if peer.promoted {
            &self.settings.after
        } else {
            &self.settings.before
        };
        let mut input = Input::new(&mut self.receive, len);
        loop {
            match peer.conn.poll(&mut input, limits, &mut self.pool) {
                Ok(Some(Item::Close { .. })) => break,
                Ok(Some(_)) => {}
                Ok(None) => {
                    peer.conn.keep_rest(&input, &mut self.pool);
                    return true;
                }
                Err(_) => {
                    peer.leaving = Some(Linger::Discard);
                    return true;
                }
            }
        }
        peer.leaving = Some(Linger::Drop);
        if peer.has_said_all() {
            self.forget(app, id);
        }
        false
    }

    /// Drops the connection: socket, buffers, deadline, slot.
    fn forget<A: App>(&mut self, app: &mut A, id: ConnId) {
        if let Some(mut peer) = self.peers.remove(id) {
            if let Some(mut outbox) = peer.take_farewell() {
                outbox.clear(app.turn());
            }
            peer.socket.close();
            peer.conn.deafen(&mut self.pool);
            self.wheel.unset(id.slot());
        }
    }

    /// The handshake is done.
    pub(super) fn promote(&mut self, now: Now, id: ConnId) {
        let Some(peer) = self.peers.get_mut(id).filter(|peer| peer.leaving.is_none()) else {
            return;
        };
        peer.promoted = true;
        self.set_ping_timer(now, id);
    }

    /// A response that came later is whole.
    pub(super) fn answered<A: App>(&mut self, app: &mut A, now: Now, id: ConnId, keep: bool) {
        let Some(peer) = self.peers.get_mut(id) else {
            return;
        };
        if peer.leaving.is_some() || !peer.conn.is_answering() {
            return;
        }
        if !keep {
            return self.leave(
                app,
                now,
                id,
                Leave::silent(Closed::Answered, Linger::Discard),
            );
        }
        peer.conn.expect_request();
        peer.paused = app.queued_len(id) > OUTBOX_SOFT_BYTES;
        self.make_ready(id);
        self.reach(now, id, Milestone::Answered);
    }

    /// Sets the deadline that belongs to what a conversation came to.
    pub(super) fn reach(&mut self, now: Now, id: ConnId, milestone: Milestone) {
        match milestone {
            Milestone::None => {}
            Milestone::Opened if self.settings.handshake_deadline_ms.is_some() => {}
            Milestone::Opened => self.set_ping_timer(now, id),
            Milestone::BodyAwaited => {
                self.set_timer(
                    id,
                    Timer::Body,
                    now.mono_ms + self.settings.body_deadline_ms,
                );
            }
            Milestone::Answering => self.unset_timer(id),
            Milestone::Answered => match self.settings.handshake_deadline_ms {
                Some(deadline_ms) => {
                    self.set_timer(id, Timer::Handshake, now.mono_ms + deadline_ms)
                }
                None => self.unset_timer(id),
            },
        }
    }

    /// The connection's deadline has passed.
    pub(super) fn on_timer<A: App>(&mut self, app: &mut A, now: Now, id: ConnId) {
        let Some(peer) = self.peers.get_mut(id) else {
            return;
        };
        match peer.timer {
            Timer::None => {}
            Timer::Ping => self.ping(app, now, id),
            Timer::Grace => self.forget(app, id),
            Timer::Announced => {
                self.leave(app, now, id, Leave::silent(Closed::Timeout, Linger::Drop));
            }
            Timer::Handshake if peer.conn.is_open() => {
                self.leave(
                    app,
                    now,
                    id,
                    Leave::fail(Closed::Timeout, close::POLICY, "handshake timeout"),
                );
            }
            Timer::Handshake | Timer::Body => {
                let refusal = Refusal::new(408, "request took too long");
                self.leave(app, now, id, Leave::refuse(Closed::Timeout, refusal));
            }
        }
    }

    fn ping<A: App>(&mut self, app: &mut A, now: Now, id: ConnId) {
        let Some(peer) = self.peers.get_mut(id) else {
            return;
        };
        // One whose bytes we do not read for now cannot answer; it has a limit of its own.
        if peer.pinged && !peer.heard && !peer.paused {
            return self.leave(
                app,
                now,
                id,
                Leave::fail(Closed::Timeout, close::GOING_AWAY, "no answer to a ping"),
            );
        }
        peer.heard = false;
        peer.pinged = true;
        let has_to = !peer.blocked;
        self.set_ping_timer(now, id);
        if let Some((outbox, turn)) = app.outbox(id).filter(|_| has_to) {
            outbox.frame(turn, Opcode::Ping as u8, &[]);
        }
    }

    fn set_ping_timer(&mut self, now: Now, id: ConnId) {
        match self.settings.ping_interval_ms {
            Some(interval_ms) => self.set_timer(id, Timer::Ping, now.mono_ms + interval_ms),
            None => self.unset_timer(id),
        }
    }

    pub(super) fn set_timer(&mut self, id: ConnId, timer: Timer, deadline_ms: u64) {
        if let Some(peer) = self.peers.get_mut(id) {
            peer.timer = timer;
            self.wheel.set(id.slot(), deadline_ms);
        }
    }

    fn unset_timer(&mut self, id: ConnId) {
        if let Some(peer) = self.peers.get_mut(id) {
            peer.timer = Timer::None;
            self.wheel.unset(id.slot());
        }
    }
}
