use super::*;

#[test]
fn a_fraction_is_written_so_that_it_reads_the_same_and_never_at_length() {
    for number in [
        0.0,
        0.1,
        -2.5,
        1e15,
        1e300,
        f64::MAX,
        f64::MIN_POSITIVE,
        5e-324,
        -1e-9,
    ] {
        let mut out = Vec::new();
        Writer::new(&mut out).f64(number);
        let text = std::str::from_utf8(&out).unwrap();
        assert_eq!(text.parse::<f64>().unwrap(), number, "{text}");
        assert!(text.len() < 32, "{text}");
    }
    let mut out = Vec::new();
    Writer::new(&mut out).f64(f64::INFINITY);
    assert_eq!(out, b"null");
}

#[test]
fn commas_come_by_themselves() {
    let mut out = b"head".to_vec();
    let mut w = Writer::new(&mut out);
    w.object(|w| {
        w.field_str("a", "x\"\\\n\u{1}é");
        w.field_u64("b", 12);
        w.key("c");
        w.array(|w| {
            w.i64(-3);
            w.bool(true);
            w.null();
            w.object(|_| {});
        });
        w.field_opt_str("absent", None);
    });
    assert_eq!(
        std::str::from_utf8(&out[4..]).unwrap(),
        r#"{"a":"x\"\\\n\u0001é","b":12,"c":[-3,true,null,{}]}"#
    );
}

#[test]
fn a_place_is_filled_from_the_right() {
    let mut out = Vec::new();
    let mut w = Writer::new(&mut out);
    let mut at = 0;
    w.object(|w| {
        w.key("seq");
        at = w.place();
    });
    fill_place(out[at..].first_chunk_mut().unwrap(), 40);
    fill_place(out[at..].first_chunk_mut().unwrap(), 7);
    let value: serde_json::Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(value["seq"], 7);
}

#[test]
fn a_view_reads_what_was_sent() {
    let mut text = br#"{"a":[1,{"b":"c"},2.0],"d":null,"e":-1,"f":false}"#.to_vec();
    let tape = simd_json::to_tape(&mut text).unwrap();
    let json = Json::from_tape(&tape.0).unwrap();
    let items: Vec<_> = json.get("a").unwrap().elements().collect();
    assert_eq!(items[0].as_u64(), Some(1));
    assert_eq!(items[1].get("b").unwrap().as_str(), Some("c"));
    assert_eq!(items[2].as_u64(), Some(2));
    assert!(json.get("d").unwrap().is_null());
    assert_eq!(json.get("e").unwrap().as_u64(), None);
    assert_eq!(json.get("f").unwrap().as_bool(), Some(false));
    assert!(json.get("x").is_none());
    assert_eq!(
        json.to_value().to_string(),
        r#"{"a":[1,{"b":"c"},2],"d":null,"e":-1,"f":false}"#
    );
}

#[test]
fn a_string_is_escaped_wherever_in_it_something_has_to_be() {
    let odd: Vec<char> = (0..=0x9f).map(char::from).chain(['é', '€', '𝄞']).collect();
    for len in 0..20 {
        for at in 0..=len {
            for odd in &odd {
                let text: String =
                    [&"a".repeat(at), &*odd.to_string(), &"z".repeat(len - at)].concat();
                let mut out = Vec::new();
                Writer::new(&mut out).str(&text);
                let plain_len = out.len() - text.len() - 2;
                let is_escaped = *odd < ' ' || matches!(odd, '"' | '\\');
                assert_eq!(plain_len > 0, is_escaped, "{text:?}");
                assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
            }
        }
    }
}
