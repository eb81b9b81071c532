//! What an operator asks for, recognised by scored key words.

use super::keys::{TABLE, keys};
use super::words::{SAME, clauses, likeness, words};

/// Something that the built-in agent can answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Intent {
    /// A task for a language model.
    Beyond,
    Identity,
    HowAreYou,
    Help,
    Status,
    Health,
    Connected,
    Nodes,
    Devices,
    ThisSession,
    Sessions,
    Runs,
    Uptime,
    Version,
    Clock,
    Memory,
    Channels,
    Models,
    ConfigureModel,
    Remote,
    Address,
    Auth,
    Backup,
    Control,
    Config,
    Logs,
    Thanks,
    Bye,
    Hello,
}

impl Intent {
    /// Said besides something else it needs no answer of its own.
    fn is_small_talk(self) -> bool {
        matches!(self, Self::Thanks | Self::Bye | Self::Hello)
    }
}

/// What is to be done with a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reading<'a> {
    /// Say these words.
    Echo(&'a str),
    /// Answer these, in this order; never empty.
    Answer(Vec<Intent>),
    /// Nothing in it is understood.
    Unknown,
}

/// Reads a message: an echo, or the intents of its clauses, or of the whole if no clause has one.
pub(super) fn read(text: &str) -> Reading<'_> {
    if let Some(rest) = echo(text) {
        return Reading::Echo(rest);
    }
    let whole = words(text);
    if best(&whole) == Some(Intent::Beyond) {
        return Reading::Answer(vec![Intent::Beyond]);
    }
    let mut intents: Vec<Intent> = Vec::new();
    for intent in clauses(text).iter().filter_map(|clause| best(clause)) {
        if !intents.contains(&intent) {
            intents.push(intent);
        }
    }
    if intents.is_empty() {
        intents.extend(best(&whole));
    }
    if intents.iter().any(|intent| !intent.is_small_talk()) {
        intents.retain(|intent| !intent.is_small_talk());
    }
    intents.truncate(ANSWERS_MAX);
    if intents.is_empty() {
        Reading::Unknown
    } else {
        Reading::Answer(intents)
    }
}

/// Answers to one message.
const ANSWERS_MAX: usize = 4;
/// Below it a clause is not understood; longer clauses need more.
const SCORE_MIN: u32 = 3;

/// The intent with the highest score; of equals the one that stands first in the table.
fn best(clause: &[String]) -> Option<Intent> {
    let needed = SAME * (SCORE_MIN + u32::from(clause.len() > 12) + u32::from(clause.len() > 25));
    let mut best = None;
    let mut best_score = needed - 1;
    for (intent, row) in TABLE {
        let score = score(clause, row);
        if score > best_score {
            (best, best_score) = (Some(*intent), score);
        }
    }
    best
}

/// Each key counts once, its weight times the likeness of its best place.
fn score(clause: &[String], row: &'static str) -> u32 {
    keys(row)
        .map(|(key, weight)| weight * key_likeness(clause, key))
        .sum()
}

/// A key of several words matches where all of them stand in a row.
fn key_likeness(clause: &[String], key: &str) -> u32 {
    let parts: Vec<&str> = key.split(' ').collect();
    clause
        .windows(parts.len())
        .map(|place| {
            place
                .iter()
                .zip(&parts)
                .map(|(word, part)| likeness(word, part))
                .min()
                .unwrap_or(0)
        })
        .max()
        .unwrap_or(0)
}

/// What stands behind "say", "repeat" or "echo" at the start, politeness skipped.
fn echo(text: &str) -> Option<&str> {
    let mut rest = text.trim();
    loop {
        let (word, after) = split_word(rest);
        match word.to_lowercase().as_str() {
            "please" | "can" | "could" | "would" | "will" | "you" | "just" => rest = after,
            "say" | "repeat" | "echo" => {
                let after = strip_words(after, &["after", "me"]).unwrap_or(after);
                return (!after.is_empty()).then_some(after);
            }
            _ => return None,
        }
    }
}

/// The first word without marks behind it, and what follows it.
fn split_word(text: &str) -> (&str, &str) {
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    (word.trim_end_matches([',', ':']), rest.trim_start())
}

fn strip_words<'a>(text: &'a str, expected: &[&str]) -> Option<&'a str> {
    expected.iter().try_fold(text, |rest, want| {
        let (word, after) = split_word(rest);
        word.eq_ignore_ascii_case(want).then_some(after)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use Intent::*;

    fn intents(text: &str) -> Vec<Intent> {
        match read(text) {
            Reading::Answer(intents) => intents,
            _ => Vec::new(),
        }
    }

    #[test]
    fn one_question_one_intent() {
        let cases: &[(&str, Intent)] = &[
            ("status", Status),
            ("Show me the statsu of the gateway please", Status),
            ("give me an overview", Status),
            ("are you healthy?", Health),
            ("Is everything OK?", Health),
            ("any problems?", Health),
            ("who is connected?", Connected),
            ("Who's online right now?", Connected),
            ("list the operators", Connected),
            ("is anyone connected", Connected),
            ("which nodes are online?", Nodes),
            ("what machines are connected", Nodes),
            ("list sessions", Sessions),
            ("what conversations do you have", Sessions),
            ("what is this session's thinking level?", ThisSession),
            ("how many tokens did I use", ThisSession),
            ("how do I approve a device?", Devices),
            ("any pending pairing requests", Devices),
            ("How can I pair my phone?", Devices),
            ("help", Help),
            ("what can you do?", Help),
            ("what time is it?", Clock),
            ("what's the date today", Clock),
            ("which day is it", Clock),
            ("what version are you", Version),
            ("are you up to date", Version),
            ("uptime", Uptime),
            ("how long have you been running?", Uptime),
            ("when were you started", Uptime),
            ("how much memory do you use", Memory),
            ("are any channels configured?", Channels),
            ("does telegram work", Channels),
            ("which models are available?", Models),
            ("what model are you using", Models),
            ("how do I configure a real model?", ConfigureModel),
            ("how to set up a language model", ConfigureModel),
            ("can I use ollama", ConfigureModel),
            ("where do I put my api key", ConfigureModel),
            ("how do I reach you from another computer", Remote),
            ("how can I connect remotely over ssh", Remote),
            ("which port do you listen on", Address),
            ("what is the url", Address),
            ("what is my token", Auth),
            ("how do I log in", Auth),
            ("how do I back up everything", Backup),
            ("how do I restart the gateway", Control),
            ("where is the config file", Config),
            ("where are the logs", Logs),
            ("are you busy", Runs),
            ("what are you doing?", Runs),
            ("who are you?", Identity),
            ("what is your name", Identity),
            ("how are you?", HowAreYou),
            ("hello", Hello),
            ("Hi there!", Hello),
            ("thanks a lot", Thanks),
            ("goodbye", Bye),
            ("write me a poem about time", Beyond),
            ("tell me a joke", Beyond),
        ];
        let wrong: Vec<_> = cases
            .iter()
            .map(|(text, want)| (*text, intents(text), *want))
            .filter(|(_, got, want)| got != &[*want])
            .collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    #[test]
    fn several_questions_are_all_read_and_small_talk_beside_them_is_not_answered() {
        assert_eq!(
            intents("Hi! What's the status, and who is connected? Thanks."),
            [Status, Connected]
        );
        assert_eq!(intents("uptime and version and uptime"), [Uptime, Version]);
        assert_eq!(intents("thanks, bye"), [Thanks, Bye]);
    }

    #[test]
    fn an_echo_keeps_the_words_as_they_are() {
        for (text, want) in [
            ("say Hello,  World!", "Hello,  World!"),
            ("Could you please repeat after me: status?", "status?"),
            ("ECHO one", "one"),
        ] {
            assert_eq!(read(text), Reading::Echo(want), "{text}");
        }
        assert_eq!(read("say"), Reading::Unknown);
        assert!(!matches!(read("they say hello"), Reading::Echo(_)));
    }

    #[test]
    fn what_is_not_understood_is_unknown() {
        for text in [
            "",
            "?!",
            "purple elephants dance",
            "slow please",
            "42",
            "/nosuchcommand",
            "\u{1F980}\u{1F980}",
        ] {
            assert_eq!(read(text), Reading::Unknown, "{text:?}");
        }
        let long = "I went for a walk by the river with an old friend of mine and we were talking about our favourite \
                    books while the sun was going down behind the hills and I thought it was fine";
        assert_eq!(read(long), Reading::Unknown);
    }
}
