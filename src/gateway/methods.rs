//! The method table: router, scopes, shapes of parameters and the list that `hello-ok`
//! advertises all come from here.

use super::auth::scope::Scope;
use super::dispatch::{Call, Handled};
use super::params::{
    self, COUNT, Kind, NAME, POSITIVE, Params, Shape, TEXT, closed, nullable, opt, req,
};
use super::{Gateway, Refusal, method};
use crate::limits::{
    HISTORY_MESSAGES, NODE_DECLARED_CHARS_MAX, NODE_NAME_CHARS_MAX, SESSION_LABEL_CHARS_MAX,
    SETUP_CODE_TTL_MS,
};
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

use Scope::{Admin, Approvals, Pairing, Read, Write};
use method::{
    agent, approvals, browser, channels, chat, config, contacts, cron, devices, health, history,
    inject, logs, mcp, models, nodes, send, sessions, system, tables, voice,
};

/// Every method, sorted by name.
pub static METHODS: &[Method] = &[
    row("agent", Write, AGENT, agent::run),
    row("agent.identity.get", Read, AGENT_IDENTITY, models::identity),
    row("agent.wait", Write, AGENT_WAIT, agent::wait),
    row("agents.list", Read, params::NONE, models::agents),
    row("browser.request", Write, BROWSER_REQUEST, browser::request),
    row("channels.logout", Admin, CHANNELS_LOGOUT, channels::logout),
    row(
        "channels.pairing.approve",
        Pairing,
        CONTACT_APPROVE,
        contacts::approve,
    ),
    row(
        "channels.pairing.list",
        Pairing,
        CONTACTS_LIST,
        contacts::list,
    ),
    row(
        "channels.pairing.remove",
        Pairing,
        CONTACT_REMOVE,
        contacts::remove,
    ),
    row("channels.status", Read, CHANNELS_STATUS, channels::status),
    row("chat.abort", Write, CHAT_ABORT, chat::abort),
    row("chat.history", Read, CHAT_HISTORY, history::history),
    row("chat.inject", Admin, CHAT_INJECT, inject::inject),
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
    row("cron.add", Admin, CRON_ADD, cron::add),
    row("cron.list", Read, CRON_LIST, cron::list),
    row("cron.remove", Admin, CRON_ID, cron::remove),
    row("cron.run", Admin, CRON_RUN, cron::run),
    row("cron.runs", Read, CRON_RUNS, cron::runs),
    row("cron.status", Read, params::NONE, cron::status),
    row("cron.update", Admin, CRON_UPDATE, cron::update),
    row("device.pair.approve", Pairing, REQUEST, devices::approve),
    row("device.pair.code", Pairing, PAIR_CODE, devices::code::make),
    row("device.pair.list", Pairing, params::NONE, devices::list),
    row("device.pair.reject", Pairing, REQUEST, devices::reject),
    row(
        "device.pair.remove",
        Pairing,
        DEVICE,
        devices::tokens::remove,
    ),
    row(
        "device.token.revoke",
        Pairing,
        TOKEN,
        devices::tokens::revoke,
    ),
    row(
        "device.token.rotate",
        Pairing,
        ROTATION,
        devices::tokens::rotate,
    ),
    row(
        "exec.approval.list",
        Approvals,
        params::NONE,
        approvals::pending::list,
    ),
    row(
        "exec.approval.request",
        Approvals,
        APPROVAL_REQUEST,
        approvals::pending::request,
    ),
    row(
        "exec.approval.resolve",
        Approvals,
        APPROVAL_RESOLVE,
        approvals::pending::resolve,
    ),
    row("exec.approvals.get", Admin, params::NONE, approvals::get),
    row("exec.approvals.node.get", Admin, NODE, approvals::node::get),
    row(
        "exec.approvals.node.set",
        Admin,
        APPROVALS_NODE_SET,
        approvals::node::set,
    ),
    row("exec.approvals.set", Admin, APPROVALS_SET, approvals::set),
    row("health", Read, params::OPEN, health::health),
    row("last-heartbeat", Read, params::OPEN, system::last_heartbeat),
    row("logs.tail", Read, LOGS_TAIL, logs::tail),
    row("mcp.list", Read, params::NONE, mcp::list),
    row("models.list", Read, params::NONE, models::list),
    row("node.describe", Read, NODE, nodes::describe),
    Method {
        name: "node.event",
        access: Access::Node,
        params: NODE_EVENT,
        run: nodes::event::event,
    },
    row("node.invoke", Write, NODE_INVOKE, nodes::invoke::invoke),
    Method {
        name: "node.invoke.progress",
        access: Access::Node,
        params: NODE_PROGRESS,
        run: nodes::invoke::progress,
    },
    Method {
        name: "node.invoke.result",
        access: Access::Node,
        params: NODE_RESULT,
        run: nodes::invoke::result,
    },
    row(
        "node.invokeMany",
        Write,
        NODE_INVOKE_MANY,
        nodes::many::invoke,
    ),
    row("node.list", Read, params::NONE, nodes::list),
    row("node.pair.approve", Pairing, REQUEST, nodes::pair::approve),
    row("node.pair.list", Pairing, params::NONE, nodes::pair::list),
    row("node.pair.reject", Pairing, REQUEST, nodes::pair::reject),
    row(
        "node.pair.request",
        Pairing,
        NODE_PAIR_REQUEST,
        nodes::pair::request,
    ),
    row(
        "node.pair.verify",
        Pairing,
        NODE_PAIR_VERIFY,
        nodes::pair::verify,
    ),
    row("node.rename", Pairing, NODE_RENAME, nodes::rename),
    row("send", Write, SEND, send::send),
    row(
        "sessions.compact",
        Admin,
        SESSIONS_COMPACT,
        sessions::compact,
    ),
    row("sessions.delete", Admin, SESSIONS_DELETE, sessions::delete),
    row("sessions.list", Read, SESSIONS_LIST, sessions::list),
    row("sessions.patch", Admin, SESSIONS_PATCH, sessions::patch),
    row(
        "sessions.preview",
        Read,
        SESSIONS_PREVIEW,
        sessions::preview,
    ),
    row("sessions.reset", Admin, SESSIONS_RESET, sessions::reset),
    row(
        "sessions.resolve",
        Admin,
        SESSIONS_RESOLVE,
        sessions::resolve,
    ),
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
const APPROVAL_REQUEST: Shape = closed(&[
    opt("id", NAME),
    req("command", NAME),
    opt("commandArgv", Kind::List { min: 0, of: &TEXT }),
    opt("env", Kind::Map(&TEXT)),
    nullable("cwd", TEXT),
    nullable("nodeId", NAME),
    nullable("host", TEXT),
    nullable("security", TEXT),
    nullable("ask", TEXT),
    nullable("agentId", TEXT),
    nullable("resolvedPath", TEXT),
    nullable("sessionKey", TEXT),
    nullable("turnSourceChannel", TEXT),
    nullable("turnSourceTo", TEXT),
    nullable("turnSourceAccountId", TEXT),
    nullable("turnSourceThreadId", Kind::Any),
    opt("timeoutMs", POSITIVE),
    opt("twoPhase", Kind::Bool),
]);
const APPROVAL_RESOLVE: Shape = closed(&[req("id", NAME), req("decision", NAME)]);
const APPROVALS_NODE_SET: Shape = closed(&[
    req("nodeId", NAME),
    req("file", Kind::Object(&params::OPEN)),
    opt("baseHash", NAME),
]);
const APPROVALS_SET: Shape = closed(&[
    req("file", Kind::Object(&params::OPEN)),
    opt("baseHash", NAME),
]);
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
const BROWSER_REQUEST: Shape = closed(&[
    req("method", TEXT),
    req("path", TEXT),
    opt("query", Kind::Map(&Kind::Any)),
    opt("body", Kind::Any),
    opt("timeoutMs", COUNT),
]);
const CHANNELS_LOGOUT: Shape = closed(&[req("channel", NAME), opt("accountId", NAME)]);
const CONTACTS_LIST: Shape = closed(&[opt("channel", NAME)]);
const CONTACT_APPROVE: Shape = closed(&[req("channel", NAME), req("code", NAME)]);
const CONTACT_REMOVE: Shape = closed(&[req("channel", NAME), req("id", NAME)]);
const SEND: Shape = closed(&[
    req("to", NAME),
    opt("message", TEXT),
    opt("mediaUrl", TEXT),
    opt("mediaUrls", Kind::List { min: 0, of: &TEXT }),
    opt("gifPlayback", Kind::Bool),
    opt("forceDocument", Kind::Bool),
    opt("channel", NAME),
    opt("accountId", NAME),
    opt("sessionKey", TEXT),
    req("idempotencyKey", IDEMPOTENCY_KEY),
]);
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
/// What a schedule or a payload may be depends on its kind: the method looks itself.
const CRON_PART: Kind = Kind::Object(&params::OPEN);
const CRON_ADD: Shape = closed(&[
    req("name", NAME),
    nullable("agentId", TEXT),
    opt("description", TEXT),
    opt("enabled", Kind::Bool),
    opt("deleteAfterRun", Kind::Bool),
    req("schedule", CRON_PART),
    opt("sessionTarget", Kind::OneOf(&["main", "isolated"])),
    opt("wakeMode", CRON_WAKE),
    req("payload", CRON_PART),
    opt("isolation", CRON_PART),
]);
const CRON_WAKE: Kind = Kind::OneOf(&["next-heartbeat", "now"]);
const CRON_UPDATE: Shape = closed(&[
    opt("id", NAME),
    opt("jobId", NAME),
    req(
        "patch",
        Kind::Object(&closed(&[
            opt("name", NAME),
            nullable("agentId", TEXT),
            nullable("description", TEXT),
            opt("enabled", Kind::Bool),
            opt("deleteAfterRun", Kind::Bool),
            opt("schedule", CRON_PART),
            opt("sessionTarget", Kind::OneOf(&["main", "isolated"])),
            opt("wakeMode", CRON_WAKE),
            opt("payload", CRON_PART),
            nullable("isolation", CRON_PART),
        ])),
    ),
]);
const CRON_ID: Shape = closed(&[opt("id", NAME), opt("jobId", NAME)]);
const CRON_RUN: Shape = closed(&[
    opt("id", NAME),
    opt("jobId", NAME),
    opt("mode", Kind::OneOf(&["due", "force"])),
]);
const CRON_RUNS: Shape = closed(&[
    opt("id", NAME),
    opt("jobId", NAME),
    opt("limit", Kind::Int { min: 1, max: 5_000 }),
]);
const CRON_LIST: Shape = closed(&[opt("includeDisabled", Kind::Bool)]);
const DEVICE: Shape = closed(&[req("deviceId", NAME)]);
const NODE: Shape = closed(&[req("nodeId", NAME)]);
const NODE_INVOKE: Shape = closed(&[
    req("nodeId", NAME),
    req("command", NAME),
    opt("params", Kind::Any),
    opt("timeoutMs", COUNT),
    req("idempotencyKey", IDEMPOTENCY_KEY),
    opt("queue", Kind::Bool),
    opt("ttlMs", POSITIVE),
    opt("progress", Kind::Bool),
]);
const NODE_INVOKE_MANY: Shape = closed(&[
    req(
        "selector",
        Kind::Object(&closed(&[
            opt("ids", Kind::List { min: 1, of: &NAME }),
            opt("platform", NAME),
            opt("caps", Kind::List { min: 1, of: &NAME }),
            opt("name", NAME),
        ])),
    ),
    req("command", NAME),
    opt("params", Kind::Any),
    opt("timeoutMs", COUNT),
    opt("parallelism", POSITIVE),
    req("idempotencyKey", IDEMPOTENCY_KEY),
]);
const NODE_EVENT: Shape = closed(&[
    req("event", NAME),
    opt("payload", Kind::Any),
    opt("payloadJSON", Kind::Any),
]);
const NODE_PAIR_REQUEST: Shape = closed(&[
    req("nodeId", NODE_FACT),
    opt("displayName", NODE_FACT),
    opt("platform", NODE_FACT),
    opt("version", NODE_FACT),
    opt("coreVersion", NODE_FACT),
    opt("uiVersion", NODE_FACT),
    opt("deviceFamily", NODE_FACT),
    opt("modelIdentifier", NODE_FACT),
    opt("caps", NODE_FACTS),
    opt("commands", NODE_FACTS),
    opt("remoteIp", NODE_FACT),
    opt("silent", Kind::Bool),
]);
/// What a node says of itself is stored: of a bounded length each.
const NODE_FACT: Kind = Kind::Text {
    min: 1,
    max: NODE_DECLARED_CHARS_MAX,
};
const NODE_FACTS: Kind = Kind::List {
    min: 0,
    of: &NODE_FACT,
};
const NODE_PAIR_VERIFY: Shape = closed(&[req("nodeId", NAME), req("token", NAME)]);
const NODE_RENAME: Shape = closed(&[
    req("nodeId", NAME),
    req(
        "displayName",
        Kind::Text {
            min: 1,
            max: NODE_NAME_CHARS_MAX,
        },
    ),
]);
const NODE_RESULT: Shape = closed(&[
    req("id", NAME),
    req("nodeId", NAME),
    req("ok", Kind::Bool),
    opt("payload", Kind::Any),
    opt("payloadJSON", Kind::Any),
    nullable(
        "error",
        Kind::Object(&closed(&[opt("code", TEXT), opt("message", TEXT)])),
    ),
]);
const NODE_PROGRESS: Shape = closed(&[
    req("invokeId", NAME),
    req("nodeId", NAME),
    req("seq", COUNT),
    req("chunk", TEXT),
]);
const PAIR_CODE: Shape = closed(&[
    opt("role", NAME),
    opt("scopes", Kind::List { min: 0, of: &NAME }),
    opt(
        "ttlMs",
        Kind::Int {
            min: 1_000,
            max: SETUP_CODE_TTL_MS,
        },
    ),
]);
const REQUEST: Shape = closed(&[req("requestId", NAME)]);
const ROTATION: Shape = closed(&[
    req("deviceId", NAME),
    req("role", NAME),
    opt("scopes", Kind::List { min: 0, of: &NAME }),
]);
const TOKEN: Shape = closed(&[req("deviceId", NAME), req("role", NAME)]);
const LABEL: Kind = Kind::Text {
    min: 1,
    max: SESSION_LABEL_CHARS_MAX,
};
const CHAT_HISTORY: Shape = closed(&[
    req("sessionKey", NAME),
    opt(
        "limit",
        Kind::Int {
            min: 1,
            max: HISTORY_MESSAGES.1 as u64,
        },
    ),
]);
const CHAT_INJECT: Shape = closed(&[
    req("sessionKey", NAME),
    req("message", NAME),
    opt("label", Kind::Text { min: 0, max: 100 }),
]);
const SESSIONS_COMPACT: Shape = closed(&[req("key", NAME), opt("maxLines", POSITIVE)]);
const SESSIONS_DELETE: Shape = closed(&[req("key", NAME), opt("deleteTranscript", Kind::Bool)]);
const SESSIONS_LIST: Shape = closed(&[
    opt("limit", POSITIVE),
    opt("activeMinutes", POSITIVE),
    opt("includeGlobal", Kind::Bool),
    opt("includeUnknown", Kind::Bool),
    opt("includeDerivedTitles", Kind::Bool),
    opt("includeLastMessage", Kind::Bool),
    opt("label", LABEL),
    opt("spawnedBy", NAME),
    opt("agentId", NAME),
    opt("search", TEXT),
]);
const SESSIONS_PATCH: Shape = closed(&[
    req("key", NAME),
    nullable("label", LABEL),
    nullable("thinkingLevel", NAME),
    nullable("verboseLevel", NAME),
    nullable("reasoningLevel", NAME),
    nullable(
        "responseUsage",
        Kind::OneOf(&["off", "tokens", "full", "on"]),
    ),
    nullable("elevatedLevel", NAME),
    nullable("execHost", NAME),
    nullable("execSecurity", NAME),
    nullable("execAsk", NAME),
    nullable("execNode", NAME),
    nullable("model", NAME),
    nullable("spawnedBy", NAME),
    nullable("sendPolicy", Kind::OneOf(&["allow", "deny"])),
    nullable("groupActivation", Kind::OneOf(&["mention", "always"])),
    nullable(
        "queueMode",
        Kind::OneOf(&["followup", "collect", "steer", "interrupt"]),
    ),
]);
const SESSIONS_PREVIEW: Shape = closed(&[
    req("keys", Kind::List { min: 1, of: &NAME }),
    opt("limit", POSITIVE),
    opt(
        "maxChars",
        Kind::Int {
            min: 20,
            max: u64::MAX,
        },
    ),
]);
const SESSIONS_RESET: Shape = closed(&[req("key", NAME)]);
const SESSIONS_RESOLVE: Shape = closed(&[
    opt("key", NAME),
    opt("sessionId", NAME),
    opt("label", LABEL),
    opt("agentId", NAME),
    opt("spawnedBy", NAME),
    opt("includeGlobal", Kind::Bool),
    opt("includeUnknown", Kind::Bool),
]);
const TALK_MODE: Shape = closed(&[req("enabled", Kind::Bool), opt("phase", TEXT)]);
const WAKE: Shape = closed(&[
    req("mode", Kind::OneOf(&["now", "next-heartbeat"])),
    req("text", NAME),
]);

/// `connect` behind the first request is refused before it comes here.
fn not_again(_: &mut Gateway, _: Now, _: Call<'_>, _: Params<'_, '_>) -> Handled {
    Err(Refusal::invalid("connect is only valid as the first request").into())
}

/// What no client of version 3 has heard of: told to those who ask by [`ADDITIONS_CAP`].
pub const ADDITIONS: &[&str] = &[
    "mcp.list",
    "node.invoke.progress",
    "node.invokeMany",
    "node.invokeMany.result",
];
/// The entry of `caps` by which a client of version 3 asks for them.
pub const ADDITIONS_CAP: &str = "clawdia.v1";

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
