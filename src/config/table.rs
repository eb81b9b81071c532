//! Every key that the program knows: what it may hold, and what a person is told about it.
//!
//! The validator, the JSON Schema, the hints for the web page and the question whether a change
//! needs a restart all come from this one table. In a path `*` stands for any key and `[]` for
//! any element.

use crate::limits;

/// One key.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    pub path: &'static str,
    pub kind: Kind,
    /// When a change takes effect.
    pub reload: Reload,
    pub label: &'static str,
    pub help: &'static str,
}

/// What a key may hold.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    Flag,
    /// A whole number in these bounds.
    Whole(u64, u64),
    /// A number not below zero.
    Number,
    Text,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A text that nobody may see, never empty.
    Secret,
    /// An address with one of these schemes.
    Url(&'static [&'static str]),
    Ip,
    Cidr,
    /// `scheme://host[:port]`, no path; or `*` never.
    Origin,
    /// Such as `30m`.
    Duration,
    /// An agent's id.
    AgentId,
    /// A path prefix: empty, or with a leading slash.
    UrlPath,
    /// A SHA-256 as 64 hex digits, colons allowed.
    Fingerprint,
    /// `"provider/model"` or `{primary, fallbacks}`.
    Model,
    List(&'static Kind),
    /// Any keys, values of one kind.
    Map(&'static Kind),
    /// Anything; references to the environment in it are resolved.
    Open,
    /// Anything; kept, never read. Forms show an object.
    Kept,
    /// The same; forms show this kind.
    KeptAs(&'static Kind),
}

/// When a change takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reload {
    Live,
    Restart,
}

use Kind::{
    AgentId, Choice, Cidr, Duration, Fingerprint, Flag, Ip, Kept, KeptAs, List, Map, Model, Number,
    Open, Origin, Secret, Text, Url, UrlPath, Whole,
};
use Reload::{Live, Restart};

/// Below it an unknown key is an error, elsewhere a warning.
pub const STRICT_SECTION: &str = "gateway";

const ANY: u64 = 9_007_199_254_740_991;
const LEVELS: Kind = Choice(&["silent", "fatal", "error", "warn", "info", "debug", "trace"]);
const THINKING: Kind = Choice(&["off", "minimal", "low", "medium", "high", "xhigh"]);
const STREAMING: Kind = Choice(&["off", "partial", "block", "progress"]);
const APIS: Kind = Choice(&[
    "openai-completions",
    "openai-responses",
    "anthropic-messages",
    "google-generative-ai",
    "github-copilot",
    "bedrock-converse-stream",
    "ollama",
    "builtin",
]);

const fn row(
    path: &'static str,
    kind: Kind,
    reload: Reload,
    label: &'static str,
    help: &'static str,
) -> Row {
    Row {
        path,
        kind,
        reload,
        label,
        help,
    }
}

/// The top-level sections in the order in which a person meets them: path, label.
pub const SECTIONS: &[(&str, &str)] = &[
    ("gateway", "Gateway"),
    ("agents", "Agents"),
    ("models", "Models"),
    ("channels", "Channels"),
    ("session", "Sessions"),
    ("retention", "Retention"),
    ("messages", "Messages"),
    ("cron", "Scheduled runs"),
    ("hooks", "Webhooks"),
    ("ui", "Web page"),
    ("browser", "Browser"),
    ("nodeHost", "Node host"),
    ("tools", "Tools"),
    ("mcp", "Servers of tools"),
    ("discovery", "Discovery"),
    ("logging", "Logging"),
    ("env", "Environment"),
];

/// All keys.
#[rustfmt::skip]
pub const ROWS: &[Row] = &[
    row("gateway.mode", Choice(&["local", "remote"]), Restart, "Mode", "\"local\" runs the gateway on this machine; \"remote\" uses one elsewhere."),
    row("gateway.port", Whole(1, 65_535), Restart, "Port", "The one port for WebSocket and HTTP; 18789 without it."),
    row("gateway.bind", Choice(&["loopback", "lan", "tailnet", "auto", "custom"]), Restart, "Bind", "Which addresses listen, loopback without it. Anything else needs a token or password."),
    row("gateway.customBindHost", Ip, Restart, "Bind address", "The address of bind \"custom\"."),
    row("gateway.auth.mode", Choice(&["token", "password"]), Live, "Auth mode", "Which shared secret clients show."),
    row("gateway.auth.token", Secret, Live, "Token", "The shared token; one is made in the state directory where none is set."),
    row("gateway.auth.password", Secret, Live, "Password", "The shared password."),
    row("gateway.auth.allowTailscale", Flag, Live, "Allow Tailscale identity", "A verified Tailscale identity counts as a secret."),
    row("gateway.remote.url", Url(&["ws", "wss"]), Live, "Remote URL", "The gateway that this machine's commands talk to."),
    row("gateway.remote.transport", Choice(&["ssh", "direct"]), Live, "Remote transport", "By an SSH tunnel, or directly."),
    row("gateway.remote.token", Secret, Live, "Remote token", "The remote gateway's token."),
    row("gateway.remote.password", Secret, Live, "Remote password", "The remote gateway's password."),
    row("gateway.remote.tlsFingerprint", Fingerprint, Live, "Remote TLS fingerprint", "SHA-256 of the remote gateway's certificate, or spki: and that of its key; a backup behind a comma."),
    row("gateway.remote.sshTarget", Text, Live, "SSH target", "user@host, or user@host:port."),
    row("gateway.remote.sshIdentity", Text, Live, "SSH identity", "The private key's file."),
    row("gateway.remote.remotePort", Whole(1, 65_535), Live, "Remote port", "The gateway's port on the host that is reached by SSH; 18789 without it."),
    row("gateway.trustedProxies", List(&Cidr), Live, "Trusted proxies", "Addresses or ranges whose forwarded headers are believed."),
    row("gateway.proxyProtocol", Flag, Live, "PROXY protocol", "Connections of trusted proxies begin with a PROXY header (version 1 or 2)."),
    row("gateway.controlUi.enabled", Flag, Restart, "Web page", "Serves the web page on the gateway's port."),
    row("gateway.controlUi.root", Text, Restart, "Web page root", "A directory of static files to serve instead of the built-in page."),
    row("gateway.controlUi.basePath", UrlPath, Restart, "Web page base path", "The path under which the page is served."),
    row("gateway.controlUi.allowedOrigins", List(&Origin), Live, "Allowed origins", "Web origins that may connect besides the gateway's own."),
    row("gateway.controlUi.allowInsecureAuth", Flag, Live, "Allow insecure auth", "Lets a page without a secure context in by the shared secret alone."),
    row("gateway.nodes.allowCommands", List(&Text), Live, "Allowed node commands", "Commands on top of the platform's list."),
    row("gateway.nodes.denyCommands", List(&Text), Live, "Denied node commands", "Commands that no node is asked to run."),
    row("gateway.nodes.browser.mode", Choice(&["auto", "manual", "off"]), Live, "Browser node", "Which node's browser is used."),
    row("gateway.nodes.browser.node", Text, Live, "Browser node id", "The node of mode \"manual\"."),
    row("gateway.reload.mode", Choice(&["off", "restart", "hot", "hybrid"]), Live, "Reload", "What happens when this file changes."),
    row("gateway.reload.debounceMs", Whole(0, 60_000), Live, "Reload delay", "Milliseconds without a further change before a reload."),
    row("gateway.limits.maxPayload", Whole(1_024, limits::MESSAGE_BYTES_MAX_CONFIGURABLE as u64), Restart, "Longest message", "Bytes of one message."),
    row("gateway.limits.handshakesPerIp", Whole(1, 100_000), Live, "Handshakes an address", "Connections of one address that have not finished the handshake."),
    row("gateway.limits.handshakes", Whole(1, 1_000_000), Live, "Handshakes", "Connections that have not finished the handshake."),
    row("gateway.limits.maxBufferedBytes", Whole(64 * 1_024, limits::OUTBOX_HARD_BYTES as u64 - 1), Restart, "Queued bytes", "Bytes queued for a peer that takes none before it is cut."),
    row("gateway.limits.maxBufferedBytesTotal", Whole(limits::OUTBOX_HARD_BYTES as u64, 1 << 40), Restart, "Queued bytes in all", "Bytes queued for all peers."),
    row("gateway.limits.memory", Whole(limits::MEMORY_LIMIT_BYTES_MIN, 1 << 40), Restart, "Memory", "Bytes of memory beyond which new work is refused; what a control group or ulimit allows is kept in any case."),
    row("gateway.limits.tickIntervalMs", Whole(1_000, 300_000), Restart, "Tick interval", "Milliseconds between two tick events."),
    row("gateway.limits.pingIntervalMs", Whole(1_000, 300_000), Restart, "Ping interval", "Milliseconds between two pings; a peer that answers none of the last is gone."),
    row("gateway.tls.enabled", Flag, Restart, "TLS", "Serves TLS on the port; off without it."),
    row("gateway.tls.autoGenerate", Flag, Restart, "Own certificate", "Makes a self-signed certificate where none is given."),
    row("gateway.tls.certPath", Text, Restart, "Certificate", "PEM file."),
    row("gateway.tls.keyPath", Text, Restart, "Private key", "PEM file."),
    row("gateway.tls.caPath", Text, Restart, "Client authority", "PEM file of the authority that signs clients' certificates."),
    row("gateway.tailscale.mode", Choice(&["off", "serve", "funnel"]), Restart, "Tailscale", "Publishes the port by Tailscale."),
    row("gateway.tailscale.resetOnExit", Flag, Restart, "Reset Tailscale", "Takes the publication back at the end."),
    row("gateway.tailscale.socket", Text, Restart, "Tailscale socket", "The daemon's socket, where it is not the usual one."),
    row("gateway.http.endpoints.chatCompletions.enabled", Flag, Live, "Chat completions", "Serves /v1/chat/completions."),
    row("gateway.http.endpoints.chatCompletions.maxBodyBytes", Whole(1_024, 64 << 20), Live, "Longest body", "Bytes of a request body."),
    row("gateway.http.endpoints.responses.enabled", Flag, Live, "Responses", "Serves /v1/responses."),
    row("gateway.http.endpoints.responses.maxBodyBytes", Whole(1_024, 64 << 20), Live, "Longest body", "Bytes of a request body."),
    row("gateway.http.endpoints.responses.files", Kept, Live, "Files", "How files in a request are taken."),
    row("gateway.http.endpoints.responses.images", Kept, Live, "Images", "How images in a request are taken."),

    row("agents.maxConcurrent", Whole(1, 1_024), Live, "Runs at a time", "All agents together; outranks agents.defaults.maxConcurrent."),
    row("agents.defaults.model", Model, Live, "Model", "provider/model, with fallbacks."),
    row("agents.defaults.workspace", Text, Live, "Workspace", "The directory that agents work in."),
    row("agents.defaults.maxConcurrent", Whole(1, 1_024), Live, "Runs at a time", "All agents together; 4 without it."),
    row("agents.defaults.timeoutSeconds", Whole(1, limits::RUN_SECONDS_MAX), Live, "Longest run", "Seconds."),
    row("agents.defaults.thinkingDefault", THINKING, Live, "Thinking", "How much a model thinks without being told."),
    row("agents.defaults.verboseDefault", Choice(&["off", "on", "full"]), Live, "Verbose", "Whether tool events reach the chat."),
    row("agents.defaults.contextTokens", Whole(1, ANY), Live, "Context tokens", "The part of a model's window that is used."),
    row("agents.defaults.heartbeat.every", Duration, Live, "Heartbeat", "Such as 30m; 0m switches it off."),
    row("agents.defaults.heartbeat.model", Text, Live, "Heartbeat model", "provider/model."),
    row("agents.defaults.heartbeat.session", Text, Live, "Heartbeat session", "The session that it runs in."),
    row("agents.defaults.heartbeat.target", Text, Live, "Heartbeat target", "The channel that gets the answer besides the main session; \"last\" is the last used, \"none\" none."),
    row("agents.defaults.heartbeat.to", Text, Live, "Heartbeat receiver", "Who gets the answer in that channel."),
    row("agents.defaults.heartbeat.prompt", Text, Live, "Heartbeat prompt", "What the agent is asked."),
    row("agents.defaults.heartbeat.ackMaxChars", Whole(0, 100_000), Live, "Heartbeat quiet answer", "A \"nothing to do\" of at most so many characters is not shown."),
    row("agents.defaults.heartbeat.includeReasoning", Flag, Live, "Heartbeat reasoning", "Sends the reasoning too."),
    row("agents.defaults.heartbeat.activeHours.start", Text, Live, "Heartbeats from", "HH:MM."),
    row("agents.defaults.heartbeat.activeHours.end", Text, Live, "Heartbeats until", "HH:MM."),
    row("agents.defaults.heartbeat.activeHours.timezone", Text, Live, "Heartbeat time zone", "Such as Europe/Vienna, user or local."),
    row("agents.defaults.subagents", Kept, Live, "Subagents", "Runs that a run starts."),
    row("agents.defaults.models", Kept, Live, "Model catalogue", "Aliases and parameters of models."),
    row("agents.defaults.imageModel", Model, Live, "Image model", "provider/model for images."),
    row("agents.defaults.memorySearch", Kept, Live, "Memory search", "How an agent searches its notes."),
    row("agents.defaults.contextPruning", Kept, Live, "Context pruning", "What is left out of a long context."),
    row("agents.defaults.compaction", Kept, Live, "Compaction", "How a long session is shortened."),
    row("agents.defaults.sandbox", Kept, Live, "Sandbox", "Where tools run."),
    row("agents.defaults.cliBackends", Kept, Live, "Command-line backends", "Programs that answer instead of a model."),
    row("agents.defaults.blockStreamingChunk", Kept, Live, "Block streaming", "How an answer is cut into messages."),
    row("agents.defaults.blockStreamingCoalesce", Kept, Live, "Block streaming", "How short pieces are put together."),
    row("agents.defaults.humanDelay", Kept, Live, "Human delay", "Pauses between messages."),
    row("agents.defaults.repoRoot", KeptAs(&Text), Live, "Repository root", "Told to the agent."),
    row("agents.defaults.skipBootstrap", KeptAs(&Flag), Live, "Skip bootstrap", "Makes no files in a new workspace."),
    row("agents.defaults.bootstrapMaxChars", KeptAs(&Number), Live, "Bootstrap characters", "The part of a workspace's files that is told."),
    row("agents.defaults.userTimezone", Text, Live, "Time zone", "Told to the agent."),
    row("agents.defaults.timeFormat", KeptAs(&Text), Live, "Time format", "auto, 12 or 24."),
    row("agents.defaults.envelopeTimezone", KeptAs(&Text), Live, "Envelope time zone", "The zone of message times."),
    row("agents.defaults.envelopeTimestamp", KeptAs(&Text), Live, "Envelope time", "Whether messages carry their time."),
    row("agents.defaults.envelopeElapsed", KeptAs(&Text), Live, "Envelope elapsed", "Whether messages carry the time since the last."),
    row("agents.defaults.elevatedDefault", KeptAs(&Text), Live, "Elevated", "off, on, ask or full."),
    row("agents.defaults.blockStreamingDefault", KeptAs(&Text), Live, "Block streaming", "off or on."),
    row("agents.defaults.blockStreamingBreak", KeptAs(&Text), Live, "Block streaming", "Where an answer is cut."),
    row("agents.defaults.mediaMaxMb", KeptAs(&Number), Live, "Media size", "Megabytes."),
    row("agents.defaults.typingIntervalSeconds", KeptAs(&Number), Live, "Typing interval", "Seconds."),
    row("agents.defaults.typingMode", KeptAs(&Text), Live, "Typing", "When typing is shown."),
    row("agents.list[].id", AgentId, Live, "Id", "Lower-case letters, digits, _ and -."),
    row("agents.list[].name", Text, Live, "Name", "How the agent is called."),
    row("agents.list[].default", Flag, Live, "Default", "Answers where no agent is named."),
    row("agents.list[].workspace", Text, Live, "Workspace", "The directory that the agent works in."),
    row("agents.list[].identity.name", Text, Live, "Shown name", "How the agent calls itself."),
    row("agents.list[].identity.emoji", Text, Live, "Emoji", "One character."),
    row("agents.list[].identity.avatar", Text, Live, "Avatar", "An address, or a file in the workspace."),
    row("agents.list[].identity.theme", Text, Live, "Theme", "In a few words."),
    row("agents.list[].model", Model, Live, "Model", "provider/model, with fallbacks."),
    row("agents.list[].heartbeat.every", Duration, Live, "Heartbeat", "Such as 30m; 0m switches it off."),
    row("agents.list[].heartbeat.model", Text, Live, "Heartbeat model", "provider/model."),
    row("agents.list[].heartbeat.session", Text, Live, "Heartbeat session", "The session that it runs in."),
    row("agents.list[].heartbeat.target", Text, Live, "Heartbeat target", "The channel that gets the answer."),
    row("agents.list[].heartbeat.to", Text, Live, "Heartbeat receiver", "Who gets the answer in that channel."),
    row("agents.list[].heartbeat.prompt", Text, Live, "Heartbeat prompt", "What the agent is asked."),
    row("agents.list[].heartbeat.ackMaxChars", Whole(0, 100_000), Live, "Heartbeat quiet answer", "A \"nothing to do\" of at most so many characters is not shown."),
    row("agents.list[].heartbeat.includeReasoning", Flag, Live, "Heartbeat reasoning", "Sends the reasoning too."),
    row("agents.list[].heartbeat.activeHours.start", Text, Live, "Heartbeats from", "HH:MM."),
    row("agents.list[].heartbeat.activeHours.end", Text, Live, "Heartbeats until", "HH:MM."),
    row("agents.list[].heartbeat.activeHours.timezone", Text, Live, "Heartbeat time zone", "Such as Europe/Vienna."),
    row("agents.list[].agentDir", KeptAs(&Text), Live, "Agent directory", "The agent's own files."),
    row("agents.list[].memorySearch", Kept, Live, "Memory search", "How the agent searches its notes."),
    row("agents.list[].humanDelay", Kept, Live, "Human delay", "Pauses between messages."),
    row("agents.list[].groupChat", Kept, Live, "Group chat", "When it answers in groups."),
    row("agents.list[].subagents", Kept, Live, "Subagents", "Runs that a run starts."),
    row("agents.list[].sandbox", Kept, Live, "Sandbox", "Where tools run."),
    row("agents.list[].tools.allow", List(&Text), Live, "Allowed tools", "Only these of what all agents have; group:fs, group:runtime, * and the like."),
    row("agents.list[].tools.deny", List(&Text), Live, "Denied tools", "Outranks what is allowed."),
    row("agents.list[].tools.*", Kept, Live, "", ""),

    row("models.mode", Choice(&["merge", "replace"]), Live, "Mode", "Adds to the known models, or replaces them."),
    row("models.bedrockDiscovery", Kept, Live, "Discovery", "Models found by asking."),
    row("models.providers.*.baseUrl", Url(&["http", "https"]), Live, "Base URL", "Where the provider is."),
    row("models.providers.*.apiKey", Secret, Live, "API key", "Best as a reference: ${NAME}."),
    row("models.providers.*.apiKeyFile", Text, Live, "API key file", "A file with the key in its first line."),
    row("models.providers.*.apiKeyCommand", List(&Text), Live, "API key command", "Words of a command that prints the key; no shell reads them."),
    row("models.providers.*.auth", Choice(&["api-key", "aws-sdk", "oauth", "token"]), Live, "Auth", "How the key is used."),
    row("models.providers.*.api", APIS, Live, "API", "The protocol that the provider speaks."),
    row("models.providers.*.headers", Map(&Text), Live, "Headers", "Sent with every request."),
    row("models.providers.*.authHeader", Flag, Live, "Auth header", "Sends the key as a bearer token."),
    row("models.providers.*.models[].id", Text, Live, "Id", "As the provider calls it."),
    row("models.providers.*.models[].name", Text, Live, "Name", "As people call it."),
    row("models.providers.*.models[].api", APIS, Live, "API", "Where it differs from the provider's."),
    row("models.providers.*.models[].reasoning", Flag, Live, "Reasoning", "Whether it thinks before it answers."),
    row("models.providers.*.models[].input", List(&Text), Live, "Input", "text, image."),
    row("models.providers.*.models[].cost.input", Number, Live, "Cost of input", "Dollars for a million tokens."),
    row("models.providers.*.models[].cost.output", Number, Live, "Cost of output", "Dollars for a million tokens."),
    row("models.providers.*.models[].cost.cacheRead", Number, Live, "Cost of cache reads", "Dollars for a million tokens."),
    row("models.providers.*.models[].cost.cacheWrite", Number, Live, "Cost of cache writes", "Dollars for a million tokens."),
    row("models.providers.*.models[].contextWindow", Whole(1, ANY), Live, "Context window", "Tokens."),
    row("models.providers.*.models[].maxTokens", Whole(1, ANY), Live, "Longest answer", "Tokens."),
    row("models.providers.*.models[].headers", Map(&Text), Live, "Headers", "Sent with every request."),
    row("models.providers.*.models[].compat", Kept, Live, "Compatibility", "What the provider does differently."),

    row("channels.telegram.enabled", Flag, Live, "Telegram", "Whether the channel runs."),
    row("channels.telegram.name", Text, Live, "Name", "How the account is shown."),
    row("channels.telegram.botToken", Secret, Live, "Bot token", "From @BotFather."),
    row("channels.telegram.tokenFile", Text, Live, "Token file", "A file that holds the bot token."),
    row("channels.telegram.dmPolicy", Choice(&["pairing", "allowlist", "open", "disabled"]), Live, "Direct messages", "Who may write."),
    row("channels.telegram.allowFrom", List(&Text), Live, "Allowed senders", "User ids or names."),
    row("channels.telegram.groupPolicy", Choice(&["open", "disabled", "allowlist"]), Live, "Groups", "Whose messages in groups are answered."),
    row("channels.telegram.groupAllowFrom", List(&Text), Live, "Allowed group senders", "User ids or names."),
    row("channels.telegram.groups.*.enabled", Flag, Live, "Group", "Whether this group is answered."),
    row("channels.telegram.groups.*.requireMention", Flag, Live, "Mention", "Whether only what names the bot is answered; true without it."),
    row("channels.telegram.groups.*.allowFrom", List(&Text), Live, "Allowed senders", "In place of the account's."),
    row("channels.telegram.groups.*.*", Kept, Live, "", ""),
    row("channels.telegram.apiRoot", Url(&["https", "http"]), Live, "Bot API", "A server of your own; https://api.telegram.org without it."),
    row("channels.telegram.mediaMaxMb", Whole(1, 20), Live, "Longest file", "Millions of bytes of a file that is loaded; 5 without it."),
    row("channels.telegram.streamMode", Choice(&["off", "partial", "block"]), Live, "Drafts", "How an answer is shown while it is being written: not, as far as it has come (the default), or by paragraphs."),
    row("channels.telegram.streaming", KeptAs(&STREAMING), Live, "Drafts", "The same as newer programs write it: off, partial, block or progress, or { mode }."),
    row("channels.telegram.resendUnknown", Flag, Live, "Resend", "Sends again what may have arrived already; somebody may get it twice."),
    row("channels.telegram.accounts.*.enabled", Flag, Live, "Account", "Whether the account runs."),
    row("channels.telegram.accounts.*.name", Text, Live, "Name", "How the account is shown."),
    row("channels.telegram.accounts.*.botToken", Secret, Live, "Bot token", "From @BotFather."),
    row("channels.telegram.accounts.*.tokenFile", Text, Live, "Token file", "A file that holds the bot token."),
    row("channels.telegram.accounts.*.dmPolicy", Choice(&["pairing", "allowlist", "open", "disabled"]), Live, "Direct messages", "Who may write."),
    row("channels.telegram.accounts.*.allowFrom", List(&Text), Live, "Allowed senders", "User ids or names."),
    row("channels.telegram.accounts.*.groupPolicy", Choice(&["open", "disabled", "allowlist"]), Live, "Groups", "Whose messages in groups are answered."),
    row("channels.telegram.accounts.*.groupAllowFrom", List(&Text), Live, "Allowed group senders", "User ids or names."),
    row("channels.telegram.accounts.*.streamMode", Choice(&["off", "partial", "block"]), Live, "Drafts", "As above."),
    row("channels.telegram.accounts.*.streaming", KeptAs(&STREAMING), Live, "Drafts", "As above."),
    row("channels.telegram.accounts.*.webhookUrl", Url(&["https"]), Live, "Webhook", "As above."),
    row("channels.telegram.accounts.*.webhookSecret", Secret, Live, "Webhook secret", "As above."),
    row("channels.telegram.accounts.*.webhookPath", UrlPath, Live, "Webhook path", "As above."),
    row("channels.telegram.accounts.*.groups", Map(&Open), Live, "Groups", "In place of the channel's."),
    row("channels.telegram.accounts.*.apiRoot", Url(&["https", "http"]), Live, "Bot API", "A server of your own."),
    row("channels.telegram.accounts.*.mediaMaxMb", Whole(1, 20), Live, "Longest file", "Millions of bytes of a file that is loaded; 5 without it."),
    row("channels.telegram.accounts.*.resendUnknown", Flag, Live, "Resend", "Sends again what may have arrived already; somebody may get it twice."),
    row("channels.telegram.accounts.*.*", Open, Live, "", ""),
    row("channels.telegram.webhookUrl", Url(&["https"]), Live, "Webhook", "Where Telegram brings messages to; without it the gateway asks."),
    row("channels.telegram.webhookSecret", Secret, Live, "Webhook secret", "What Telegram shows with each message."),
    row("channels.telegram.webhookPath", UrlPath, Live, "Webhook path", "The path on the gateway's port that the URL leads to; /telegram-webhook without it."),
    row("channels.telegram.*", Open, Live, "", ""),
    row("channels.*", Map(&Open), Live, "", ""),

    row("session.scope", Choice(&["per-sender", "global"]), Restart, "Scope", "One session a sender, or one for all."),
    row("session.mainKey", Text, Restart, "Main session", "The name of each agent's main session."),
    row("session.dmScope", Choice(&["main", "per-peer", "per-channel-peer"]), Restart, "Direct messages", "Which session direct messages belong to."),
    row("session.resetTriggers", List(&Text), Live, "Reset words", "Messages that start the session afresh."),
    row("session.idleMinutes", Whole(1, ANY), Live, "Idle minutes", "Minutes after which the session starts afresh."),
    row("session.*", Kept, Live, "", ""),

    row("retention.messages.maxAgeDays", Whole(1, 36_500), Live, "Age of messages", "Days; older ones go."),
    row("retention.messages.maxEntries", Whole(10, ANY), Live, "Messages of a session", "More than these go, oldest first."),
    row("retention.runs.maxAgeDays", Whole(1, 36_500), Live, "Age of runs", "Days; older ones go."),
    row("retention.runs.maxEntries", Whole(10, ANY), Live, "Runs of a job", "More than these go, oldest first."),

    row("discovery.mdns.mode", Choice(&["off", "minimal", "full"]), Restart, "Tell the network", "By multicast DNS; without it minimal where the network can reach the port, else off."),
    row("discovery.*", Kept, Live, "", ""),
    row("logging.level", LEVELS, Live, "Level", "Lines below it are not written; info without it."),
    row("logging.file", Text, Restart, "File", "logs/clawdia.log in the state directory without it."),
    row("logging.maxBytes", Whole(64 * 1_024, 1 << 40), Restart, "Size", "Bytes after which the file is rotated."),
    row("logging.keep", Whole(1, 100), Restart, "Kept files", "Rotated files besides the current one."),
    row("logging.consoleLevel", LEVELS, Restart, "Terminal level", "What the terminal shows."),
    row("logging.*", Kept, Live, "", ""),

    row("cron.enabled", Flag, Live, "Scheduled runs", "Whether jobs run."),
    row("cron.maxConcurrentRuns", Whole(1, 1_024), Live, "Jobs at a time", "Jobs that run at the same time."),
    row("cron.*", Kept, Live, "", ""),
    row("hooks.enabled", Flag, Live, "Webhooks", "Serves /hooks/wake and /hooks/agent."),
    row("hooks.path", UrlPath, Live, "Path", "The prefix of both."),
    row("hooks.token", Secret, Live, "Token", "What callers show; never the gateway's own."),
    row("hooks.maxBodyBytes", Whole(1_024, 64 << 20), Live, "Longest body", "Bytes."),
    row("hooks.mappings[].match.path", Text, Live, "Path", "Behind the hooks' own."),
    row("hooks.mappings[].match.source", Text, Live, "Source", "The body's member source."),
    row("hooks.mappings[].action", Choice(&["wake", "agent"]), Live, "Action", "A line for the main session, or a run."),
    row("hooks.mappings[].wakeMode", Choice(&["now", "next-heartbeat"]), Live, "When", "When the main session hears of it."),
    row("hooks.mappings[].name", Text, Live, "Name", "Who it comes from."),
    row("hooks.mappings[].agentId", Text, Live, "Agent", "The default one without it."),
    row("hooks.mappings[].sessionKey", Text, Live, "Session", "One of its own without it."),
    row("hooks.mappings[].channel", Text, Live, "Channel", "Where the answer goes."),
    row("hooks.mappings[].to", Text, Live, "Receiver", "Who gets the answer."),
    row("hooks.mappings[].model", Text, Live, "Model", "provider/model."),
    row("hooks.mappings[].thinking", Text, Live, "Thinking", "How much the model thinks."),
    row("hooks.mappings[].messageTemplate", Text, Live, "Message", "Of a run; {{a.b[0]}} is a value of the body."),
    row("hooks.mappings[].textTemplate", Text, Live, "Text", "Of a line."),
    row("hooks.mappings[].deliver", Flag, Live, "Deliver", "Sends the answer to a channel."),
    row("hooks.mappings[].timeoutSeconds", Whole(1, limits::RUN_SECONDS_MAX), Live, "Longest run", "Seconds."),
    row("hooks.mappings[].*", Kept, Live, "", ""),
    row("hooks.*", Kept, Live, "", ""),
    row("ui.assistant.name", Text, Live, "Assistant name", "Shown by the page."),
    row("ui.assistant.avatar", Text, Live, "Assistant avatar", "Shown by the page."),
    row("ui.*", Kept, Live, "", ""),
    row("browser.enabled", Flag, Live, "Browser", "Gateway and node of this machine may use its browser."),
    row("browser.controlUrl", Url(&["http"]), Live, "Control address", "The browser control server: 127.0.0.1, or an address of the tailnet."),
    row("browser.controlToken", Secret, Live, "Control token", "That server's own secret; never the gateway's."),
    row("browser.*", Kept, Live, "", ""),
    row("nodeHost.browserProxy.enabled", Flag, Live, "Lend the browser", "clawdia node run offers browser.proxy."),
    row("nodeHost.browserProxy.allowProfiles", List(&Text), Live, "Browser profiles", "Those that a gateway may use; empty: all."),
    row("nodeHost.*", Kept, Live, "", ""),
    row("env", Kept, Restart, "Environment", "Variables for references; the process's own come first."),

    row("messages.queue.mode", Choice(&["followup", "collect", "steer", "interrupt", "queue", "steer-backlog", "steer+backlog"]), Live, "Messages during a run", "A run each (followup), one for all that wait (collect), read by the run at work (steer), or instead of it (interrupt)."),
    row("messages.queue.*", Kept, Live, "", ""),
    row("messages.*", Kept, Live, "", ""),
    row("tools.allow", List(&Text), Live, "Allowed tools", "Only these; empty: all. Names, group:fs, group:runtime, group:web, * and the like."),
    row("tools.deny", List(&Text), Live, "Denied tools", "Outranks what is allowed."),
    row("tools.*", Kept, Live, "", ""),
    row("mcp.servers.*.enabled", Flag, Live, "Used", "Whether agents have its tools."),
    row("mcp.servers.*.transport", Choice(&["stdio", "streamable-http", "http"]), Live, "Transport", "Follows from command or url."),
    row("mcp.servers.*.command", Text, Live, "Program", "A server that is started, and speaks on its standard streams."),
    row("mcp.servers.*.args", List(&Text), Live, "Arguments", "Of the program; no shell reads them."),
    row("mcp.servers.*.env", Map(&Text), Live, "Variables", "Best as references: ${NAME}."),
    row("mcp.servers.*.cwd", Text, Live, "Folder", "Where the program starts; the home without it."),
    row("mcp.servers.*.workingDirectory", Text, Live, "Folder", "Another name of cwd."),
    row("mcp.servers.*.url", Url(&["http", "https"]), Live, "Address", "A server that is reached by streamable HTTP."),
    row("mcp.servers.*.headers", Map(&Text), Live, "Headers", "Sent with every request, to that host alone."),
    row("mcp.servers.*.*", Kept, Live, "", ""),
    row("mcp.*", Kept, Live, "", ""),

    row("approvals", Kept, Live, "Approvals", "Kept for the programs that use it."),
    row("audio", Kept, Live, "Audio", "Kept for the programs that use it."),
    row("auth", Kept, Live, "Provider logins", "Kept for the programs that use it."),
    row("bindings", KeptAs(&List(&Kept)), Live, "Bindings", "Kept for the programs that use it."),
    row("broadcast", Kept, Live, "Broadcast", "Kept for the programs that use it."),
    row("canvasHost", Kept, Live, "Canvas", "Kept for the programs that use it."),
    row("commands", Kept, Live, "Commands", "Kept for the programs that use it."),
    row("diagnostics", Kept, Live, "Diagnostics", "Kept for the programs that use it."),
    row("media", Kept, Live, "Media", "Kept for the programs that use it."),
    row("meta", Kept, Live, "Meta", "Who wrote the file last."),
    row("plugins", Kept, Live, "Plugins", "Kept for the programs that use it."),
    row("skills", Kept, Live, "Skills", "Kept for the programs that use it."),
    row("talk", Kept, Live, "Talk", "Kept for the programs that use it."),
    row("update", Kept, Live, "Update", "Kept for the programs that use it."),
    row("web", Kept, Live, "Web", "Kept for the programs that use it."),
    row("wizard", Kept, Live, "Wizard", "Kept for the programs that use it."),
];

/// The table as a tree, for walking a document and it together.
#[derive(Debug, Default)]
pub struct Shape {
    pub row: Option<&'static Row>,
    /// In the table's order.
    pub keys: Vec<(&'static str, Shape)>,
    /// For any other key.
    pub any_key: Option<Box<Shape>>,
    /// For elements.
    pub element: Option<Box<Shape>>,
}

impl Shape {
    /// The root of the table's tree, made once.
    pub fn root() -> &'static Self {
        static ROOT: std::sync::OnceLock<Shape> = std::sync::OnceLock::new();
        ROOT.get_or_init(|| {
            let mut root = Self::default();
            for row in ROWS {
                root.insert(row);
            }
            root
        })
    }

    /// What is known of a key: by its name, else as any key.
    pub fn key(&self, name: &str) -> Option<&Self> {
        self.keys
            .iter()
            .find(|(key, _)| *key == name)
            .map(|(_, shape)| shape)
            .or(self.any_key.as_deref())
    }

    /// What is known of a step of a concrete path, in an object or in an array.
    pub fn step(&self, step: &str) -> Option<&Self> {
        self.element.as_deref().or_else(|| self.key(step))
    }

    fn insert(&mut self, row: &'static Row) {
        let mut shape = self;
        for segment in row.path.split('.') {
            let (key, is_list) = match segment.strip_suffix("[]") {
                Some(key) => (key, true),
                None => (segment, false),
            };
            shape = shape.child(key);
            if is_list {
                shape = shape.element.get_or_insert_default();
            }
        }
        shape.row = Some(row);
    }

    fn child(&mut self, key: &'static str) -> &mut Self {
        if key == "*" {
            return self.any_key.get_or_insert_default();
        }
        let index = match self.keys.iter().position(|(k, _)| *k == key) {
            Some(index) => index,
            None => {
                self.keys.push((key, Self::default()));
                self.keys.len() - 1
            }
        };
        &mut self.keys[index].1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_key_stands_twice_and_each_is_told() {
        let mut seen = HashSet::new();
        for row in ROWS {
            assert!(seen.insert(row.path), "{} twice", row.path);
            let silent = row.path.ends_with('*');
            assert_eq!(row.label.is_empty(), silent, "{}", row.path);
        }
    }

    #[test]
    fn the_strict_section_has_no_gaps() {
        let mut open = vec![Shape::root().key(STRICT_SECTION).unwrap()];
        while let Some(shape) = open.pop() {
            assert!(shape.any_key.is_none());
            open.extend(shape.keys.iter().map(|(_, child)| child));
        }
    }
}
