//! Keys that other programs of the ecosystem read and this gateway does not: they are kept, and
//! told apart from typing errors.

/// What the sections that take any key may hold besides what [`super::table::ROWS`] says: the path
/// of the row, and words with blanks between them.
const UNSERVED: &[(&str, &str)] = &[
    (
        "agents.list[].tools.*",
        "profile alsoAllow byProvider elevated exec fs loopDetection sandbox",
    ),
    (
        "channels.*",
        "defaults modelByChannel whatsapp discord slack signal imessage bluebubbles googlechat msteams irc \
         matrix line feishu nostr mattermost zalo zalouser tlon twitch nextcloud-talk synology-chat",
    ),
    ("channels.telegram.*", TELEGRAM),
    ("channels.telegram.accounts.*.*", TELEGRAM),
    (
        "channels.telegram.groups.*.*",
        "tools toolsBySender skills systemPrompt topics groupPolicy",
    ),
    (
        "session.*",
        "identityLinks reset resetByType resetByChannel store typingIntervalSeconds typingMode \
         sendPolicy agentToAgent maintenance threadBindings parentForkMaxTokens",
    ),
    ("discovery.*", "wideArea"),
    (
        "logging.*",
        "consoleStyle redactSensitive redactPatterns maxFileBytes",
    ),
    (
        "cron.*",
        "store sessionRetention webhook webhookToken retry runLog failureAlert failureDestination",
    ),
    (
        "hooks.*",
        "presets transformsDir gmail internal defaultSessionKey allowRequestSessionKey \
         allowedSessionKeyPrefixes allowedAgentIds",
    ),
    (
        "hooks.mappings[].*",
        "id transform allowUnsafeExternalContent",
    ),
    ("ui.*", "seamColor"),
    (
        "browser.*",
        "cdpUrl remoteCdpTimeoutMs remoteCdpHandshakeTimeoutMs color executablePath headless noSandbox \
         attachOnly defaultProfile snapshotDefaults profiles evaluateEnabled cdpPortRangeStart ssrfPolicy \
         extraArgs relayBindHost",
    ),
    ("nodeHost.*", ""),
    (
        "messages.*",
        "messagePrefix responsePrefix groupChat inbound ackReaction ackReactionScope \
         removeAckAfterReply tts statusReactions suppressToolErrors",
    ),
    (
        "messages.queue.*",
        "byChannel debounceMs debounceMsByChannel cap drop",
    ),
    (
        "tools.*",
        "profile alsoAllow byProvider web media links message agentToAgent elevated exec subagents \
         sandbox fs loopDetection sessions sessions_spawn",
    ),
    ("mcp.*", "sessionIdleTtlMs"),
    (
        "mcp.servers.*.*",
        "type disabled timeout connectionTimeoutMs",
    ),
];

const TELEGRAM: &str = "capabilities markdown commands customCommands configWrites replyToMode \
    historyLimit dmHistoryLimit dms textChunkLimit chunkMode blockStreaming draftChunk \
    blockStreamingCoalesce timeoutSeconds retry network proxy actions \
    reactionNotifications reactionLevel ackReaction heartbeat linkPreview responsePrefix defaultAccount \
    defaultTo direct execApprovals webhookHost webhookPort threadBindings";

/// The keys of the ecosystem that a row which takes any key is kept for.
pub fn unserved(row: &str) -> impl Iterator<Item = &'static str> + Clone {
    let words = UNSERVED.iter().find(|(path, _)| *path == row);
    words
        .map_or("", |(_, words)| words)
        .split_ascii_whitespace()
}

/// The names of channels, ours first: the section holds two keys that are none.
pub fn channel_names() -> impl Iterator<Item = &'static str> {
    let others = unserved("channels.*");
    let others = others.filter(|word| !["defaults", "modelByChannel"].contains(word));
    std::iter::once("telegram").chain(others)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::table::ROWS;

    #[test]
    fn every_row_that_takes_any_key_has_its_words_and_no_word_is_a_served_key() {
        for (path, words) in UNSERVED {
            let rows = || ROWS.iter().map(|row| row.path);
            assert!(rows().any(|row| row == *path), "{path} is no row");
            let section = path.trim_end_matches('*');
            for word in words.split_ascii_whitespace() {
                let served = format!("{section}{word}");
                assert!(!rows().any(|row| row == served), "{served} is served");
            }
        }
        for row in ROWS.iter().filter(|row| row.path.ends_with(".*")) {
            assert!(
                UNSERVED.iter().any(|(path, _)| *path == row.path),
                "{}",
                row.path
            );
        }
    }
}
