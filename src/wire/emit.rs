//! A server's frames: around a payload that is there, or one that is written first.

use super::frame::SERVER_HEAD_BYTES_MAX;

/// Room for the usual frame head: bodies of 126 to 65,535 bytes need exactly this.
const HEAD_ROOM: usize = 4;
const FIN: u8 = 0x80;
/// Head and body where the length is in the head's second byte.
const SHORT_FRAME_BYTES_MAX: usize = 2 + 125;

/// Makes room for a frame's head at the end of `out`; the body is to be appended behind it.
///
/// Returns where the frame starts, for [`seal`].
pub fn open(out: &mut Vec<u8>) -> usize {
    let start = out.len();
    out.extend_from_slice(&[0; HEAD_ROOM]);
    start
}

/// Writes the head of the frame that [`open`] began at `start`, final and unmasked.
///
/// RFC 6455 5.2: the length has to be in its shortest form, so a short body moves two bytes
/// down and one over 64 KiB six bytes up. Returns by how many bytes the body moved.
pub fn seal(out: &mut Vec<u8>, start: usize, opcode: u8) -> isize {
    let body = start + HEAD_ROOM;
    let len = out.len() - body;
    if len < 126 {
        out.copy_within(body.., start + 2);
        out.truncate(out.len() - 2);
        out[start] = FIN | opcode;
        out[start + 1] = len as u8;
        -2
    } else if let Ok(len) = u16::try_from(len) {
        out[start] = FIN | opcode;
        out[start + 1] = 126;
        out[start + 2..body].copy_from_slice(&len.to_be_bytes());
        0
    } else {
        out.extend_from_slice(&[0; 6]);
        out.copy_within(body..body + len, body + 6);
        out[start] = FIN | opcode;
        out[start + 1] = 127;
        out[start + 2..start + 10].copy_from_slice(&(len as u64).to_be_bytes());
        6
    }
}

/// Appends a whole frame whose payload is there already.
#[inline(always)]
pub fn frame(out: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    // Each length form is written with its own constant length. Head and body of a short one are put together first: to
    // append twice takes longer.
    let mut short = [0; SHORT_FRAME_BYTES_MAX];
    if let Some(body) = short.get_mut(2..2 + payload.len()) {
        body.copy_from_slice(payload);
        short[0] = FIN | opcode;
        short[1] = payload.len() as u8;
        if let Some(frame) = short.get(..2 + payload.len()) {
            out.extend_from_slice(frame);
        }
        return;
    }
    out.reserve(SERVER_HEAD_BYTES_MAX + payload.len());
    if let Ok(len) = u16::try_from(payload.len()) {
        let [high, low] = len.to_be_bytes();
        out.extend_from_slice(&[FIN | opcode, 126, high, low]);
    } else {
        out.extend_from_slice(&[FIN | opcode, 127]);
        out.extend_from_slice(&(payload.len() as u64).to_be_bytes());
    }
    out.extend_from_slice(payload);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_form_is_the_shortest() {
        for (len, head) in [(0, 2), (125, 2), (126, 4), (65_535, 4), (65_536, 10)] {
            let mut at_once = b"before".to_vec();
            frame(&mut at_once, 1, &vec![b'x'; len]);
            let mut out = b"before".to_vec();
            let start = open(&mut out);
            out.extend(std::iter::repeat_n(b'x', len));
            let moved = seal(&mut out, start, 1);
            assert!(out == at_once, "{len}");
            assert_eq!(out.len(), 6 + head + len, "{len}");
            assert_eq!(moved, head as isize - 4);
            assert_eq!(out[6], 0x81);
            assert!(out[6 + head..].iter().all(|&byte| byte == b'x'));
        }
    }
}
