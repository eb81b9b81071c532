//! Where this gateway does not do what was recorded, and why.

/// Files, difference (`*` stands for anything), reason.
pub const DIFFERENCES: &[(&str, &str, &str)] = &[
    (
        "*",
        "res:connect /payload/canvasHostUrl missing",
        "there is no canvas host",
    ),
    (
        "*",
        "*/payload/listen extra",
        "status says where the gateway listens",
    ),
    (
        "connect-controlui-nodevice",
        "*",
        "a program that says it is the page has no Origin: the verified secret is enough",
    ),
    (
        "connect-password-nodevice",
        "*",
        "a client without device gets in with a verified password as with a token",
    ),
    (
        "connect-node-no-device",
        "*",
        "a node always needs a device",
    ),
    (
        "connect-malformed-json-before",
        "close is *",
        "a malformed frame before the handshake closes with 1008",
    ),
    (
        "connect-protocol-mismatch-high",
        "*",
        "version 4 is spoken here",
    ),
    (
        "connect-protocol-mismatch-low",
        "res:connect /error/details/* extra",
        "details say what both sides speak",
    ),
    (
        "connect-protocol-range",
        "res:connect /payload/protocol is 4, was 3",
        "the highest version that both speak is agreed on",
    ),
    (
        "connect-protocol-range",
        "res:connect /payload/* extra",
        "version 4 says more",
    ),
    (
        "connect-unknown-param",
        "*",
        "unknown fields inside connect are ignored",
    ),
    (
        "connect-bad-mode",
        "* is *client/id*",
        "any client id is taken; the mode is still checked",
    ),
    (
        "connect-bad-mode",
        "*invalid connect params: at /client/mode*",
        "any client id is taken; the mode is still checked",
    ),
    (
        "connect-unknown-toplevel-key",
        "*",
        "a first frame with an id is answered before the close, with the same reason",
    ),
    (
        "frames-*",
        "res:* /error/message is \"invalid request frame: *",
        "only the start of the text is the protocol's",
    ),
    (
        "device-pair-code",
        "res:device.pair.code /payload/code is *",
        "every code is another one",
    ),
    (
        "*exec*approvals*",
        "res:exec.approvals.* /payload/file/socket missing",
        "nobody asks over a socket here",
    ),
    (
        "exec-approvals-*",
        "res:exec.approvals.set /error/message is *at /file: has version*",
        "the text says which version is understood",
    ),
    (
        "exec-approval-timeout",
        "*event:exec.approval.resolved*",
        "who watches is told that a request is gone",
    ),
    (
        "nodes-run-*",
        "event:node.invoke.request /payload/timeoutMs extra",
        "a node has the deadline of every call, so that nothing runs on when nobody waits",
    ),
    (
        "models-list",
        "res:models.list /payload/models/0/* missing",
        "the built-in agent has no context window and no kinds of input",
    ),
    (
        "node-hello",
        "res:status comes after event:voicewake.changed",
        "the first event follows hello-ok at once",
    ),
    (
        "nodehost-pairing-required",
        "*",
        "a local node that shows the secret is paired silently",
    ),
    (
        "*agent*",
        "*/systemPromptReport missing",
        "there is no prompt to report on",
    ),
    (
        "*agent*",
        "res:agent.wait comes after res:agent",
        "whoever started the run is told first",
    ),
    (
        "agent-wait",
        "res:agent.wait /payload/*",
        "an aborted run has ended: who waits for it is told so and not left to time out",
    ),
    (
        "device*",
        "* /payload/*remoteIp extra",
        "who approves sees where the request came from",
    ),
    (
        "*",
        "res:device.pair.* /payload/*/connected extra",
        "who looks at devices sees which are in use",
    ),
    (
        "*",
        "res:device.pair.* /payload/*/lastSeenAtMs extra",
        "who looks at devices sees which are in use",
    ),
    (
        "device-pair-flow",
        "res:connect /error/*",
        "a device token proves the device: more scopes are a matter of pairing",
    ),
    (
        "device-pair-flow",
        "close is Some((1008, \"pairing required\")), was *",
        "a device token proves the device: more scopes are a matter of pairing",
    ),
    (
        "device-pair-flow",
        "* comes after event:device.pair.requested",
        "a request for another role is another request, with an event of its own",
    ),
    (
        "device-pair-flow",
        "event:device.pair.requested was not sent",
        "a request for another role is another request, with an event of its own",
    ),
    (
        "device-pair-flow",
        "res:device.pair.list /payload/pending/0/role *",
        "a request for another role replaces the former one",
    ),
    (
        "device*",
        "res:device.pair.list /payload/paired/0/tokens/0/*",
        "the use of a token is not written down; the role node was never approved, so it has none",
    ),
    (
        "devices-list-approve",
        "res:device.pair.list /payload/pending/0/* extra",
        "who approves a node sees what it offers",
    ),
    (
        "devices-list-approve",
        "res:device.pair.approve /payload/device/scopes extra",
        "a node has no scopes, and the answer says so",
    ),
    (
        "voice-transcript",
        "event:device.pair.resolved is not sent",
        "a device that is paired silently asked nobody, so there is nothing to resolve",
    ),
    (
        "web-page",
        "res:* comes after res:*",
        "what is in memory is answered in the order of the requests",
    ),
    (
        "device-pair-flow",
        "res:device.token.rotate /payload/token missing",
        "a new token goes to its own device alone",
    ),
    (
        "device-pair-flow",
        "res:device.token.rotate */* *",
        "a rotation gives no scope and no role that was not approved",
    ),
    (
        "agent-abort",
        "*",
        "chat.abort stops every run of the session, whoever started it",
    ),
    (
        "sessions-*-while-running",
        "*",
        "a session that goes takes its run with it, and everybody is told",
    ),
    (
        "sessions-delete",
        "*event:chat:aborted*",
        "a session that goes takes its run with it, and everybody is told",
    ),
    (
        "chat-*",
        "res:agent.wait /payload/*",
        "an aborted run has ended: who waits for it is told so and not left to time out",
    ),
    (
        "chat-two-in-one-session",
        "*",
        "runs of one session follow each other, each with an answer of its own",
    ),
    (
        "chat-send-idempotent",
        "res:chat.send *",
        "a key belongs to one call: with another text it is refused",
    ),
    (
        "chat-send-attachment",
        "res:chat.send *",
        "what is neither a picture nor a text is refused and not left out in silence",
    ),
    (
        "chat-send-attachment",
        "event:* is not sent",
        "the second message, which is refused, has no run",
    ),
    (
        "chat-send-error",
        "res:chat.history /payload/messages/0/errorMessage missing",
        "the step that failed there is replayed as one without an answer",
    ),
    (
        "chat-send-main-alias",
        "res:chat.history /payload/sessionId extra",
        "an alias names the same session with the same id",
    ),
    (
        "sessions-patch",
        "res:sessions.patch /*",
        "a model of a provider that is not there is refused",
    ),
    (
        "sessions-compact",
        "res:chat.history /payload/messages/*",
        "the messages that are kept are others",
    ),
    (
        "sessions-resolve",
        "res:sessions.list /payload/sessions/0/* missing",
        "no message came through a channel",
    ),
    (
        "config-*",
        "* /error/message is \"SyntaxError: JSON5: *",
        "the reader says in its own words what is wrong where",
    ),
    (
        "config-*",
        "* /error/details/issues/0/* extra",
        "an issue says its place in the file",
    ),
    (
        "config-*",
        "* /payload/restart/*",
        "what can change does so at once; what cannot waits for a restart and is named",
    ),
    (
        "config-*",
        "* /payload/sentinel/*",
        "no file is left behind for the next process",
    ),
    (
        "frames-with-bad-members",
        "res:*",
        "an id that is no id is answered as one that is missing",
    ),
    (
        "shutdown-sigterm",
        "event:shutdown /payload/restartExpectedMs is a number, was null",
        "clients learn when to come back",
    ),
    (
        "*",
        "res:* comes after res:status",
        "the status is in memory: it is answered in its turn and not behind others",
    ),
    (
        "talk-mode-webchat",
        "res:talk.mode /error/*",
        "parameters are checked before anything else",
    ),
    (
        "webchat-tool-nodes",
        "res:chat.history /payload/messages/0/details/*",
        "the tool says how many nodes there are, of which it shows some",
    ),
    (
        "webchat-tool-exec",
        "res:chat.history /payload/messages/0/details missing",
        "the tool exec takes a command as a list of words here, and the model is told so",
    ),
    (
        "webchat-verbose-tools",
        "event:agent:tool is not sent",
        "a tool has its result as a whole",
    ),
    (
        "webchat-verbose-tools",
        "event:agent:tool /payload/data/*",
        "the tool exec takes a command as a list of words here, and the model is told so",
    ),
    (
        "agent-bad-params",
        "*",
        "a request that names no session, or an unknown channel, is refused at once",
    ),
];

/// The rows that allow a difference.
pub fn allowed(file: &str, difference: &str) -> Vec<usize> {
    let rows = DIFFERENCES.iter().enumerate();
    rows.filter(|(_, (files, pattern, _))| matches(files, file) && matches(pattern, difference))
        .map(|(at, _)| at)
        .collect()
}

/// Whether the text is the pattern, a `*` of which stands for anything.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(text) = text.strip_prefix(start) else {
        return false;
    };
    (0..=text.len())
        .filter(|at| text.is_char_boundary(*at))
        .any(|at| matches(rest, &text[at..]))
}
