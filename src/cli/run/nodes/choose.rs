//! Which node was typed, and what a refusal about it means.

use serde_json::{Value, json};

use super::super::super::exit::Failure;
use super::super::super::setup::Session;
use super::super::super::text::{ago, short_id};
use super::super::{joined, list, text, unix_ms};

/// As much of an id is shown at least, as elsewhere.
const START_CHARS: usize = 8;

/// A node as `node.list` shows it.
pub struct Node {
    pub id: String,
    /// Its name, or the start of its id.
    pub name: String,
    pub row: Value,
}

impl Node {
    pub fn new(row: &Value) -> Self {
        let id = text(row, "nodeId").to_owned();
        let name = match text(row, "displayName") {
            "" => short_id(&id).into_owned(),
            name => name.to_owned(),
        };
        Self {
            id,
            name,
            row: row.clone(),
        }
    }

    pub fn is_connected(&self) -> bool {
        self.row["connected"] == true
    }

    pub fn has_command(&self, command: &str) -> bool {
        list(&self.row, "commands").iter().any(|it| it == command)
    }

    /// # Errors
    ///
    /// It is away; says since when, and how it comes back.
    pub fn check_is_there(&self) -> Result<(), Failure> {
        if self.is_connected() {
            return Ok(());
        }
        let failure = Failure::failed(format!("{} is not connected", self.name));
        let failure = match self.row["lastConnectedAtMs"].as_u64() {
            Some(then) if then > 0 => failure.fact("seen", ago(unix_ms(), then)),
            _ => failure,
        };
        if self.row["revokedAtMs"].is_u64() {
            let told = failure.fact("token", "revoked: it has to be let in again");
            return Err(told.mend("clawdia devices pair   # and type there what it prints"));
        }
        Err(failure
            .mend_there("clawdia node run   # on that machine")
            .mend("clawdia nodes status"))
    }

    /// What a refused call of it means.
    pub fn explain(&self, command: &str, mut failure: Failure) -> Failure {
        let reason = text(&failure.details, "reason").to_owned();
        let code = text(&failure.details["nodeError"], "code").to_owned();
        let name = &self.name;
        // What a node cannot do is no matter of what it may do.
        if !reason.is_empty() && !self.has_command(command) {
            failure.message = format!("{name} has no command {command}");
            let has = joined(&self.row, "commands");
            return failure.fact("it has", if has.is_empty() { "none" } else { &has });
        }
        failure.message = match (reason.as_str(), code.as_str()) {
            ("command not allowlisted", _) => {
                format!(
                    "{name} may not be asked for {command}: the configuration does not allow it"
                )
            }
            (reason, _) if reason.contains("not approved") => {
                format!("{name} was paired without {command}")
            }
            (_, "TIMEOUT") => format!("{name} did not answer in time; it may still do it"),
            (_, "DISCONNECTED") => {
                format!("{name} went away before it answered; whether it did it is not known")
            }
            _ => return failure.fact("node", name.as_str()),
        };
        match (reason.as_str(), code.as_str()) {
            ("command not allowlisted", _) => failure.mend(format!(
                "clawdia config set gateway.nodes.allowCommands '[\"{command}\"]'"
            )),
            (reason, _) if reason.contains("not approved") => failure.mend("clawdia devices list"),
            (_, "TIMEOUT") => failure.mend("the same with --timeout 2m"),
            _ => failure.mend("clawdia nodes status"),
        }
    }
}

/// The node that was typed, by name, id, start of an id or IP address; of several, the only one
/// that is connected.
pub fn choose(typed: &str, session: &mut Session) -> Result<Node, Failure> {
    let payload = session.call("node.list", &json!({}))?;
    pick(typed, list(&payload, "nodes"))
}

/// The only node that is connected and has a command. `word` is what stands where a program does: one that is a node's
/// name was meant to say which.
pub fn only(command: &str, word: Option<&str>, session: &mut Session) -> Result<Node, Failure> {
    let payload = session.call("node.list", &json!({}))?;
    only_of(command, word, list(&payload, "nodes"))
}

fn only_of(command: &str, word: Option<&str>, rows: &[Value]) -> Result<Node, Failure> {
    let nodes: Vec<Node> = rows.iter().map(Node::new).collect();
    if let Some(word) = word
        && nodes
            .iter()
            .any(|node| is_called(&node.row, word) || node.id == word)
    {
        return Err(
            Failure::usage(format!("{word} is a node, and no program was named"))
                .mend(format!("clawdia nodes run --node {word} -- uptime")),
        );
    }
    let mut able: Vec<Node> = nodes
        .into_iter()
        .filter(|node| node.is_connected() && node.has_command(command))
        .collect();
    match able.len() {
        1 => Ok(able.remove(0)),
        0 => Err(
            Failure::failed(format!("no node is connected that has {command}"))
                .mend("clawdia nodes status")
                .mend_there("clawdia node run   # on the machine that is to be one"),
        ),
        _ => {
            let names = told_apart(&able);
            let names: Vec<&str> = names
                .iter()
                .map(|(name, start)| start.as_deref().unwrap_or(name))
                .collect();
            let which = format!("which node? --node {}", names.join(", --node "));
            Err(Failure::usage(which))
        }
    }
}

/// The name of each node, and the start of its id where another one has the same name.
pub fn told_apart(nodes: &[Node]) -> Vec<(&str, Option<String>)> {
    let is_twin = |node: &Node| nodes.iter().filter(|it| it.name == node.name).count() > 1;
    let ids: Vec<&str> = nodes.iter().map(|node| node.id.as_str()).collect();
    let start = |node: &Node| is_twin(node).then(|| start_of(&node.id, &ids));
    nodes
        .iter()
        .map(|node| (node.name.as_str(), start(node)))
        .collect()
}

/// As much of an id as tells it from the others, and as commands take it.
fn start_of(id: &str, others: &[&str]) -> String {
    let is_alone = |start: &&str| {
        let same = others.iter().filter(|other| other.starts_with(*start));
        same.count() <= 1
    };
    let starts = (START_CHARS..id.len()).filter_map(|len| id.get(..len));
    let mut starts = starts.filter(is_alone);
    starts.next().unwrap_or(id).to_owned()
}

/// Whether that is the node's name; only its letters and digits count.
fn is_called(row: &Value, name: &str) -> bool {
    let bare = |text: &str| -> String {
        let letters = text.chars().filter(|it| it.is_alphanumeric());
        letters.flat_map(char::to_lowercase).collect()
    };
    !bare(name).is_empty() && bare(text(row, "displayName")) == bare(name)
}

/// The same among rows of `node.list`.
pub fn pick(typed: &str, rows: &[Value]) -> Result<Node, Failure> {
    const START_BYTES_MIN: usize = 4;
    // The address of one on the gateway's own machine is not told.
    let is_loopback = typed
        .parse()
        .is_ok_and(|ip: std::net::IpAddr| ip.is_loopback());
    let fits = |row: &&Value| {
        let id = text(row, "nodeId");
        id == typed
            || typed.len() >= START_BYTES_MIN && id.starts_with(typed)
            || is_called(row, typed)
            || !typed.is_empty() && text(row, "remoteIp") == typed
            || is_loopback && row["connected"] == true && row["remoteIp"].is_null()
    };
    let mut found: Vec<Node> = rows.iter().filter(fits).map(Node::new).collect();
    if found.len() > 1 && found.iter().any(Node::is_connected) {
        found.retain(Node::is_connected);
    }
    match found.len() {
        1 => Ok(found.remove(0)),
        0 => {
            let all: Vec<Node> = rows.iter().map(Node::new).collect();
            let told = |(name, start): (&str, Option<String>)| match start {
                Some(start) => format!("{name} ({start})"),
                None => name.to_owned(),
            };
            let names: Vec<String> = told_apart(&all).into_iter().map(told).collect();
            let failure = Failure::failed(format!("no node is called {typed}"));
            Err(match names.is_empty() {
                true => failure
                    .fact("paired", "none yet")
                    .mend_there("clawdia node run   # on the machine that is to be one"),
                false => failure
                    .fact("there are", names.join(", "))
                    .mend("clawdia nodes status"),
            })
        }
        _ => {
            let all: Vec<&str> = found.iter().map(|node| node.id.as_str()).collect();
            let ids: Vec<String> = all.iter().map(|id| start_of(id, &all)).collect();
            Err(
                Failure::failed(format!("more than one node is called {typed}"))
                    .fact("ids", ids.join(", "))
                    .mend(format!(
                        "clawdia nodes describe {}   # or the start of another id",
                        ids[0]
                    ))
                    .mend(format!("clawdia nodes rename {} NAME", ids[0])),
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<Value> {
        vec![
            json!({"nodeId": "aa11bb22", "displayName": "Build Box", "connected": true,
                "commands": ["system.run"], "remoteIp": "10.0.0.7"}),
            json!({"nodeId": "aa33", "displayName": "phone", "connected": false,
                "lastConnectedAtMs": 5}),
            json!({"nodeId": "bb44cc", "displayName": "phone", "connected": true}),
            json!({"nodeId": "cc55dd", "displayName": "twin", "connected": true}),
            json!({"nodeId": "cc55ee", "displayName": "twin", "connected": true}),
        ]
    }

    #[test]
    fn a_node_has_many_names() {
        for (typed, id) in [
            ("build-box", "aa11bb22"),
            ("BUILD BOX", "aa11bb22"),
            ("aa11", "aa11bb22"),
            ("10.0.0.7", "aa11bb22"),
            ("phone", "bb44cc"),
            ("cc55ee", "cc55ee"),
        ] {
            let node = pick(typed, &rows()).unwrap_or_else(|fault| panic!("{typed}: {fault:?}"));
            assert_eq!(node.id, id, "{typed}");
        }
    }

    #[test]
    fn a_node_that_stands_where_a_program_does_is_told() {
        let mut rows = rows();
        let only = |word: Option<&str>, rows: &[Value]| only_of("system.run", word, rows);
        assert_eq!(only(Some("uptime"), &rows).unwrap().id, "aa11bb22");
        for word in ["build-box", "phone", "twin", "aa33"] {
            let told = only(Some(word), &rows).err().unwrap();
            assert_eq!(
                told.message,
                format!("{word} is a node, and no program was named")
            );
            assert_eq!(
                told.mend,
                [format!("clawdia nodes run --node {word} -- uptime")]
            );
        }
        rows[3]["commands"] = json!(["system.run"]);
        let told = only(Some("uptime"), &rows).err().unwrap();
        assert_eq!(told.message, "which node? --node Build Box, --node twin");
    }

    #[test]
    fn loopback_means_the_node_on_the_gateways_own_machine() {
        let mut rows = rows();
        for row in &mut rows[1..] {
            row["remoteIp"] = "10.0.0.8".into();
        }
        let told = pick("127.0.0.1", &rows).err().unwrap();
        assert_eq!(told.message, "no node is called 127.0.0.1");
        rows[0]["remoteIp"].take();
        for typed in ["127.0.0.1", "::1"] {
            assert_eq!(pick(typed, &rows).unwrap().id, "aa11bb22");
        }
    }

    #[test]
    fn a_name_that_does_not_fit_one_node_says_what_there_is() {
        let fault = |typed: &str| pick(typed, &rows()).err().expect("a refusal");
        assert_eq!(fault("twin").message, "more than one node is called twin");
        assert!(fault("cc55").message.starts_with("more than one"));
        let none = fault("aa1");
        assert_eq!(none.message, "no node is called aa1");
        assert!(
            none.facts[0]
                .1
                .contains("Build Box, phone (aa33), phone (bb44cc)"),
            "{none:?}"
        );
        for typed in ["", "-", "…"] {
            assert!(pick(typed, &rows()).is_err());
        }
        assert!(pick("x", &[]).err().unwrap().mend_there[0].contains("node run"));
    }

    #[test]
    fn nodes_of_one_name_are_told_apart_by_what_commands_take() {
        let row = |id: &str, name: &str| Node::new(&json!({"nodeId": id, "displayName": name}));
        let nodes = [
            row("aaaaaaaabbbb", "twin"),
            row("aaaaaaaacccc", "twin"),
            row("dddddddddddd", "alone"),
        ];
        let told = told_apart(&nodes);
        let start = |at: usize| told[at].1.as_deref();
        assert_eq!((start(0), start(1)), (Some("aaaaaaaab"), Some("aaaaaaaac")));
        assert_eq!(told[2], ("alone", None));
        let rows: Vec<Value> = nodes.iter().map(|node| node.row.clone()).collect();
        assert_eq!(pick("aaaaaaaac", &rows).unwrap().id, nodes[1].id);
    }

    #[test]
    fn a_node_that_is_away_says_since_when() {
        let away = Node::new(&rows()[1]).check_is_there().unwrap_err();
        assert_eq!(away.message, "phone is not connected");
        assert!(away.facts[0].1.contains("ago"), "{away:?}");
    }
}
