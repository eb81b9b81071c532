use super::*;
use serde_json::json;

fn fault(text: &str) -> String {
    parse_any(text).unwrap_err().to_string()
}

#[test]
fn every_kind_of_token_reads_as_the_json5_crate_reads_it() {
    let texts = [
        "{}",
        "[]",
        "{a:1}",
        "{'a':\"b\",}",
        "[1,2,3,]",
        "// c\n{ /* d */ a: +1, 'b c': -0x1F, c: .5, d: 5., e: 1e3 } // end",
        "{a: 'line\\\r\ncontinued'}",
        "{a: 'it\\'s', b: 'line\\\ncontinued', c: \"\\u0041\\x42\\0\"}",
        "{$: null, _x: true, \\u0061b: false, ümlaut: 1}",
        "\u{feff}{\u{a0}a\u{2028}:\u{2003}1}",
        "[[[]],{a:{b:[{}]}}]",
        "{\"__proto__\": 1}",
        "'text'",
        "-12",
    ];
    for text in texts {
        let expected: Value = json5::from_str(text).expect(text);
        assert_eq!(
            parse_any(text).expect(text).root.to_value(),
            expected,
            "{text}"
        );
    }
}

#[test]
fn what_is_not_json5_is_refused_with_its_place() {
    assert_eq!(
        fault("{\n  a 1\n}"),
        "the file (line 2, column 5): has '1' in a wrong place; put a colon between key and value"
    );
    assert_eq!(
        fault("{a: 1 b: 2}"),
        "the file (line 1, column 7): has 'b' in a wrong place; put a comma between two entries"
    );
    for (text, place, before, end) in [
        ("{a: {b: 1}", "line 1, column 1", "", "}"),
        (
            "{a: 1,\n b: [1, {c: 2}}",
            "line 2, column 5",
            " before a '}' that is not its own",
            "]",
        ),
        (
            "{a: {b: 1]}}",
            "line 1, column 5",
            " before a ']' that is not its own",
            "}",
        ),
        ("{a: {b: 1,", "line 1, column 5", "", "}"),
    ] {
        let told =
            format!("the file ({place}): has no end to what begins here{before}; add its {end}");
        assert_eq!(fault(text), told);
    }
    for text in [
        "",
        "{",
        "[1",
        "{a:}",
        "{a:1,,}",
        "[,]",
        "{a:1}}",
        "nope",
        "'open",
        "{a:'x\ny'}",
        "/* open",
        "{1a:1}",
        "{a:Infinity}",
        "{a:NaN}",
        "{a:1.2.3}",
        "{a:--1}",
        "{a:undefined}",
        "{:1}",
        "{a:1} x",
        "{a-b:1}",
        "{a:'\\u12'}",
    ] {
        assert!(parse_any(text).is_err(), "{text}");
    }
}

#[test]
fn a_key_given_twice_is_refused() {
    assert!(fault("{a: 1,\n a: 2}").contains("(line 2, column 2): has the key \"a\" twice"));
    assert!(fault("{a: 1, 'a': 2}").contains("twice"));
}

#[test]
fn deep_nesting_is_refused_and_harms_nothing() {
    assert!(fault(&"[".repeat(500_000)).contains("too deep"));
    assert!(fault(&"{a:".repeat(500_000)).contains("too deep"));
}

/// Threads that read the configuration have small stacks.
#[test]
fn the_deepest_document_fits_a_small_stack() {
    let deepest = format!(
        "{}{}",
        "{a:".repeat(JSON_DEPTH_MAX),
        "{}".to_owned() + &"}".repeat(JSON_DEPTH_MAX)
    );
    let read = move || {
        let document = crate::config::Document::new("", deepest);
        document.load(&|_| None).map(|loaded| loaded.warnings.len())
    };
    let thread = std::thread::Builder::new()
        .stack_size(256 * 1024)
        .spawn(read);
    assert_eq!(thread.unwrap().join().unwrap(), Ok(1));
}

#[test]
fn more_entries_than_anybody_writes_are_refused() {
    let text = format!("[{}]", "1,".repeat(CONFIG_ENTRIES_MAX + 1));
    assert!(fault(&text).contains("entries in one place"));
    assert!(parse_any(&format!("[{}]", "1,".repeat(CONFIG_ENTRIES_MAX))).is_ok());
}

#[test]
fn a_root_must_be_an_object() {
    assert!(
        parse("[]")
            .unwrap_err()
            .to_string()
            .contains("is not an object")
    );
}

#[test]
fn parts_know_where_they_stand() {
    let text = "{ a: [10, 'x'], /* c */ b: 2 }";
    let tree = parse(text).unwrap();
    assert_eq!(
        &text[tree.root.find(["a", "1"]).unwrap().span.clone()],
        "'x'"
    );
    assert_eq!(&text[tree.root.child("b").unwrap().span.clone()], "b: 2");
    assert_eq!(tree.root.child("a").unwrap().comma, Some(14));
    assert_eq!(&text[tree.comments[0].clone()], "/* c */");
    assert_eq!(tree.root.to_value(), json!({"a": [10, "x"], "b": 2}));
}

/// Texts made of JSON5's own pieces in any order: both readers accept the same ones.
#[test]
fn any_text_reads_as_the_json5_crate_reads_it() {
    let pieces = [
        "{", "}", "[", "]", ",", ":", "a", "b1", "'s'", "\"t\"", "1", "-2.5", "0x1f", "true",
        "null", " ", "\n", "// c\n", "/* d */", "\\", "é", "+", "Infinity", "'", "\u{85}",
        "\u{2028}",
    ];
    let mut random = crate::config::testing::Random::new(7);
    let mut accepted = 0;
    for _ in 0..200_000 {
        let text: String = (0..1 + random.below(9))
            .map(|_| pieces[random.below(pieces.len())])
            .collect();
        let ours = parse_any(&text).map(|t| t.root.to_value());
        let theirs = json5::from_str::<Value>(&text);
        let strict =
            text.contains("Infinity") || ours.as_ref().is_err_and(|f| f.what.contains("twice"));
        match (&ours, &theirs) {
            (Ok(a), Ok(b)) => assert_eq!(a, b, "{text:?}"),
            (Err(_), Err(_)) => {}
            (Err(_), Ok(_)) => assert!(strict, "we refuse {text:?}: {ours:?}"),
            (Ok(_), Err(e)) => panic!("only we accept {text:?}: {e}"),
        }
        accepted += usize::from(ours.is_ok());
    }
    assert!(accepted > 1_000, "{accepted}");
}
