//! Texts and close frames: UTF-8 noticed at its first bad byte, codes that may not travel refused.

mod wire_support;

use clawdia::wire::frame::Opcode::{Close, Continuation, Text};
use clawdia::wire::message::MessageLimits;
use wire_support::{LIMITS, Said, Talk, fragment, frame, hear, text};

const BAD_TEXT: Said = Said::Fail(1007);

const GOOD: [&str; 6] = [
    "",
    "Hello-µ@ßöäüàá-UTF-8!!",
    "κόσμε",
    "\u{10ffff}",
    "\u{d7ff}\u{e000}",
    "\0",
];

const BAD: [&[u8]; 12] = [
    b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited",
    b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xf4\x90\x80\x80edited",
    b"\x80",
    b"\xbf\xbf",
    b"\xc0\xaf",
    b"\xe0\x80\xaf",
    b"\xf0\x80\x80\xaf",
    b"\xf8\x88\x80\x80\x80",
    b"\xfe",
    b"\xff\xff",
    b"\xed\xbf\xbf",
    b"\xed\xa0\x80\xed\xb0\x80",
];

/// Cut short, so bad only where they end.
const UNFINISHED: [&[u8]; 4] = [b"\xc3", b"\xe1\xbd", b"\xf0\x9d\x84", b"ok\xf0"];

#[test]
fn good_texts_arrive_whole_cut_and_in_fragments_of_one_byte() {
    for good in GOOD {
        assert_eq!(hear(&frame(Text, good.as_bytes())), [text(good)]);
        for cut in 1..8 {
            let said = Talk::new(LIMITS).feed_cut(&frame(Text, good.as_bytes()), cut);
            assert_eq!(said, [text(good)]);
        }
        let mut bytes = fragment(Text, b"");
        for byte in good.bytes() {
            bytes.extend(fragment(Continuation, &[byte]));
        }
        bytes.extend(frame(Continuation, b""));
        assert_eq!(hear(&bytes), [text(good)]);
    }
}

#[test]
fn bad_texts_are_refused_whole_cut_and_in_fragments() {
    for bad in BAD.into_iter().chain(UNFINISHED) {
        assert_eq!(hear(&frame(Text, bad)), [BAD_TEXT], "{bad:x?}");
        for cut in 1..8 {
            let said = Talk::new(LIMITS).feed_cut(&frame(Text, bad), cut);
            assert_eq!(said, [BAD_TEXT], "{bad:x?}");
        }
        let halves = [
            fragment(Text, &bad[..bad.len() / 2]),
            frame(Continuation, &bad[bad.len() / 2..]),
        ];
        assert_eq!(hear(&halves.concat()), [BAD_TEXT], "{bad:x?}");
    }
}

#[test]
fn the_first_bad_byte_ends_the_connection_though_the_frame_goes_on() {
    for bad in BAD {
        let mut payload = bad.to_vec();
        payload.extend([b'x'; 40]);
        let whole = frame(Text, &payload);
        let mut talk = Talk::new(LIMITS);
        // Everything but the last 40 bytes.
        assert_eq!(
            talk.feed(&whole[..whole.len() - 40]),
            [BAD_TEXT],
            "{bad:x?}"
        );
    }
}

#[test]
fn an_unchecked_text_is_left_to_its_reader_only_where_it_came_whole() {
    let limits = MessageLimits {
        checks_whole_text: false,
        ..LIMITS
    };
    assert_eq!(
        Talk::new(limits).feed(&frame(Text, b"\xff")),
        [text(b"\xff")]
    );
    assert_eq!(
        Talk::new(limits).feed_cut(&frame(Text, b"\xff\xff"), 7),
        [BAD_TEXT]
    );
    let fragments = [fragment(Text, b"\xff"), frame(Continuation, b"")].concat();
    assert_eq!(Talk::new(limits).feed(&fragments), [BAD_TEXT]);
}

#[test]
fn close_frames_give_their_code() {
    assert_eq!(hear(&frame(Close, b"")), [Said::Close(1005)]);
    assert_eq!(hear(&frame(Close, b"\x03\xe8")), [Said::Close(1000)]);
    let mut longest = b"\x03\xe8".to_vec();
    longest.extend([b'*'; 123]);
    assert_eq!(hear(&frame(Close, &longest)), [Said::Close(1000)]);
    for code in [
        1001_u16, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999,
    ] {
        assert_eq!(
            hear(&frame(Close, &code.to_be_bytes())),
            [Said::Close(code)]
        );
    }
}

#[test]
fn close_frames_that_no_endpoint_may_send_are_refused() {
    assert_eq!(hear(&frame(Close, b"\x03")), [Said::Fail(1002)]);
    for code in [
        0_u16, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535,
    ] {
        assert_eq!(
            hear(&frame(Close, &code.to_be_bytes())),
            [Said::Fail(1002)],
            "{code}"
        );
    }
    assert_eq!(hear(&frame(Close, b"\x03\xe8\xce\xba\xe1")), [BAD_TEXT]);
}

#[test]
fn a_close_inside_a_fragmented_message_is_a_close() {
    let bytes = [fragment(Text, b"half"), frame(Close, b"\x03\xe8")].concat();
    assert_eq!(hear(&bytes), [Said::Close(1000)]);
}
