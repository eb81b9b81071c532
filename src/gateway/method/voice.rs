//! `voicewake.get/set` and `talk.mode`: settings that every client follows.

use crate::gateway::broadcast::Weight;
use crate::gateway::commit::Key;
use crate::gateway::dispatch::{Call, Handled, Outcome, Stop};
use crate::gateway::params::Params;
use crate::gateway::{Gateway, Refusal};
use crate::ids::ConnId;
use crate::now::Now;
use crate::state::Record;
use crate::wire::json::{Json, Writer};

/// The stored trigger words, a JSON array of strings.
const TRIGGERS: &str = "voicewake.triggers";
/// What wakes the voice assistant until somebody chooses other words.
const TRIGGERS_DEFAULT: [&str; 3] = ["clawdia", "claude", "computer"];
/// Most trigger words, and most characters of one.
const TRIGGERS_MAX: usize = 32;
const TRIGGER_CHARS_MAX: usize = 64;

/// `voicewake.get`.
pub fn get(gateway: &mut Gateway, _: Now, call: Call<'_>, _: Params<'_, '_>) -> Handled {
    gateway.reply(call, |gateway, w| gateway.write_triggers(w));
    Ok(Outcome::Done)
}

/// `voicewake.set`: trims, drops what is blank, and tells everybody once it is stored.
pub fn set(gateway: &mut Gateway, _: Now, call: Call<'_>, params: Params<'_, '_>) -> Handled {
    let Some(list) = params.get("triggers").filter(|list| list.is_array()) else {
        return Err(Refusal::invalid("voicewake.set requires triggers: string[]").into());
    };
    let lock = Key::Setting(TRIGGERS);
    if gateway.commits.is_reserved(&lock) {
        return Err(Stop::Busy);
    }
    let words: Vec<String> = list
        .elements()
        .filter_map(Json::as_str)
        .map(|word| {
            word.trim()
                .chars()
                .take(TRIGGER_CHARS_MAX)
                .collect::<String>()
        })
        .filter(|word| !word.is_empty())
        .take(TRIGGERS_MAX)
        .collect();
    let record = if words.is_empty() {
        Record::SettingRemove {
            key: TRIGGERS.into(),
        }
    } else {
        let mut json = Vec::new();
        Writer::new(&mut json).array(|w| words.iter().for_each(|word| w.str(word)));
        Record::SettingPut {
            key: TRIGGERS.into(),
            value: String::from_utf8_lossy(&json).into(),
        }
    };
    let call = call.keep();
    gateway.commit(
        vec![lock],
        vec![record],
        move |gateway, _, result| match result {
            Ok(()) => {
                gateway.broadcast("voicewake.changed", Weight::Must, None, |gateway, w| {
                    gateway.write_triggers(w);
                });
                gateway.reply_kept(&call, |gateway, w| gateway.write_triggers(w));
            }
            Err(fault) => gateway.refuse_kept(&call, &Refusal::not_stored(&fault)),
        },
    );
    Ok(Outcome::Later)
}

/// `talk.mode`: told to everybody, kept by nobody. The web chat has no microphone of its own:
/// it talks through a phone, where one is connected as a node.
pub fn talk_mode(gateway: &mut Gateway, _: Now, call: Call<'_>, params: Params<'_, '_>) -> Handled {
    let caller = gateway.peers.get(call.conn).and_then(|peer| peer.live());
    if caller.is_some_and(|live| *live.client_mode == *"webchat") && !gateway.has_mobile_node() {
        let text = "talk disabled: no connected iOS/Android nodes";
        return Err(Refusal::unavailable(text).into());
    }
    let enabled = params.bool("enabled").unwrap_or(false);
    let phase = params.text("phase").map(str::to_owned);
    let write = move |gateway: &Gateway, w: &mut Writer<'_>| {
        w.object(|w| {
            w.field_bool("enabled", enabled);
            w.key("phase");
            match &phase {
                Some(phase) => w.str(phase),
                None => w.null(),
            }
            w.field_u64("ts", gateway.now.unix_ms);
        });
    };
    gateway.broadcast("talk.mode", Weight::MayDrop, None, &write);
    gateway.reply(call, write);
    Ok(Outcome::Done)
}

impl Gateway {
    fn has_mobile_node(&self) -> bool {
        let platform = |conn: &ConnId| Some(&self.peers.get(*conn)?.live()?.platform);
        self.nodes.iter().filter_map(platform).any(|platform| {
            let platform = platform.to_ascii_lowercase();
            ["ios", "ipados", "android"]
                .iter()
                .any(|name| platform.starts_with(name))
        })
    }

    /// Writes `{"triggers":[…]}`.
    pub(in crate::gateway) fn write_triggers(&self, w: &mut Writer<'_>) {
        w.object(|w| {
            w.key("triggers");
            match self.state.setting(TRIGGERS) {
                Some(json) => w.raw(json.as_bytes()),
                None => w.array(|w| TRIGGERS_DEFAULT.iter().for_each(|word| w.str(word))),
            }
        });
    }
}
