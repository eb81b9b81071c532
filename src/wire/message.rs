//! Messages put together: what a connection remembers while a message is unfinished.

use crate::limits::{
    ASSEMBLIES_SPARE_MAX, ASSEMBLY_SPARE_BYTES_MAX, FRAGMENTS_MAX, JSON_PADDING_BYTES,
};

use super::close::Fail;
use super::frame::{Head, Opcode};
use super::mask::{rotate, unmask};
use super::utf8::Utf8;

/// The bounds of a connection's messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageLimits {
    /// Longest message, all fragments together.
    pub bytes_max: u64,
    /// Whether binary messages are taken at all.
    pub binary: bool,
    /// Whether a text that arrived whole is checked for UTF-8 here. Where the receiver's JSON
    /// parser checks it anyway, once is enough. Fragments and cut frames are always checked.
    pub checks_whole_text: bool,
}

/// An unfinished message, or bytes that wait for the rest of a frame head.
///
/// A connection owns one only while it needs it; spare ones go back to the [`Pool`].
#[derive(Default)]
pub struct Assembly {
    /// Bytes that were received but not understood yet, in their masked form.
    pub(crate) held: Vec<u8>,
    /// The message so far; padding behind it once it is complete.
    bytes: Vec<u8>,
    stage: Stage,
    binary: bool,
    fragments: u32,
    utf8: Utf8,
    frame_fin: bool,
    frame_left: u64,
    mask: [u8; 4],
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    /// No message has begun.
    #[default]
    Idle,
    /// A message has begun.
    Open,
    /// The message is complete and was handed out.
    Delivered,
}

impl Assembly {
    /// Whether payload bytes of a frame are still to come.
    pub(crate) fn is_inside_frame(&self) -> bool {
        self.frame_left > 0
    }

    /// Whether nothing is remembered that the next bytes need.
    pub(crate) fn is_idle(&self) -> bool {
        self.stage != Stage::Open && self.held.is_empty()
    }

    /// Judges a data frame's head and makes its payload the next bytes to [`Assembly::absorb`].
    pub(crate) fn begin_frame(&mut self, head: &Head, limits: &MessageLimits) -> Result<(), Fail> {
        match (head.opcode, self.stage == Stage::Open) {
            // RFC 6455 5.4: fragments of one message follow one another.
            (Opcode::Continuation, false) | (Opcode::Text | Opcode::Binary, true) => {
                return Err(Fail::BadFragment);
            }
            (Opcode::Continuation, true) => {}
            (opcode, _) => {
                self.clear_message();
                self.binary = opcode == Opcode::Binary;
                self.stage = Stage::Open;
            }
        }
        if self.binary && !limits.binary {
            return Err(Fail::Binary);
        }
        self.fragments += 1;
        let room = limits.bytes_max.saturating_sub(self.bytes.len() as u64);
        if head.payload_len > room || self.fragments > FRAGMENTS_MAX {
            return Err(Fail::TooBig);
        }
        self.frame_fin = head.fin;
        self.frame_left = head.payload_len;
        self.mask = head.mask;
        Ok(())
    }

    /// Unmasks, checks and keeps what of `available` belongs to the frame; how many bytes that was,
    /// and whether they completed the message.
    pub(crate) fn absorb(&mut self, available: &mut [u8]) -> Result<(usize, bool), Fail> {
        let taken = usize::try_from(self.frame_left)
            .map_or(available.len(), |left| left.min(available.len()));
        let piece = &mut available[..taken];
        let ascii = unmask(piece, self.mask);
        self.mask = rotate(self.mask, taken);
        let plain = ascii && self.utf8.is_whole();
        if !self.binary && !plain {
            self.utf8.push(piece).map_err(|_| Fail::BadText)?;
        }
        self.bytes.extend_from_slice(piece);
        self.frame_left -= taken as u64;
        let complete = self.frame_left == 0 && self.frame_fin;
        if complete {
            if !self.binary && !self.utf8.is_whole() {
                return Err(Fail::BadText);
            }
            self.bytes.extend_from_slice(&[0; JSON_PADDING_BYTES]);
            self.stage = Stage::Delivered;
        }
        Ok((taken, complete))
    }

    /// Whether the completed message is binary.
    pub(crate) fn is_binary(&self) -> bool {
        self.binary
    }

    /// The completed message with its padding.
    pub(crate) fn delivered(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    /// Keeps raw bytes: the head of an HTTP request, or a piece of its body.
    pub(crate) fn append(&mut self, raw: &[u8]) {
        self.stage = Stage::Open;
        self.bytes.extend_from_slice(raw);
    }

    /// Marks what [`Assembly::append`] kept as handed out; its bytes.
    pub(crate) fn deliver_raw(&mut self) -> &mut [u8] {
        self.stage = Stage::Delivered;
        &mut self.bytes
    }

    /// How much [`Assembly::append`] has kept.
    pub(crate) fn kept_len(&self) -> usize {
        self.bytes.len()
    }

    fn clear_message(&mut self) {
        self.bytes.clear();
        self.stage = Stage::Idle;
        self.fragments = 0;
        self.utf8 = Utf8::default();
        self.frame_left = 0;
    }
}

/// Spare assemblies of one loop.
#[derive(Default)]
pub struct Pool {
    // Boxed, so that an idle connection holds one pointer.
    #[allow(clippy::vec_box)]
    spare: Vec<Box<Assembly>>,
}

impl Pool {
    pub(crate) fn take(&mut self) -> Box<Assembly> {
        self.spare.pop().unwrap_or_default()
    }

    pub(crate) fn give_back(&mut self, mut assembly: Box<Assembly>) {
        assembly.clear_message();
        assembly.held.clear();
        let bytes = assembly.bytes.capacity() + assembly.held.capacity();
        if self.spare.len() < ASSEMBLIES_SPARE_MAX && bytes <= ASSEMBLY_SPARE_BYTES_MAX {
            self.spare.push(assembly);
        }
    }
}
