use super::super::select::{self, parse_path};
use super::super::syntax::{Content, Node, parse_any};
use super::super::testing::Random;
use super::rewrite;
use serde_json::{Map, Value, json};

fn edited(text: &str, change: impl FnOnce(&mut Value)) -> String {
    let tree = parse_any(text).expect(text);
    let mut value = tree.root.to_value();
    change(&mut value);
    let out = rewrite(text, &tree, &value);
    let read = parse_any(&out).unwrap_or_else(|e| panic!("{e}\n{text}\n->\n{out}"));
    assert_eq!(read.root.to_value(), value, "{text}\n->\n{out}");
    out
}

fn set(text: &str, path: &str, new: Value) -> String {
    edited(text, |v| {
        select::set(v, &parse_path(path).unwrap(), new).unwrap()
    })
}

fn unset(text: &str, path: &str) -> String {
    edited(text, |v| {
        assert!(select::unset(v, &parse_path(path).unwrap()))
    })
}

#[test]
fn nothing_changes_where_nothing_is_to_change() {
    let text = "// a\n{ a: 1, /* b */ 'c': [1,2,], }\n// d\n";
    assert_eq!(edited(text, |_| {}), text);
}

#[test]
fn a_value_is_replaced_in_its_place() {
    let text = "{\n  // why\n  port: 1, // here\n  'b': [1, 2],\n}\n";
    assert_eq!(
        set(text, "port", json!(2)),
        text.replace("1, // here", "2, // here")
    );
    assert_eq!(
        set(text, "b[1]", json!("x")),
        text.replace("[1, 2]", "[1, \"x\"]")
    );
}

#[test]
fn an_entry_is_added_in_the_manner_of_its_neighbours() {
    assert_eq!(
        set("{}", "a.b", json!(1)),
        "{\n  \"a\": {\n    \"b\": 1\n  }\n}"
    );
    assert_eq!(set("{ a: 1 }", "b", json!(2)), "{ a: 1, b: 2 }");
    assert_eq!(set("{a: 1,}", "b", json!(2)), "{a: 1, b: 2,}");
    assert_eq!(
        set("{\n\t\"a\": 1\n}\n", "b", json!(2)),
        "{\n\t\"a\": 1,\n\t\"b\": 2\n}\n"
    );
    assert_eq!(
        set("{\n  a: 1, // one\n}\n", "b", json!(2)),
        "{\n  a: 1, // one\n  b: 2,\n}\n"
    );
    assert_eq!(
        set("{\n  a: 1 // one\n}\n", "b", json!(2)),
        "{\n  a: 1, // one\n  b: 2\n}\n"
    );
    assert_eq!(
        set("{\n  a: {},\n}\n", "a.x-y", json!(2)),
        "{\n  a: {\n    \"x-y\": 2\n  },\n}\n"
    );
    assert_eq!(
        set("{\r\n  a: 1\r\n}\r\n", "b", json!(2)),
        "{\r\n  a: 1,\r\n  b: 2\r\n}\r\n"
    );
    assert_eq!(set("{ l: [1] }", "l[1]", json!(2)), "{ l: [1, 2] }");
}

#[test]
fn an_entry_goes_with_its_line_and_leaves_comments_behind() {
    assert_eq!(unset("{ a: 1, b: 2 }", "a"), "{ b: 2 }");
    assert_eq!(unset("{ a: 1, b: 2 }", "b"), "{ a: 1 }");
    assert_eq!(unset("{\n  a: 1,\n  b: 2\n}", "b"), "{\n  a: 1\n}");
    assert_eq!(unset("{\n  a: 1,\n  b: 2,\n}", "b"), "{\n  a: 1,\n}");
    assert_eq!(
        unset("{\n  // one\n  a: 1, // two\n  b: 2\n}", "a"),
        "{\n  // one\n  // two\n  b: 2\n}"
    );
    assert_eq!(
        unset("{\n  l: [\n    1, // x\n    2, // y\n  ]\n}", "l[0]"),
        "{\n  l: [\n    // x\n    2, // y\n  ]\n}"
    );
}

#[test]
fn comments_inside_what_is_partly_replaced_survive() {
    let text = "{\n  a: { // in a\n    b: 1, // in b\n  },\n}\n";
    let out = edited(text, |v| v["a"] = json!({"c": 2, "b": 3}));
    assert_eq!(
        out,
        "{\n  a: { // in a\n    b: 3, // in b\n    c: 2,\n  },\n}\n"
    );
}

#[test]
fn lists_keep_what_stays_in_front_and_behind() {
    let text = "{ l: [1, /* two */ 2, /* three */ 3] }";
    assert_eq!(
        edited(text, |v| v["l"] = json!([1, 9, 2, 3])),
        "{ l: [1, /* two */ 9, 2, /* three */ 3] }"
    );
    assert_eq!(
        edited(text, |v| v["l"] = json!([2, 3])),
        "{ l: [/* two */ 2, /* three */ 3] }"
    );
}

/// Any document, any change: the text means what it should, and every comment outside of what
/// was replaced or taken away is still there, in order.
#[test]
fn any_change_means_what_it_should_and_keeps_comments() {
    for seed in 0..20_000 {
        let mut random = Random::new(seed);
        let mut text = String::new();
        write_value(&mut random, &mut text, 0, true);
        let tree = parse_any(&text).unwrap_or_else(|e| panic!("{e}: {text}"));
        let old = tree.root.to_value();
        let mut new = old.clone();
        for _ in 0..1 + random.below(3) {
            change(&mut random, &mut new, 0);
        }
        let out = edited(&text, |v| *v = new.clone());
        let kept = parse_any(&out).unwrap();
        let now: Vec<&str> = kept.comments.iter().map(|c| &out[c.clone()]).collect();
        let mut must_stay = tree.comments.clone();
        drop_lost(&tree.root, &new, &mut must_stay);
        let mut now_at = now.iter();
        for comment in must_stay {
            let comment = &text[comment];
            assert!(
                now_at.any(|c| *c == comment),
                "{comment} lost, seed {seed}\n{text}\n->\n{out}"
            );
        }
    }
}

/// Removes the comments that stand inside of values that the new document has no counterpart
/// for. In a list any element may be taken for another, so all within count as lost there.
fn drop_lost(node: &Node, new: &Value, comments: &mut Vec<std::ops::Range<usize>>) {
    let mut lose = |node: &Node| {
        comments.retain(|c| !(node.span.start < c.start && c.end < node.span.end));
    };
    match (&node.content, new) {
        (Content::Object(items), Value::Object(map)) => {
            for item in items {
                match map.get(&item.key) {
                    Some(value) => drop_lost(&item.value, value, comments),
                    None => {
                        comments.retain(|c| !(item.span.start < c.start && c.end < item.span.end))
                    }
                }
            }
        }
        (Content::Array(items), Value::Array(_)) => {
            for item in items {
                lose(&item.value);
            }
        }
        _ => lose(node),
    }
}

fn change(random: &mut Random, value: &mut Value, depth: usize) {
    match value {
        Value::Object(map) if depth == 0 || random.below(4) > 0 => match random.below(4) {
            0 => {
                map.insert(format!("n{}", random.below(3)), fresh(random));
            }
            1 if !map.is_empty() => {
                let index = random.below(map.len());
                if let Some(key) = map.keys().nth(index).cloned() {
                    map.shift_remove(&key);
                }
            }
            _ if !map.is_empty() => {
                let index = random.below(map.len());
                if let Some((_, child)) = map.iter_mut().nth(index) {
                    change(random, child, depth + 1);
                }
            }
            _ => {}
        },
        Value::Array(list) if random.below(4) > 0 => match random.below(4) {
            0 => {
                let index = random.below(list.len() + 1);
                list.insert(index, fresh(random));
            }
            1 if !list.is_empty() => {
                let index = random.below(list.len());
                list.remove(index);
            }
            _ if !list.is_empty() => {
                let index = random.below(list.len());
                change(random, &mut list[index], depth + 1);
            }
            _ => {}
        },
        other => *other = fresh(random),
    }
}

fn fresh(random: &mut Random) -> Value {
    match random.below(6) {
        0 => json!({}),
        1 => json!({"x": 1, "y z": [1, {"a": null}]}),
        2 => json!([]),
        3 => json!([1, [2, "three"]]),
        4 => json!("a \"text\"\n"),
        _ => json!(random.below(100)),
    }
}

fn write_value(random: &mut Random, out: &mut String, depth: usize, root: bool) {
    let container = depth < 4 && (root || random.below(2) == 0);
    if !container {
        let scalars = ["1", "'t'", "\"u\"", "null", "true", "0x10", "-.5"];
        out.push_str(scalars[random.below(scalars.len())]);
        return;
    }
    let object = root || random.below(3) > 0;
    out.push(if object { '{' } else { '[' });
    let count = random.below(4);
    let mut names = Map::new();
    for i in 0..count {
        trivia(random, out);
        if object {
            let name = format!("k{}", random.below(6));
            if names.insert(name.clone(), Value::Null).is_some() {
                continue;
            }
            let quote = ["", "'", "\""][random.below(3)];
            out.push_str(&format!("{quote}{name}{quote}"));
            trivia(random, out);
            out.push(':');
            trivia(random, out);
        }
        write_value(random, out, depth + 1, false);
        trivia(random, out);
        if i + 1 < count || random.below(2) == 0 {
            out.push(',');
        }
    }
    trivia(random, out);
    out.push(if object { '}' } else { ']' });
}

fn trivia(random: &mut Random, out: &mut String) {
    for _ in 0..random.below(3) {
        let n = random.below(1000);
        match random.below(7) {
            0 => out.push_str(&format!("// c{n}\n")),
            1 => out.push_str(&format!("/* c{n} */")),
            2 => out.push_str(&format!("/* c{n}\n more */")),
            3 => out.push_str("\n  "),
            4 => out.push('\n'),
            _ => out.push(' '),
        }
    }
}
