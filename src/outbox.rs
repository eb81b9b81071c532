//! A queue of outgoing bytes of one peer, written once a turn.
//!
//! An event that goes to many peers is encoded once, in the turn's buffer; each receiver's
//! outbox only refers to it and carries its own `seq`. The turn's buffer outlives no turn:
//! what a peer's socket does not take at once is copied into bytes of the peer's own.

use crate::wire::emit;
use crate::wire::json::{PLACE_DIGITS, Writer, fill_place};

/// RFC 6455 5.2: a text frame.
const OPCODE_TEXT: u8 = 1;
/// Spare queues kept for the next peers that send.
const SPARE_QUEUES_MAX: usize = 1_024;
/// What the buffers of all spare queues may hold together.
const SPARE_TOTAL_BYTES_MAX: usize = 1024 * 1024;
/// A buffer larger than this is given back to the allocator.
const SPARE_BYTES_MAX: usize = 128 * 1024;

/// What all outboxes of one loop share: the turn's events and spare memory.
#[derive(Default)]
pub struct Turn {
    events: Vec<u8>,
    scratch: Vec<u8>,
    /// The first of the spare queues; each leads to the next.
    spare: Option<Box<Queue>>,
    spares: usize,
    spare_bytes: usize,
    queued_total: usize,
}

/// A whole text frame in the turn's buffer.
#[derive(Clone, Copy, Debug)]
pub struct SharedFrame {
    start: u32,
    len: u32,
    /// Where the receiver's number goes, from the frame's start.
    seq_at: Option<u32>,
}

impl SharedFrame {
    /// Bytes of the frame, head included.
    #[inline(always)]
    pub fn wire_len(&self) -> usize {
        self.len as usize
    }

    #[inline(always)]
    fn range(&self) -> std::ops::Range<usize> {
        let start = self.start as usize;
        start..start + self.len as usize
    }

    /// Writes the receiver's number into the frame's bytes.
    #[inline(always)]
    fn number(&self, bytes: &mut [u8], seq: u64) {
        if let Some(at) = self.seq_at {
            number(bytes, at as usize, seq);
        }
    }
}

/// Writes a receiver's number into its place, which begins there.
#[inline(always)]
fn number(bytes: &mut [u8], at: usize, seq: u64) {
    if let Some(place) = bytes.get_mut(at..at + PLACE_DIGITS)
        && let Some(place) = place.first_chunk_mut()
    {
        fill_place(place, seq);
    }
}

impl Turn {
    /// Encodes one text frame for many receivers.
    ///
    /// `f` writes the body and returns the offset of the place for the receiver's number, as
    /// [`crate::wire::envelope::write_event`] does.
    pub fn frame(&mut self, f: impl FnOnce(&mut Writer<'_>) -> Option<usize>) -> SharedFrame {
        let start = emit::open(&mut self.events);
        let place = f(&mut Writer::new(&mut self.events));
        let moved = emit::seal(&mut self.events, start, OPCODE_TEXT);
        SharedFrame {
            start: start as u32,
            len: (self.events.len() - start) as u32,
            seq_at: place.map(|at| (at.wrapping_add_signed(moved) - start) as u32),
        }
    }

    /// A frame for many receivers whose payload exists already and has no number in it.
    pub fn raw_frame(&mut self, opcode: u8, payload: &[u8]) -> SharedFrame {
        let start = self.events.len();
        emit::frame(&mut self.events, opcode, payload);
        SharedFrame {
            start: start as u32,
            len: (self.events.len() - start) as u32,
            seq_at: None,
        }
    }

    /// Bytes queued in all outboxes together.
    #[inline(always)]
    pub fn queued_total(&self) -> usize {
        self.queued_total
    }

    /// Forgets the turn's events; every outbox that refers to them has been flushed.
    pub fn end(&mut self) {
        if !self.events.is_empty() {
            self.events.clear();
            self.events.shrink_to(SPARE_BYTES_MAX);
            self.scratch.clear();
            self.scratch.shrink_to(SPARE_BYTES_MAX);
        }
    }

    #[inline(always)]
    fn take_queue(&mut self) -> Box<Queue> {
        let Some(mut queue) = self.spare.take() else {
            return Box::default();
        };
        std::mem::swap(&mut self.spare, &mut queue.next);
        self.spares -= 1;
        self.spare_bytes -= queue.capacity_bytes();
        queue
    }

    #[inline(always)]
    fn give_back(&mut self, mut queue: Box<Queue>) {
        queue.own.clear();
        queue.shared.clear();
        queue.shared_len = 0;
        queue.sent = 0;
        queue.taken = 0;
        let bytes = queue.capacity_bytes();
        let spare_bytes = self.spare_bytes + bytes;
        if self.spares < SPARE_QUEUES_MAX
            && bytes <= SPARE_BYTES_MAX
            && spare_bytes <= SPARE_TOTAL_BYTES_MAX
        {
            self.spare_bytes = spare_bytes;
            self.spares += 1;
            std::mem::swap(&mut self.spare, &mut queue.next);
            put(&mut self.spare, queue);
        }
    }
}

/// Puts a queue where there is none: the compiler, which cannot see that, need not drop one on the way of every message.
#[inline(always)]
fn put(place: &mut Option<Box<Queue>>, queue: Box<Queue>) {
    debug_assert!(place.is_none());
    std::mem::forget(place.replace(queue));
}

impl Drop for Turn {
    /// One spare queue after the other: a long chain that drops itself would need as much of the stack.
    fn drop(&mut self) {
        while let Some(mut queue) = self.spare.take() {
            self.spare = queue.next.take();
        }
    }
}

/// Who takes an outbox's bytes.
pub trait Sink {
    /// How many of `bytes` were taken, 0 for none now, or None for a broken socket.
    fn take(&mut self, bytes: &[u8]) -> Option<usize>;
}

impl<F: FnMut(&[u8]) -> Option<usize>> Sink for F {
    #[inline(always)]
    fn take(&mut self, bytes: &[u8]) -> Option<usize> {
        self(bytes)
    }
}

/// What became of a flush.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flush {
    /// Everything was taken.
    Done,
    /// The peer takes no more now.
    Blocked,
    /// The socket is broken.
    Broken,
}

/// The outgoing bytes of one peer. Owns no memory while it is empty, nor while all that waits is
/// one shared frame, which is the commonest case of all.
#[derive(Default)]
pub struct Outbox {
    /// A shared frame and the receiver's number; then there is no queue.
    lone: Option<(SharedFrame, u64)>,
    queue: Option<Box<Queue>>,
}

#[derive(Default)]
struct Queue {
    own: Vec<u8>,
    /// How much of `own` the peer has taken.
    sent: usize,
    /// Shared frames, each to be sent before the own byte at its offset.
    shared: Vec<Reference>,
    shared_len: usize,
    /// Bytes that the peer has taken since the queue was last empty.
    taken: u64,
    /// While it is spare: the next of the spare ones.
    next: Option<Box<Queue>>,
}

#[derive(Clone, Copy)]
struct Reference {
    own_at: usize,
    frame: SharedFrame,
    seq: u64,
}

impl Outbox {
    /// Bytes that the peer has not taken yet.
    #[inline(always)]
    pub fn queued_len(&self) -> usize {
        let lone = self.lone.as_ref().map_or(0, |(frame, _)| frame.wire_len());
        lone + self.queue.as_ref().map_or(0, |queue| queue.len())
    }

    /// Bytes that the peer has taken since nothing waited: a peer that takes none is stuck.
    pub fn taken(&self) -> u64 {
        self.queue.as_ref().map_or(0, |queue| queue.taken)
    }

    /// Whether nothing waits.
    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        self.queue.is_none() && self.lone.is_none()
    }

    /// Queues one text message whose body `f` writes: head and body in one piece.
    pub fn text(&mut self, turn: &mut Turn, f: impl FnOnce(&mut Writer<'_>)) {
        self.own(turn, |out| {
            let start = emit::open(out);
            f(&mut Writer::new(out));
            emit::seal(out, start, OPCODE_TEXT);
        });
    }

    /// Queues one final frame of any kind.
    #[inline(always)]
    pub fn frame(&mut self, turn: &mut Turn, opcode: u8, payload: &[u8]) {
        // Not by a closure: one that is handed over in several places is inlined in none.
        let Some(queue) = self.queue(turn) else {
            return;
        };
        let before = queue.own.len();
        emit::frame(&mut queue.own, opcode, payload);
        let len = queue.own.len() - before;
        turn.queued_total += len;
    }

    /// Queues bytes as they are, such as an HTTP response.
    pub fn bytes(&mut self, turn: &mut Turn, bytes: &[u8]) {
        self.own(turn, |out| out.extend_from_slice(bytes));
    }

    /// Queues a frame of the turn's buffer with this receiver's number.
    #[inline(always)]
    pub fn shared(&mut self, turn: &mut Turn, frame: SharedFrame, seq: u64) {
        turn.queued_total += frame.wire_len();
        if self.is_empty() {
            self.lone = Some((frame, seq));
        } else if let Some(queue) = self.queue(turn) {
            queue.push_shared(frame, seq);
        }
    }

    #[inline(always)]
    fn own(&mut self, turn: &mut Turn, f: impl FnOnce(&mut Vec<u8>)) {
        let Some(queue) = self.queue(turn) else {
            return;
        };
        let before = queue.own.len();
        f(&mut queue.own);
        let len = queue.own.len() - before;
        turn.queued_total += len;
    }

    /// The queue, which is there from now on: never none.
    #[inline(always)]
    fn queue(&mut self, turn: &mut Turn) -> Option<&mut Queue> {
        if self.queue.is_none() {
            put(&mut self.queue, turn.take_queue());
        }
        let queue = self.queue.as_deref_mut()?;
        if let Some((frame, seq)) = self.lone.take() {
            queue.push_shared(frame, seq);
        }
        Some(queue)
    }

    /// Drops what waits, as when the connection went.
    pub fn clear(&mut self, turn: &mut Turn) {
        turn.queued_total -= self.queued_len();
        self.lone = None;
        if let Some(queue) = self.queue.take() {
            turn.give_back(queue);
        }
    }

    /// Offers everything to `sink` in one piece; keeps what it did not take.
    #[inline(always)]
    pub fn flush(&mut self, turn: &mut Turn, mut sink: impl Sink) -> Flush {
        if let Some((frame, seq)) = self.lone.take() {
            return self.flush_lone(turn, frame, seq, sink);
        }
        let Some(queue) = self.queue.as_mut() else {
            return Flush::Done;
        };
        let before = queue.len();
        let Some(taken) = queue.offer(&mut turn.events, &mut turn.scratch, &mut sink) else {
            self.clear(turn);
            return Flush::Broken;
        };
        turn.queued_total -= taken;
        if taken < before {
            queue.taken += taken as u64;
            return Flush::Blocked;
        }
        if let Some(queue) = self.queue.take() {
            turn.give_back(queue);
        }
        Flush::Done
    }

    /// Straight from the turn's buffer; only what is not taken becomes the peer's own.
    #[inline(always)]
    fn flush_lone(
        &mut self,
        turn: &mut Turn,
        frame: SharedFrame,
        seq: u64,
        mut sink: impl Sink,
    ) -> Flush {
        let range = frame.range();
        if let Some(at) = frame.seq_at {
            number(&mut turn.events, range.start + at as usize, seq);
        }
        let taken = match turn.events.get(range) {
            Some(bytes) => sink.take(bytes),
            None => None,
        };
        let Some(taken) = taken else {
            turn.queued_total -= frame.wire_len();
            return Flush::Broken;
        };
        turn.queued_total -= taken;
        if taken == frame.wire_len() {
            return Flush::Done;
        }
        self.keep_rest(turn, frame, taken);
        Flush::Blocked
    }

    #[inline(never)]
    fn keep_rest(&mut self, turn: &mut Turn, frame: SharedFrame, taken: usize) {
        let range = frame.range();
        let mut queue = turn.take_queue();
        queue
            .own
            .extend_from_slice(&turn.events[range.start + taken..range.end]);
        self.queue = Some(queue);
    }
}

impl Queue {
    #[inline]
    fn push_shared(&mut self, frame: SharedFrame, seq: u64) {
        self.shared_len += frame.wire_len();
        self.shared.push(Reference {
            own_at: self.own.len(),
            frame,
            seq,
        });
    }

    #[inline(always)]
    fn len(&self) -> usize {
        self.own.len() - self.sent + self.shared_len
    }

    fn capacity_bytes(&self) -> usize {
        self.own.capacity() + self.shared.capacity() * size_of::<Reference>()
    }

    /// Offers everything once. Nothing refers to the turn's buffer afterwards.
    #[inline(always)]
    fn offer(
        &mut self,
        events: &mut [u8],
        scratch: &mut Vec<u8>,
        sink: &mut impl Sink,
    ) -> Option<usize> {
        if self.shared.is_empty() {
            let taken = sink.take(self.own.get(self.sent..)?)?;
            self.sent += taken;
            if self.sent < self.own.len() {
                self.compact();
            }
            return Some(taken);
        }
        // The sink stays in registers: no other function gets it.
        let whole = self.join(events, scratch);
        let taken = sink.take(whole)?;
        self.keep(whole, taken);
        Some(taken)
    }

    /// All that waits in one piece, each frame with its number.
    #[inline(never)]
    fn join<'t>(&self, events: &'t mut [u8], scratch: &'t mut Vec<u8>) -> &'t [u8] {
        match self.one_range() {
            Some((start, end)) if self.sent == self.own.len() => {
                for reference in &self.shared {
                    reference
                        .frame
                        .number(&mut events[reference.frame.range()], reference.seq);
                }
                &events[start..end]
            }
            _ => {
                self.gather(events, scratch);
                &scratch[..]
            }
        }
    }

    /// What was not taken becomes the peer's own.
    #[inline(never)]
    fn keep(&mut self, whole: &[u8], taken: usize) {
        self.own.clear();
        self.own.extend_from_slice(&whole[taken..]);
        self.sent = 0;
        self.shared.clear();
        self.shared_len = 0;
    }

    /// The one range of the turn's buffer that all references make up, if they do.
    fn one_range(&self) -> Option<(usize, usize)> {
        let start = self.shared.first()?.frame.range().start;
        let mut end = start;
        for reference in &self.shared {
            let range = reference.frame.range();
            if range.start != end {
                return None;
            }
            end = range.end;
        }
        Some((start, end))
    }

    fn gather(&self, events: &[u8], scratch: &mut Vec<u8>) {
        scratch.clear();
        let mut own_at = self.sent;
        for reference in &self.shared {
            let until = reference.own_at.max(own_at);
            scratch.extend_from_slice(&self.own[own_at..until]);
            own_at = until;
            let from = scratch.len();
            scratch.extend_from_slice(&events[reference.frame.range()]);
            reference.frame.number(&mut scratch[from..], reference.seq);
        }
        scratch.extend_from_slice(&self.own[own_at..]);
    }

    /// A long queue that drains slowly must not keep what was sent already.
    #[cold]
    fn compact(&mut self) {
        if self.sent >= SPARE_BYTES_MAX && self.sent * 2 >= self.own.len() {
            self.own.drain(..self.sent);
            self.sent = 0;
        }
    }
}

#[cfg(test)]
mod tests;
