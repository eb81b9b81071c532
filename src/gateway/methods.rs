//! The method table: router, scopes, shapes of parameters and the list that `hello-ok`
//! advertises all come from here.

use super::auth::scope::Scope;
use super::dispatch::{Call, Handled};
use super::params::{self, COUNT, Kind, NAME, Params, Shape, TEXT, closed, opt, req};
use super::{Gateway, Refusal, method};
use crate::now::Now;

/// Who may call a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Operators with this scope.
    Operator(Scope),
    /// Nodes alone.
    Node,
    /// Only the first request of a connection: `connect`.
    First,
}

/// A method's function: answers the call, keeps it for later, or refuses.
pub type Run = fn(&mut Gateway, Now, Call<'_>, Params<'_, '_>) -> Handled;

/// One row of the table.
#[derive(Debug)]
pub struct Method {
    /// As on the wire.
    pub name: &'static str,
    /// Who may call it.
    pub access: Access,
    /// What its parameters must look like.
    pub params: Shape,
    /// What it does.
    pub run: Run,
}

const fn row(name: &'static str, scope: Scope, params: Shape, run: Run) -> Method {
    Method {
        name,
        access: Access::Operator(scope),
        params,
        run,
    }
}

use Scope::{Admin, Pairing, Read, Write};
use method::{agent, channels, chat, config, devices, health, logs, models, system, tables, voice};

/// Every method, sorted by name.
pub static METHODS: &[Method] = &[
    row("agent", Write, AGENT, agent::run),
    row("agent.identity.get", Read, AGENT_IDENTITY, models::identity),
    row("agent.wait", Write, AGENT_WAIT, agent::wait),
    row("agents.list", Read, params::NONE, models::agents),
    row("channels.status", Read, CHANNELS_STATUS, channels::status),
    row("chat.abort", Write, CHAT_ABORT, chat::abort),
    row("chat.send", Write, CHAT_SEND, chat::send),
    row("config.apply", Admin, CONFIG_CHANGE, config::apply),
    row("config.get", Admin, params::NONE, config::get),
    row("config.patch", Admin, CONFIG_CHANGE, config::patch),
    row("config.schema", Admin, params::NONE, config::schema),
    row("config.set", Admin, CONFIG_SET, config::set),
    Method {
        name: "connect",
        access: Access::First,
        params: params::OPEN,
        run: not_again,
    },
    row("cron.list", Read, CRON_LIST, tables::cron_list),
    row("cron.status", Read, params::NONE, tables::cron_status),
    row("device.pair.approve", Pairing, REQUEST, devices::approve),
    row("device.pair.list", Pairing, params::NONE, devices::list),
    row("device.pair.reject", Pairing, REQUEST, devices::reject),
    row("device.token.revoke", Pairing, TOKEN, devices::revoke),
    row("device.token.rotate", Pairing, ROTATION, devices::rotate),
    row("health", Read, params::OPEN, health::health),
    row("last-heartbeat", Read, params::OPEN, system::last_heartbeat),
    row("logs.tail", Read, LOGS_TAIL, logs::tail),
    row("models.list", Read, params::NONE, models::list),
    row("node.list", Read, params::NONE, tables::node_list),
    row(
        "set-heartbeats",
        Admin,
        params::OPEN,
        system::set_heartbeats,
    ),
    Method {
        name: "skills.bins",
        access: Access::Node,
        params: params::NONE,
        run: tables::skills_bins,
    },
    row("skills.status", Read, params::NONE, tables::skills_status),
    row("status", Read, params::OPEN, system::status),
    row("system-event", Admin, params::OPEN, system::event),
    row("system-presence", Read, params::OPEN, system::presence),
    row("talk.mode", Write, TALK_MODE, voice::talk_mode),
    row("usage.cost", Read, params::OPEN, tables::usage_cost),
    row("usage.status", Read, params::OPEN, tables::usage_status),
    row("voicewake.get", Read, params::OPEN, voice::get),
    row("voicewake.set", Write, params::OPEN, voice::set),
    row("wake", Write, WAKE, system::wake),
];

const AGENT: Shape = closed(&[
    req("message", NAME),
    opt("agentId", NAME),
    opt("to", TEXT),
    opt("replyTo", TEXT),
    opt("sessionId", TEXT),
    opt("sessionKey", TEXT),
    opt("thinking", TEXT),
    opt("deliver", Kind::Bool),
    opt("attachments", ANY_LIST),
    opt("channel", TEXT),
    opt("replyChannel", TEXT),
    opt("accountId", TEXT),
    opt("replyAccountId", TEXT),
    opt("threadId", TEXT),
    opt("groupId", TEXT),
    opt("groupChannel", TEXT),
    opt("groupSpace", TEXT),
    opt("timeout", COUNT),
    opt("lane", TEXT),
    opt("extraSystemPrompt", TEXT),
    req("idempotencyKey", IDEMPOTENCY_KEY),
    opt("label", Kind::Text { min: 1, max: 64 }),
    opt("spawnedBy", TEXT),
]);
const AGENT_WAIT: Shape = closed(&[req("runId", NAME), opt("timeoutMs", COUNT)]);
const CHAT_ABORT: Shape = closed(&[req("sessionKey", NAME), opt("runId", NAME)]);
const CHAT_SEND: Shape = closed(&[
    req("sessionKey", NAME),
    req("message", NAME),
    opt("thinking", TEXT),
    opt("deliver", Kind::Bool),
    opt("attachments", ANY_LIST),
    opt("timeoutMs", COUNT),
    req("idempotencyKey", IDEMPOTENCY_KEY),
]);
const ANY_LIST: Kind = Kind::List {
    min: 0,
    of: &Kind::Any,
};
/// Keys are stored for a day: a bounded length each.
const IDEMPOTENCY_KEY: Kind = Kind::Text { min: 1, max: 256 };
const AGENT_IDENTITY: Shape = closed(&[opt("agentId", NAME), opt("sessionKey", TEXT)]);
const CHANNELS_STATUS: Shape = closed(&[opt("probe", Kind::Bool), opt("timeoutMs", COUNT)]);
const CONFIG_CHANGE: Shape = closed(&[
    req("raw", NAME),
    opt("baseHash", NAME),
    opt("sessionKey", TEXT),
    opt("note", TEXT),
    opt("restartDelayMs", COUNT),
]);
const CONFIG_SET: Shape = closed(&[req("raw", NAME), opt("baseHash", NAME)]);
const LOGS_TAIL: Shape = closed(&[
    opt("cursor", COUNT),
    opt("limit", Kind::Int { min: 1, max: 5_000 }),
    opt(
        "maxBytes",
        Kind::Int {
            min: 1,
            max: 1_000_000,
        },
    ),
]);
const CRON_LIST: Shape = closed(&[opt("includeDisabled", Kind::Bool)]);
const REQUEST: Shape = closed(&[req("requestId", NAME)]);
const ROTATION: Shape = closed(&[
    req("deviceId", NAME),
    req("role", NAME),
    opt("scopes", Kind::List { min: 0, of: &NAME }),
]);
const TOKEN: Shape = closed(&[req("deviceId", NAME), req("role", NAME)]);
const TALK_MODE: Shape = closed(&[req("enabled", Kind::Bool), opt("phase", TEXT)]);
const WAKE: Shape = closed(&[
    req("mode", Kind::OneOf(&["now", "next-heartbeat"])),
    req("text", NAME),
]);

/// `connect` behind the first request is refused before it comes here.
fn not_again(_: &mut Gateway, _: Now, _: Call<'_>, _: Params<'_, '_>) -> Handled {
    Err(Refusal::invalid("connect is only valid as the first request").into())
}

/// The row of a method.
pub fn find(name: &str) -> Option<&'static Method> {
    METHODS
        .binary_search_by(|method| method.name.cmp(name))
        .ok()
        .map(|at| &METHODS[at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_names_each_method_once() {
        assert!(METHODS.windows(2).all(|two| two[0].name < two[1].name));
        assert!(METHODS.iter().all(|row| find(row.name).is_some()));
    }
}
