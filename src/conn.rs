//! One connection as a state machine: bytes in, items out.
//!
//! The machine owns no buffer while nothing is unfinished. Whoever drives it puts received bytes
//! behind those that [`Conn::refill`] gives back, calls [`Conn::poll`] until it has no more, and
//! ends with [`Conn::keep_rest`]. However the bytes were cut, the items are the same.

use std::ops::Range;

use crate::limits::JSON_PADDING_BYTES;
use crate::wire::close::{self, Fail};
use crate::wire::frame::{self, Head, Opcode};
use crate::wire::http::{self, Refusal};
use crate::wire::mask::unmask;
use crate::wire::message::{Assembly, MessageLimits, Pool};
use crate::wire::utf8;

/// Received bytes, and how far they were understood.
pub struct Input<'b> {
    bytes: &'b mut [u8],
    at: usize,
    end: usize,
}

impl<'b> Input<'b> {
    /// The first `len` bytes of `padded` were received; behind them are at least
    /// [`JSON_PADDING_BYTES`] more, of any content.
    #[inline(always)]
    pub fn new(padded: &'b mut [u8], len: usize) -> Self {
        assert!(len + JSON_PADDING_BYTES <= padded.len(), "no padding");
        Self {
            bytes: padded,
            at: 0,
            end: len,
        }
    }

    /// What is not understood yet.
    #[inline(always)]
    pub fn rest(&self) -> &[u8] {
        match self.bytes.get(self.at..self.end) {
            Some(rest) => rest,
            None => &[],
        }
    }

    /// Whether everything is understood.
    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        self.at >= self.end
    }

    /// Counts bytes of the rest as understood.
    #[inline(always)]
    pub fn consume(&mut self, len: usize) {
        debug_assert!(len <= self.end - self.at);
        self.at += len;
    }

    /// The bytes of an item; a message's padding is behind them.
    #[inline(always)]
    pub fn padded(&mut self, range: &Range<usize>) -> &mut [u8] {
        match self
            .bytes
            .get_mut(range.start..range.end + JSON_PADDING_BYTES)
        {
            Some(padded) => padded,
            None => &mut [],
        }
    }

    /// The bytes of an item.
    #[inline(always)]
    pub fn slice(&self, range: &Range<usize>) -> &[u8] {
        &self.bytes[range.clone()]
    }
}

/// What the peer said. Ranges are of the input.
#[derive(Debug, PartialEq, Eq)]
pub enum Item {
    /// A request head of this many bytes is at the start of [`Input::rest`]; nothing is consumed.
    Request { head_len: usize },
    /// The body that was waited for is there, behind its head: see [`Conn::assembled`].
    Body { head_len: usize },
    /// A whole message in one frame that lies in the input.
    Message { binary: bool, range: Range<usize> },
    /// A whole message that came in pieces: see [`Conn::assembled`].
    Assembled { binary: bool },
    /// A ping and its payload.
    Ping(Range<usize>),
    /// A pong; its payload means nothing to us.
    Pong,
    /// A close frame; the code is [`close::NO_STATUS`] where it has none.
    Close { code: u16 },
}

/// [`Item::Message`] alone.
#[derive(Debug, PartialEq, Eq)]
pub struct Short {
    pub binary: bool,
    pub range: Range<usize>,
}

/// Why nothing more can be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// To be answered by an HTTP status.
    Http(Refusal),
    /// To be answered by a close frame.
    WebSocket(Fail),
}

impl From<Fail> for Fault {
    fn from(fail: Fail) -> Self {
        Self::WebSocket(fail)
    }
}

/// What the bytes mean that come next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// A request head.
    Head,
    /// The body of a request.
    Body,
    /// The next request, not to be looked at before this one is answered.
    Answering,
    /// Frames.
    Frames,
    /// Nothing any more.
    Deaf,
    /// A fault of ours, for the test of what becomes of it.
    #[cfg(test)]
    Sabotaged,
}

/// The protocol state of one connection.
pub struct Conn {
    phase: Phase,
    /// In `Head`: how many bytes were searched for the head's end. In `Body`: the head's length.
    mark: u32,
    /// In `Body`: where head and body end. Never above the limits for both.
    body_end: u32,
    assembly: Option<Box<Assembly>>,
}

impl Default for Conn {
    fn default() -> Self {
        Self {
            phase: Phase::Head,
            mark: 0,
            body_end: 0,
            assembly: None,
        }
    }
}

impl Conn {
    /// Puts bytes that wait from before at the start of `buffer`; how many they are.
    #[inline(always)]
    pub fn refill(&mut self, buffer: &mut [u8]) -> usize {
        let Some(assembly) = &mut self.assembly else {
            return 0;
        };
        let len = assembly.held.len();
        buffer[..len].copy_from_slice(&assembly.held);
        assembly.held.clear();
        len
    }

    /// The next item, or `None` when more bytes are needed.
    ///
    /// # Errors
    ///
    /// A [`Fault`] ends the conversation: the machine is deaf from then on.
    #[inline(never)]
    pub fn poll(
        &mut self,
        input: &mut Input<'_>,
        limits: &MessageLimits,
        pool: &mut Pool,
    ) -> Result<Option<Item>, Fault> {
        if let Some(Short { binary, range }) = self.poll_short(input, limits) {
            return Ok(Some(Item::Message { binary, range }));
        }
        let polled = if self.phase == Phase::Frames {
            self.poll_frames(input, limits, pool).map_err(Fault::from)
        } else {
            self.poll_http(input)
        };
        if polled.is_err() {
            self.phase = Phase::Deaf;
        }
        polled
    }

    /// The next message, if it lies whole and sound in the input behind the shortest head, as almost all do; where it
    /// does not, [`Self::poll`] says what there is.
    // The hottest code of the program, and the result of `poll` is large: this one stays in registers.
    #[inline(always)]
    pub fn poll_short(&mut self, input: &mut Input<'_>, limits: &MessageLimits) -> Option<Short> {
        if self.phase != Phase::Frames || self.assembly.is_some() {
            return None;
        }
        let head = frame::decode_short_message(input.rest())?;
        let start = input.at + frame::SHORT_HEAD_BYTES;
        let end = start + head.payload_len;
        let is_taken =
            head.payload_len as u64 <= limits.bytes_max && (!head.binary || limits.binary);
        if end > input.end || !is_taken {
            return None;
        }
        let payload = input.bytes.get_mut(start..end)?;
        let ascii = unmask(payload, head.mask);
        if limits.checks_whole_text && !ascii && !head.binary && utf8::check(payload).is_err() {
            // As it was, for who says what is wrong.
            unmask(payload, head.mask);
            return None;
        }
        input.at = end;
        Some(Short {
            binary: head.binary,
            range: start..end,
        })
    }

    /// Keeps what is not understood yet until more comes.
    #[inline(always)]
    pub fn keep_rest(&mut self, input: &Input<'_>, pool: &mut Pool) {
        if self.phase != Phase::Deaf && input.at < input.end {
            self.assembly
                .get_or_insert_with(|| pool.take())
                .held
                .extend_from_slice(input.rest());
        }
        if self.assembly.is_some() {
            self.release_idle(pool);
        }
    }

    /// The bytes of the last [`Item::Assembled`], with padding, or of [`Item::Body`].
    pub fn assembled(&mut self) -> &mut [u8] {
        self.assembly
            .as_mut()
            .map_or(&mut [], |assembly| assembly.delivered())
    }

    /// How many bytes of an unfinished message or request are kept.
    pub fn kept_len(&self) -> usize {
        self.assembly
            .as_ref()
            .map_or(0, |assembly| assembly.kept_len())
    }

    /// How many received bytes wait to be understood.
    pub fn held_len(&self) -> usize {
        self.assembly
            .as_ref()
            .map_or(0, |assembly| assembly.held.len())
    }

    /// Panics at the next byte.
    #[cfg(test)]
    pub(crate) fn sabotage(&mut self) {
        self.phase = Phase::Sabotaged;
    }

    /// Whether frames are spoken.
    pub fn is_open(&self) -> bool {
        self.phase == Phase::Frames
    }

    /// Whether a request is being answered.
    #[inline(always)]
    pub fn is_answering(&self) -> bool {
        self.phase == Phase::Answering
    }

    /// The request was an upgrade and is answered with 101: frames come next.
    pub fn open(&mut self) {
        self.phase = Phase::Frames;
    }

    /// The request, whose head is `head`, has a body of `len` bytes that are not all there.
    pub fn expect_body(&mut self, head: &[u8], len: u32, pool: &mut Pool) {
        self.release_idle(pool);
        self.phase = Phase::Body;
        self.mark = head.len() as u32;
        self.body_end = self.mark + len;
        self.assembly
            .get_or_insert_with(|| pool.take())
            .append(head);
    }

    /// The request is being answered; another one behind it waits.
    pub fn answer(&mut self) {
        self.phase = Phase::Answering;
    }

    /// The request is answered; another one may follow.
    pub fn expect_request(&mut self) {
        self.phase = Phase::Head;
        self.mark = 0;
    }

    /// Whatever comes from now on is thrown away.
    pub fn deafen(&mut self, pool: &mut Pool) {
        self.phase = Phase::Deaf;
        if let Some(assembly) = self.assembly.take() {
            pool.give_back(assembly);
        }
    }

    fn poll_frames(
        &mut self,
        input: &mut Input<'_>,
        limits: &MessageLimits,
        pool: &mut Pool,
    ) -> Result<Option<Item>, Fail> {
        if let Some(assembly) = &self.assembly {
            if !assembly.is_idle() {
                return self.poll_pieces(input, limits, pool);
            }
            self.release_idle(pool);
        }
        let Some(head) = frame::decode(input.rest())? else {
            return Ok(None);
        };
        let available = (input.end - input.at - head.head_len) as u64;
        let is_message = head.fin && matches!(head.opcode, Opcode::Text | Opcode::Binary);
        if is_message && head.payload_len <= available.min(limits.bytes_max) {
            return whole_message(&head, input, limits).map(Some);
        }
        self.poll_pieces(input, limits, pool)
    }

    /// The way of everything but a message that lies whole in the input.
    #[cold]
    #[inline(never)]
    fn poll_pieces(
        &mut self,
        input: &mut Input<'_>,
        limits: &MessageLimits,
        pool: &mut Pool,
    ) -> Result<Option<Item>, Fail> {
        loop {
            if let Some(assembly) = self
                .assembly
                .as_mut()
                .filter(|assembly| assembly.is_inside_frame())
            {
                if input.at == input.end {
                    return Ok(None);
                }
                let (taken, complete) = assembly.absorb(&mut input.bytes[input.at..input.end])?;
                input.at += taken;
                if complete {
                    return Ok(Some(Item::Assembled {
                        binary: assembly.is_binary(),
                    }));
                }
                continue;
            }
            let Some(head) = frame::decode(input.rest())? else {
                return Ok(None);
            };
            let available = (input.end - input.at - head.head_len) as u64;
            if head.opcode.is_control() {
                if head.payload_len > available {
                    return Ok(None);
                }
                return control(&head, input).map(Some);
            }
            let assembly = self.assembly.get_or_insert_with(|| pool.take());
            assembly.begin_frame(&head, limits)?;
            input.at += head.head_len;
            if head.payload_len == 0 {
                // An empty frame has no bytes that could complete the message.
                if let (_, true) = assembly.absorb(&mut [])? {
                    return Ok(Some(Item::Assembled {
                        binary: assembly.is_binary(),
                    }));
                }
            }
        }
    }

    fn release_idle(&mut self, pool: &mut Pool) {
        if let Some(assembly) = self.assembly.take_if(|assembly| assembly.is_idle()) {
            pool.give_back(assembly);
        }
    }

    #[cold]
    #[inline(never)]
    fn poll_http(&mut self, input: &mut Input<'_>) -> Result<Option<Item>, Fault> {
        match self.phase {
            Phase::Head => {
                let found =
                    http::find_end(input.rest(), self.mark as usize).map_err(Fault::Http)?;
                self.mark = input.rest().len() as u32;
                Ok(found.map(|head_len| Item::Request { head_len }))
            }
            Phase::Body => Ok(self.poll_body(input)),
            Phase::Answering | Phase::Frames => Ok(None),
            #[cfg(test)]
            Phase::Sabotaged => panic!("sabotaged"),
            Phase::Deaf => {
                input.at = input.end;
                Ok(None)
            }
        }
    }

    fn poll_body(&mut self, input: &mut Input<'_>) -> Option<Item> {
        let assembly = self.assembly.as_mut()?;
        let left = self.body_end as usize - assembly.kept_len();
        let taken = left.min(input.rest().len());
        assembly.append(input.rest().split_at(taken).0);
        input.at += taken;
        if taken < left {
            return None;
        }
        assembly.deliver_raw();
        self.phase = Phase::Answering;
        Some(Item::Body {
            head_len: self.mark as usize,
        })
    }
}

#[inline(always)]
fn whole_message(head: &Head, input: &mut Input<'_>, limits: &MessageLimits) -> Result<Item, Fail> {
    let binary = head.opcode == Opcode::Binary;
    if binary && !limits.binary {
        return Err(Fail::Binary);
    }
    let start = input.at + head.head_len;
    // The caller compared the length with the bytes that are there.
    let end = start + head.payload_len as usize;
    let payload = &mut input.bytes[start..end];
    let ascii = unmask(payload, head.mask);
    if limits.checks_whole_text && !ascii && !binary {
        utf8::check(payload).map_err(|_| Fail::BadText)?;
    }
    input.at = end;
    Ok(Item::Message {
        binary,
        range: start..end,
    })
}

fn control(head: &Head, input: &mut Input<'_>) -> Result<Item, Fail> {
    let start = input.at + head.head_len;
    let end = start + head.payload_len as usize;
    let payload = &mut input.bytes[start..end];
    unmask(payload, head.mask);
    input.at = end;
    match head.opcode {
        Opcode::Ping => Ok(Item::Ping(start..end)),
        Opcode::Close => close::decode(payload).map(|(code, _)| Item::Close { code }),
        _ => Ok(Item::Pong),
    }
}
