//! What a message asks to be done with a node, as a call of the `nodes` tool.

use super::intent::{self, Intent, Reading};
use super::words::words;
use crate::agent::{Facts, ToolCall, ToolSpec};
use serde_json::{Value, json};

/// The tool that does it.
const TOOL: &str = "nodes";

/// What has to stand in a command for a shell to make sense of it.
const SHELL_MARKS: &[char] = &[
    '|', '&', ';', '<', '>', '$', '`', '*', '?', '"', '\'', '(', ')', '{', '}', '~', '#', '\\',
];

/// The call that a message asks for, if it asks for one and the tool is there. `seed` makes the
/// call's id.
pub(super) fn read(
    message: &str,
    facts: &Facts,
    tools: &[ToolSpec],
    seed: u64,
) -> Option<ToolCall> {
    tools.iter().find(|tool| tool.name == TOOL)?;
    let text = message.trim().trim_end_matches(['.', '!', '?']).trim_end();
    let text = without_politeness(text);
    let arguments = run(text)
        .or_else(|| notify(text))
        .or_else(|| photo(text))
        .or_else(|| describe(text))
        .or_else(|| locate(text, facts))
        .or_else(|| list(text))?;
    Some(ToolCall {
        id: format!("call_{seed:016x}").into(),
        name: TOOL.into(),
        arguments: arguments.to_string().into(),
    })
}

/// "run uptime on build-box", "on build-box run uptime".
fn run(text: &str) -> Option<Value> {
    let (command, node) = match after(text, &["run", "execute", "exec"]) {
        Some(rest) => split_last(rest, " on ")?,
        None => {
            let rest = after(text, &["on"])?;
            let (node, rest) = rest.split_once(char::is_whitespace)?;
            let rest = rest.trim_start();
            let command = after(rest, &["run", "execute", "exec"])?;
            (command, node.trim_end_matches([',', ':']))
        }
    };
    let (command, node) = (unquoted(command), named(node)?);
    if command.is_empty() {
        return None;
    }
    Some(match command.contains(SHELL_MARKS) {
        true => json!({"action": "run", "node": node, "shell": command}),
        false => {
            let words: Vec<&str> = command.split_whitespace().collect();
            json!({"action": "run", "node": node, "command": words})
        }
    })
}

/// "notify laptop: tea is ready", "tell laptop that tea is ready".
fn notify(text: &str) -> Option<Value> {
    let rest = after(text, &["notify"])
        .or_else(|| after(text, &["send a notification to", "notification to"]))?;
    // Whichever comes first: what is said may hold the other one.
    let parts = [rest.split_once(':'), split_word(rest, " that ")];
    let parts = parts.into_iter().flatten();
    let (node, body) = parts.min_by_key(|(node, _)| node.len())?;
    let body = unquoted(body);
    let node = named(node)?;
    (!body.is_empty()).then(|| json!({"action": "notify", "node": node, "body": body}))
}

/// "take a photo with kitchen", "take a selfie with phone".
fn photo(text: &str) -> Option<Value> {
    const PHOTOS: &[&str] = &["photo", "picture", "snapshot", "selfie"];
    let said = words(text);
    let verb = said.first()?;
    let takes = ["take", "snap", "make", "shoot", "get"].contains(&verb.as_str());
    let what = said.iter().find(|word| PHOTOS.contains(&word.as_str()))?;
    if !takes {
        return None;
    }
    let places = [" with ", " using ", " from ", " on ", " by "];
    let (before, node) = places.iter().find_map(|place| split_last(text, place))?;
    let is_front = what == "selfie" || words(before).iter().any(|word| word == "front");
    let facing = if is_front { "front" } else { "back" };
    Some(json!({"action": "camera_snap", "node": named(node)?, "facing": facing}))
}

/// "describe build-box", "what can build-box do".
fn describe(text: &str) -> Option<Value> {
    let node = match after(text, &["describe node", "describe the node", "describe"]) {
        Some(node) => node,
        None => {
            let rest = after(text, &["what can"])?;
            rest.strip_suffix(" do")
                .filter(|node| *node != "you" && *node != "i")?
        }
    };
    Some(json!({"action": "describe", "node": named(node)?}))
}

/// "where is phone", "locate my phone". Where the gateway itself has something to answer, it is
/// not a node that is meant, unless one is called so.
fn locate(text: &str, facts: &Facts) -> Option<Value> {
    let (rest, is_sure) = match after(text, &["locate", "find"]) {
        Some(rest) => (rest, true),
        None => (after(text, &["where is", "where's", "wheres"])?, false),
    };
    let node = named(rest)?;
    let is_called_so = |name: &str| name.eq_ignore_ascii_case(node);
    let is_node = facts
        .nodes
        .shown
        .iter()
        .any(|peer| is_called_so(&peer.name))
        || facts
            .devices
            .shown
            .iter()
            .any(|device| is_called_so(&device.name));
    let is_ours = || !matches!(intent::read(text), Reading::Unknown);
    (is_node || (is_sure || !is_ours()) && !node.contains(' '))
        .then(|| json!({"action": "location_get", "node": node}))
}

/// "which nodes are online".
fn list(text: &str) -> Option<Value> {
    let asked = matches!(intent::read(text), Reading::Answer(all) if all == [Intent::Nodes]);
    asked.then(|| json!({"action": "list"}))
}

/// What stands behind one of these beginnings, whatever their case.
fn after<'a>(text: &'a str, beginnings: &[&str]) -> Option<&'a str> {
    beginnings.iter().find_map(|beginning| {
        let head = text.get(..beginning.len())?;
        let rest = &text[beginning.len()..];
        (head.eq_ignore_ascii_case(beginning) && rest.starts_with(char::is_whitespace))
            .then(|| rest.trim_start())
    })
}

/// Cut at the last `word`, which has blanks around it, whatever its case.
fn split_last<'a>(text: &'a str, word: &str) -> Option<(&'a str, &'a str)> {
    let at = text.to_ascii_lowercase().rfind(word)?;
    Some((&text[..at], &text[at + word.len()..]))
}

/// The same at the first one.
fn split_word<'a>(text: &'a str, word: &str) -> Option<(&'a str, &'a str)> {
    let at = text.to_ascii_lowercase().find(word)?;
    Some((&text[..at], &text[at + word.len()..]))
}

fn without_politeness(text: &str) -> &str {
    let mut rest = text;
    while let Some(shorter) = after(
        rest,
        &[
            "please",
            "can you",
            "could you",
            "would you",
            "will you",
            "just",
        ],
    ) {
        rest = shorter;
    }
    split_last(rest, " please")
        .filter(|(_, end)| end.is_empty())
        .map_or(rest, |(rest, _)| rest.trim_end_matches(','))
}

/// A node's name out of "my phone" or "the node build-box".
fn named(text: &str) -> Option<&str> {
    let mut name = unquoted(text);
    while let Some(rest) = after(name, &["my", "the", "node"]) {
        name = rest;
    }
    (!name.is_empty()).then_some(name)
}

fn unquoted(text: &str) -> &str {
    let text = text.trim();
    ['"', '\'', '`']
        .iter()
        .find_map(|mark| text.strip_prefix(*mark)?.strip_suffix(*mark))
        .filter(|inner| !inner.contains(['"', '\'', '`']))
        .unwrap_or(text)
        .trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(message: &str) -> Option<Value> {
        let tools = [ToolSpec {
            name: TOOL.into(),
            description: "".into(),
            schema: "{}".into(),
        }];
        let call = read(message, &Facts::default(), &tools, 7)?;
        assert_eq!(&*call.id, "call_0000000000000007");
        serde_json::from_str(&call.arguments).ok()
    }

    #[test]
    fn what_is_to_be_done_is_read_from_plain_words() {
        let run =
            |node: &str, words: &[&str]| json!({"action": "run", "node": node, "command": words});
        for (message, expected) in [
            ("run uptime on build-box", run("build-box", &["uptime"])),
            (
                "Please run `df -h /` on the node build-box.",
                run("build-box", &["df", "-h", "/"]),
            ),
            (
                "on build-box, run uname -a",
                run("build-box", &["uname", "-a"]),
            ),
            (
                "could you execute ls | wc -l on 10.0.0.7?",
                json!({"action": "run", "node": "10.0.0.7", "shell": "ls | wc -l"}),
            ),
            (
                "run echo on on build-box",
                run("build-box", &["echo", "on"]),
            ),
            ("which nodes are online?", json!({"action": "list"})),
            ("list the nodes", json!({"action": "list"})),
            (
                "take a photo with kitchen",
                json!({"action": "camera_snap", "node": "kitchen", "facing": "back"}),
            ),
            (
                "Take a selfie with my phone, please",
                json!({"action": "camera_snap", "node": "phone", "facing": "front"}),
            ),
            (
                "where is phone?",
                json!({"action": "location_get", "node": "phone"}),
            ),
            (
                "Where's my iPhone",
                json!({"action": "location_get", "node": "iPhone"}),
            ),
            (
                "notify laptop: tea is ready",
                json!({"action": "notify", "node": "laptop", "body": "tea is ready"}),
            ),
            (
                "notify my laptop that tea: it is ready",
                json!({"action": "notify", "node": "laptop", "body": "tea: it is ready"}),
            ),
            (
                "describe build-box",
                json!({"action": "describe", "node": "build-box"}),
            ),
            (
                "what can build-box do?",
                json!({"action": "describe", "node": "build-box"}),
            ),
        ] {
            assert_eq!(arguments(message), Some(expected), "{message}");
        }
    }

    #[test]
    fn what_is_asked_of_the_gateway_is_left_to_it() {
        for message in [
            "where is the config file",
            "where are the logs",
            "what can you do",
            "who is connected?",
            "is a run active on this session",
            "status",
            "run",
            "run uptime",
            "notify",
            "take a photo",
            "how do I approve a device",
            "",
        ] {
            assert_eq!(arguments(message), None, "{message}");
        }
        assert_eq!(read("run x on y", &Facts::default(), &[], 0), None);
    }
}
