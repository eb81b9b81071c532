//! Frames, fragments, pings and limits: what the conformance suite tries, without sockets.
//!
//! Its groups: 1 lengths, 2 pings, 3 reserved bits, 4 opcodes, 5 fragments, 9 and 10 large messages.
//! Groups 6 (UTF-8) and 7 (closing) are in `wire_text`; `tools/conformance.sh` runs the suite itself.

mod wire_support;

use clawdia::limits::FRAGMENTS_MAX;
use clawdia::wire::frame::Opcode::{Binary, Continuation, Ping, Pong, Text};
use clawdia::wire::message::MessageLimits;
use wire_support::{LIMITS, Said, Talk, fragment, frame, hear, raw, text};

const PROTOCOL_ERROR: Said = Said::Fail(1002);

#[test]
fn messages_of_every_length_form_arrive_whole_however_they_are_cut() {
    for len in [
        0, 1, 16, 125, 126, 127, 128, 65_535, 65_536, 65_537, 300_000,
    ] {
        let payload = vec![b'*'; len];
        for cut in [1, 997, 30_000] {
            if cut == 1 && len > 70_000 {
                continue;
            }
            let mut talk = Talk::new(LIMITS);
            assert_eq!(
                talk.feed_cut(&frame(Text, &payload), cut),
                [text(&payload)],
                "{len}"
            );
            let said = talk.feed_cut(&frame(Binary, &payload), cut);
            assert_eq!(said, [Said::Binary(payload.clone())], "{len}");
        }
    }
}

#[test]
fn several_frames_of_one_read_are_several_messages() {
    let bytes = [
        frame(Text, b"one"),
        frame(Ping, b"p"),
        frame(Text, b"two"),
        frame(Pong, b""),
    ]
    .concat();
    assert_eq!(
        hear(&bytes),
        [
            text("one"),
            Said::Ping(b"p".to_vec()),
            text("two"),
            Said::Pong
        ]
    );
}

#[test]
fn pings_carry_up_to_125_bytes() {
    assert_eq!(hear(&frame(Ping, &[7; 125])), [Said::Ping(vec![7; 125])]);
    assert_eq!(hear(&raw(0x89, &[7; 126])), [PROTOCOL_ERROR]);
    assert_eq!(hear(&raw(0x8a, &[7; 126])), [PROTOCOL_ERROR]);
    assert_eq!(hear(&raw(0x88, &[7; 126])), [PROTOCOL_ERROR]);
}

#[test]
fn reserved_bits_are_refused_on_every_kind_of_frame() {
    for bits in 1..8 {
        for opcode in [0, 1, 2, 8, 9, 10] {
            assert_eq!(
                hear(&raw(0x80 | bits << 4 | opcode, b"x")),
                [PROTOCOL_ERROR]
            );
        }
    }
    let bytes = [
        frame(Text, b"before"),
        raw(0xc1, b"x"),
        frame(Text, b"after"),
    ]
    .concat();
    assert_eq!(hear(&bytes), [text("before"), PROTOCOL_ERROR]);
}

#[test]
fn reserved_opcodes_are_refused() {
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        assert_eq!(hear(&raw(0x80 | opcode, b"")), [PROTOCOL_ERROR], "{opcode}");
    }
}

#[test]
fn unmasked_frames_are_refused_before_their_payload() {
    assert_eq!(hear(&[0x81, 0x05]), [PROTOCOL_ERROR]);
}

#[test]
fn fragments_make_one_message_with_control_frames_between_them() {
    let bytes = [
        fragment(Text, b"one "),
        frame(Ping, b"now"),
        fragment(Continuation, b""),
        fragment(Continuation, b"two "),
        frame(Pong, b""),
        frame(Continuation, b"three"),
        frame(Text, b"next"),
    ]
    .concat();
    let said = [
        Said::Ping(b"now".to_vec()),
        Said::Pong,
        text("one two three"),
        text("next"),
    ];
    for cut in 1..bytes.len() {
        assert_eq!(
            Talk::new(LIMITS).feed_cut(&bytes, cut),
            said,
            "cut every {cut}"
        );
    }
}

#[test]
fn large_messages_arrive_whole_in_fragments_of_any_size() {
    let limits = MessageLimits {
        bytes_max: 16 << 20,
        ..LIMITS
    };
    for (opcode, len, fragment_len) in [
        (Text, 64 << 10, 1_300),
        (Text, 256 << 10, 64),
        (Binary, 256 << 10, 64),
        (Text, 4 << 20, 64 << 10),
        (Binary, 16 << 20, 1 << 20),
        (Binary, 16 << 20, 16 << 20),
    ] {
        let payload = b"0123456789abcdef".repeat(len / 16);
        let last = payload.len().div_ceil(fragment_len) - 1;
        let mut talk = Talk::new(limits);
        let mut said = Vec::new();
        for (at, part) in payload.chunks(fragment_len).enumerate() {
            let opcode = if at == 0 { opcode } else { Continuation };
            let bytes = match at == last {
                true => frame(opcode, part),
                false => fragment(opcode, part),
            };
            said.extend(talk.feed_cut(&bytes, 30_011));
        }
        let whole = match opcode {
            Text => Said::Text(payload),
            _ => Said::Binary(payload),
        };
        assert!(said == [whole], "{len} bytes by {fragment_len}");
    }
}

#[test]
fn control_frames_come_whole() {
    for opcode in [8, 9, 10] {
        assert_eq!(hear(&raw(opcode, b"ab")), [PROTOCOL_ERROR]);
    }
}

#[test]
fn a_continuation_needs_a_beginning_and_a_beginning_no_other() {
    assert_eq!(hear(&frame(Continuation, b"x")), [PROTOCOL_ERROR]);
    assert_eq!(hear(&fragment(Continuation, b"x")), [PROTOCOL_ERROR]);
    let after_a_whole = [frame(Text, b"a"), frame(Continuation, b"x")].concat();
    assert_eq!(hear(&after_a_whole), [text("a"), PROTOCOL_ERROR]);
    for second in [Text, Binary] {
        let inside = [fragment(Text, b"a"), frame(second, b"b")].concat();
        assert_eq!(hear(&inside), [PROTOCOL_ERROR]);
    }
}

#[test]
fn a_length_over_the_limit_is_refused_by_its_head() {
    let mut head = vec![0x82, 0xff];
    head.extend((1_u64 << 62).to_be_bytes());
    head.extend([0; 4]);
    assert_eq!(hear(&head), [Said::Fail(1009)]);
    let small = MessageLimits {
        bytes_max: 10,
        ..LIMITS
    };
    assert_eq!(
        Talk::new(small).feed(&frame(Text, &[b'a'; 10])),
        [text([b'a'; 10])]
    );
    assert_eq!(
        Talk::new(small).feed(&frame(Text, &[b'a'; 11])),
        [Said::Fail(1009)]
    );
    let sum = [fragment(Text, &[b'a'; 6]), frame(Continuation, &[b'a'; 5])].concat();
    assert_eq!(Talk::new(small).feed(&sum), [Said::Fail(1009)]);
}

#[test]
fn endless_empty_fragments_are_cut_off() {
    let mut talk = Talk::new(LIMITS);
    assert_eq!(talk.feed(&fragment(Text, b"")), []);
    let thousand = fragment(Continuation, b"").repeat(1_000);
    let mut rounds = 0;
    while talk.feed(&thousand).is_empty() {
        rounds += 1;
        assert!(rounds <= FRAGMENTS_MAX / 1_000);
    }
    assert_eq!(rounds, FRAGMENTS_MAX / 1_000 - 1);
}

#[test]
fn binary_is_refused_where_only_text_is_taken() {
    let limits = MessageLimits {
        binary: false,
        ..LIMITS
    };
    assert_eq!(
        Talk::new(limits).feed(&frame(Binary, b"x")),
        [Said::Fail(1003)]
    );
    assert_eq!(
        Talk::new(limits).feed(&fragment(Binary, b"x")),
        [Said::Fail(1003)]
    );
    assert_eq!(Talk::new(limits).feed(&frame(Text, b"x")), [text("x")]);
}

#[test]
fn nothing_is_understood_after_a_fault() {
    let mut talk = Talk::new(LIMITS);
    assert_eq!(talk.feed(&raw(0xf1, b"")), [PROTOCOL_ERROR]);
    assert_eq!(talk.feed(&frame(Text, b"more")), []);
}
