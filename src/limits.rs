//! Every bound and timeout of the program, with its unit in the name.
//!
//! Values that an operator may change are defaults here; the configuration overrides them
//! within the asserted relations at the foot of this file.

// ---- HTTP head and plain requests -------------------------------------------------------

/// Longest HTTP request head, request line and headers together.
pub const HTTP_HEAD_BYTES_MAX: usize = 16 * 1024;
/// Most header fields of one request.
pub const HTTP_HEADERS_MAX: usize = 100;
/// Longest single line of a request head.
pub const HTTP_LINE_BYTES_MAX: usize = 8 * 1024;
/// Longest body of a plain HTTP request.
pub const HTTP_BODY_BYTES_MAX: usize = 1024 * 1024;
/// Longest run that a configuration or a request may ask for, in seconds.
pub const RUN_SECONDS_MAX: u64 = 86_400;
/// From the end of the head to the end of the body.
pub const HTTP_BODY_DEADLINE_MS: u64 = 10_000;

/// Longest PROXY protocol header, what it tells beyond the addresses included.
pub const PROXY_HEADER_BYTES_MAX: usize = 1024;

// ---- Memory -----------------------------------------------------------------------------

/// Between two looks at what the process uses, where it may use only so much.
pub const MEMORY_LOOK_MS: u64 = 100;
/// Bytes from peers after which it is looked at in any case.
pub const MEMORY_LOOK_BYTES: u64 = 1024 * 1024;
/// Bytes of unfinished messages from which on their peer is sent away where memory is short.
pub const MEMORY_HEAVY_BYTES: usize = 16 * 1024;
/// The least that a gateway may be told to get along with.
pub const MEMORY_LIMIT_BYTES_MIN: u64 = 32 * 1024 * 1024;

// ---- WebSocket frames and messages ------------------------------------------------------

/// Longest message before the handshake is done.
pub const MESSAGE_BYTES_MAX_BEFORE_HELLO: usize = 64 * 1024;
/// Longest message after the handshake, as advertised in `policy.maxPayload`.
pub const MESSAGE_BYTES_MAX: usize = 512 * 1024;
/// The highest value that the configuration may give the former.
pub const MESSAGE_BYTES_MAX_CONFIGURABLE: usize = 25 * 1024 * 1024;
/// Most fragments of one message.
pub const FRAGMENTS_MAX: u32 = 100_000;
/// RFC 6455 5.5: control frames fit in 125 bytes.
pub const CONTROL_BYTES_MAX: usize = 125;
/// RFC 6455 5.5.1: a close reason shares the control frame with its two-byte code.
pub const CLOSE_REASON_BYTES_MAX: usize = CONTROL_BYTES_MAX - 2;
/// Pongs of one peer that wait to be sent; of further pings only the latest is answered.
pub const PONGS_QUEUED_BYTES_MAX: usize = 512;
/// Buffers for unfinished messages kept for the next peers that need one.
pub const ASSEMBLIES_SPARE_MAX: usize = 64;
/// A buffer that grew larger than this goes back to the allocator instead.
pub const ASSEMBLY_SPARE_BYTES_MAX: usize = 64 * 1024;

// ---- Connections ------------------------------------------------------------------------

/// From accept to hello-ok, not extended by bytes.
pub const HANDSHAKE_DEADLINE_MS: u64 = 10_000;
/// Connections of one address that have not finished the handshake (loopback is exempt).
pub const HANDSHAKES_PER_IP_MAX: usize = 32;
/// Connections of all addresses that have not finished the handshake.
pub const HANDSHAKES_MAX: usize = 4_096;
/// Time for the peer's close frame after ours.
pub const CLOSE_GRACE_MS: u64 = 1_000;
/// One ping each interval; a connection that answered none of the last is dead.
pub const PING_INTERVAL_MS: u64 = 25_000;
/// Interval of the `tick` event, as advertised in `policy.tickIntervalMs`.
pub const TICK_INTERVAL_MS: u64 = 30_000;
/// Requests of one connection that wait for their answer.
pub const REQUESTS_IN_FLIGHT_MAX: usize = 64;
/// Unauthorized or invalid calls in a row that are answered; the next one closes.
pub const UNAUTHORIZED_IN_ROW_MAX: u32 = 10;

// ---- Outbound bytes ---------------------------------------------------------------------

/// Above it, and with no byte taken for `SLOW_PEER_GRACE_MS`, a peer is a slow consumer;
/// reading from it stops at once. Advertised in `policy.maxBufferedBytes`.
pub const OUTBOX_SOFT_BYTES: usize = 1_572_864;
/// A peer never has more than this queued.
pub const OUTBOX_HARD_BYTES: usize = 50 * 1024 * 1024;
/// All peers together; the start lowers it to a quarter of the machine's memory.
pub const OUTBOX_TOTAL_BYTES_MAX: usize = 256 * 1024 * 1024;
/// How long a peer above the soft limit may take no byte.
pub const SLOW_PEER_GRACE_MS: u64 = 10_000;

// ---- The loop ---------------------------------------------------------------------------

/// The loop's one receive buffer.
pub const RECEIVE_BUFFER_BYTES: usize = 64 * 1024;
/// Bytes that simd-json may read, not write, behind its input.
pub const JSON_PADDING_BYTES: usize = 64;
/// Connections accepted in one turn.
pub const ACCEPTS_PER_TURN_MAX: usize = 64;
/// Bytes read from one peer in one turn.
pub const READ_BYTES_PER_TURN_MAX: usize = 256 * 1024;
/// Bytes read from all peers together after which their answers are sent within the turn, so that
/// what waits to be sent stays small and in the processor's cache.
pub const READ_BYTES_PER_FLUSH: usize = 128 * 1024;
/// Answers of workers and the store taken in one turn.
pub const ANSWERS_PER_TURN_MAX: usize = 256;
/// Back-off after accept failed for want of descriptors: first and longest.
pub const ACCEPT_BACKOFF_MS: (u64, u64) = (10, 1_000);
/// Questions for files that wait.
pub const FILE_REQUESTS_MAX: usize = 256;
/// Largest file of the control page.
pub const STATIC_FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// How long a supervisor waits for our end before it kills us, seconds.
pub const SERVICE_STOP_S: u32 = 20;
/// A loop that was silent for so long is taken for dead by its supervisor, seconds.
pub const SERVICE_WATCHDOG_S: u32 = 30;
/// Connections are closed over this time at shutdown, so that not all come back at once.
pub const SHUTDOWN_SPREAD_MS: u64 = 2_000;
/// Fewer connections are closed at once.
pub const SHUTDOWN_AT_ONCE_MAX: usize = 32;
/// Longest time to drain accepted work at shutdown.
pub const SHUTDOWN_DRAIN_MS: u64 = 5_000;

// ---- TLS --------------------------------------------------------------------------------

/// Records of one read, before they are decrypted: shared by all connections of the loop.
pub const TLS_RECEIVE_BYTES: usize = 64 * 1024;
/// Plaintext that becomes records in one go; what the kernel does not take of them is kept.
pub const TLS_WRITE_BYTES: usize = 4 * TLS_RECORD_BYTES_MAX;
/// Room for those records.
pub const TLS_OUTGOING_BYTES: usize = TLS_WRITE_BYTES + 4 * TLS_RECORD_OVERHEAD_BYTES_MAX;
/// RFC 8446 5.1: the longest plaintext of one record.
pub const TLS_RECORD_BYTES_MAX: usize = 16 * 1024;
/// RFC 5246 6.2.3 and RFC 8446 5.2: what encryption may add, and the head.
pub const TLS_RECORD_OVERHEAD_BYTES_MAX: usize = 2_048 + 5;
/// What one connection holds of a record, or of a handshake message, that is not whole.
pub const TLS_PARTIAL_BYTES_MAX: usize = 20 * 1024;
/// Longest file with a certificate or a key.
pub const PEM_FILE_BYTES_MAX: u64 = 1024 * 1024;
/// Handshake flights answered in one turn, at about 0.15 ms each.
pub const TLS_HANDSHAKES_PER_TURN_MAX: usize = 32;

// ---- JSON -------------------------------------------------------------------------------

/// Deepest nesting of arrays and objects.
pub const JSON_DEPTH_MAX: usize = 64;
/// Longest request id.
pub const REQUEST_ID_BYTES_MAX: usize = 256;

// ---- Authentication and pairing ---------------------------------------------------------

/// Wrong guesses in `GUESS_WINDOW_MS` that lock an address.
pub const GUESSES_MAX: u32 = 10;
/// Sliding window of the guess counter.
pub const GUESS_WINDOW_MS: u64 = 60_000;
/// How long a locked address stays locked.
pub const GUESS_LOCK_MS: u64 = 300_000;
/// Addresses that the guess counter remembers.
pub const GUESS_ENTRIES_MAX: usize = 10_000;
/// How far a proof's `signedAt` may be off.
pub const PROOF_SKEW_MS: u64 = 600_000;
/// Proofs without nonce that are remembered against replay.
pub const PROOF_REPLAYS_MAX: usize = 10_000;
/// How long a pending pairing request lives.
pub const PAIRING_TTL_MS: u64 = 300_000;
/// A device's last visit is noted at most once in this time.
pub const DEVICE_SEEN_INTERVAL_MS: u64 = 24 * 3_600_000;
/// That a connected node is still there is noted at most once in this time.
pub const NODE_SEEN_INTERVAL_MS: u64 = 3_600_000;
/// Rows of nodes that are written at a time because they were seen.
pub const NODES_SEEN_STORED_MAX: usize = 1_000;
/// Pending pairing requests of all devices.
pub const PAIRINGS_PENDING_MAX: usize = 32;

/// How long a pairing code lives: default and most.
pub const SETUP_CODE_TTL_MS: u64 = 300_000;
/// Codes that wait to be used.
pub const SETUP_CODES_MAX: usize = 16;

// ---- Runs -------------------------------------------------------------------------------

/// Runs that were accepted and have not ended, of all sessions and of one.
pub const RUNS_LIVE_MAX: usize = 1_024;
/// The same of one session.
pub const RUNS_PER_SESSION_MAX: usize = 64;
/// Longest time that a run may be given.
pub const RUN_TIMEOUT_MS_MAX: u64 = 24 * 3_600_000;
/// Newest messages of a transcript that a model reads, and their bytes.
pub const CONTEXT_MESSAGES_MAX: usize = 100;
/// The same in bytes.
pub const CONTEXT_BYTES_MAX: usize = 256 * 1024;
/// The same of pictures, as Base64; the newest are shown first.
pub const CONTEXT_PICTURES_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Longest picture that comes with a message, in bytes before Base64.
pub const PICTURE_BYTES_MAX: usize = 5_000_000;
/// The same of all pictures of one message.
pub const PICTURES_BYTES_MAX: usize = 6_000_000;
/// Things attached to one message.
pub const ATTACHMENTS_MAX: usize = 16;
/// Longest text that is attached and read with its message; the rest is left out.
pub const ATTACHED_TEXT_BYTES_MAX: usize = 64 * 1024;
/// About how many tokens a picture is to a model.
pub const PICTURE_TOKENS: u64 = 1_600;
/// So many of the last messages are left as they are, at most, where a summary takes the place of those before.
pub const SUMMARY_SPARES_MESSAGES_MAX: usize = 20;
/// Longest summary that is kept; the rest is cut.
pub const SUMMARY_BYTES_MAX: usize = 16 * 1024;
/// Longest key of a model that a file or a command gives.
pub const KEY_BYTES_MAX: usize = 8 * 1024;
/// Longest time for a command that prints one.
pub const KEY_COMMAND_MS: u64 = 10_000;
/// Steps of one run that may ask for tools.
pub const TOOL_ROUNDS_MAX: u32 = 32;
/// Tools that one step may ask for; they run at once.
pub const STEP_CALLS_MAX: usize = 16;
/// Longest time of one tool, unless the run has less.
pub const TOOL_DEADLINE_MS: u64 = 600_000;
/// Longest time of a command that a tool runs, where the model names none.
pub const TOOL_COMMAND_MS: u64 = 60_000;
/// How much longer than the command itself a tool waits for its node.
pub const TOOL_COMMAND_GRACE_MS: u64 = 5_000;
/// How long a tool waits for a person's approval.
pub const TOOL_APPROVAL_MS: u64 = 120_000;
/// How long a command in the background may run, where the model names no time.
pub const TOOL_BACKGROUND_MS: u64 = 1_800_000;
/// Longest time that a model may give a command.
pub const TOOL_COMMAND_MS_MAX: u64 = 24 * 3_600_000;
/// Commands that run on the gateway's machine, and ended ones that are remembered.
pub const PROCESSES_MAX: usize = 32;
/// The end of each stream of such a command that is kept and shown.
pub const PROCESS_SHOWN_BYTES_MAX: usize = 16 * 1024;
/// How often what a command prints is told while it runs.
pub const PROCESS_TOLD_EVERY_MS: u64 = 100;
/// Things that tools do on this machine at a time, besides commands, and that wait.
pub const ACTS_AT_ONCE_MAX: usize = 8;
/// The same, that wait.
pub const ACTS_QUEUED_MAX: usize = 1_024;
/// Stack of a thread that does them: a page of the web may come over TLS.
pub const ACT_STACK_BYTES: usize = 512 * 1024;
/// Longest file of a workspace that is read or written.
pub const WORKSPACE_FILE_BYTES_MAX: usize = 1024 * 1024;
/// Lines of a file that are read at once, where the model names no number.
pub const READ_LINES: u64 = 1_000;
/// Longest note of a workspace that goes into the system prompt; the rest is cut.
pub const NOTE_BYTES_MAX: usize = 20_000;
/// Redirects that a page of the web may make.
pub const WEB_REDIRECTS_MAX: usize = 5;
/// Bytes of such a page that are read.
pub const WEB_BYTES_MAX: u64 = 2 * 1024 * 1024;
/// Time for all of it.
pub const WEB_MS: u64 = 30_000;
/// Tools that plain HTTP requests use at a time.
pub const TOOL_INVOKES_MAX: usize = 64;
/// Longest result of a tool that goes to the model and the transcript.
pub const TOOL_RESULT_BYTES_MAX: usize = 32 * 1024;
/// Longest result of a tool for programs; a longer one is left out.
pub const TOOL_DETAILS_BYTES_MAX: usize = 64 * 1024;
/// Between two tries to store the end of a run.
pub const UNSAVED_RETRY_MS: u64 = 5_000;
/// Longest time that `agent.wait` waits, and the time where its caller names none.
pub const WAIT_MS_MAX: u64 = 24 * 3_600_000;
/// The time where the caller of `agent.wait` names none.
pub const WAIT_MS_DEFAULT: u64 = 30_000;

// ---- Servers of tools (MCP) -------------------------------------------------------------

/// Servers that may be configured.
pub const MCP_SERVERS_MAX: usize = 32;
/// Bytes of a server's name, which stands before those of its tools.
pub const MCP_SERVER_NAME_BYTES_MAX: usize = 24;
/// Bytes of a tool's whole name: what models take.
pub const MCP_TOOL_NAME_BYTES_MAX: usize = 64;
/// Tools of one server.
pub const MCP_TOOLS_MAX: usize = 128;
/// Pages of its list.
pub const MCP_PAGES_MAX: usize = 32;
/// Bytes of one message of a server; a longer one ends it.
pub const MCP_MESSAGE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Bytes that wait until a server reads them; more end it.
pub const MCP_QUEUED_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Bytes of a line of its standard error that are told.
pub const MCP_SAID_BYTES_MAX: usize = 1_024;
/// Bytes of a tool's schema; one with a longer one is left out.
pub const MCP_SCHEMA_BYTES_MAX: usize = 32 * 1024;
/// Bytes of the schemas of all tools of a server.
pub const MCP_SCHEMAS_BYTES_MAX: usize = 256 * 1024;
/// Bytes of a tool's description; the rest is cut.
pub const MCP_DESCRIPTION_BYTES_MAX: usize = 4 * 1024;
/// Base64 of a picture in a result; a longer one is left out.
pub const MCP_IMAGE_BYTES_MAX: usize = 512 * 1024;
/// Milliseconds in which a server has to say who it is and what tools it has.
pub const MCP_START_MS: u64 = 30_000;
/// Milliseconds before a server that ended is started again: first, and at most.
pub const MCP_RESTART_MS: (u64, u64) = (1_000, 60_000);
/// Milliseconds after which a server that ended had worked: the back-off begins anew.
pub const MCP_STEADY_MS: u64 = 60_000;
/// Calls of one server at a time.
pub const MCP_CALLS_MAX: usize = 16;
/// Orders of the core, and messages of a server, that wait for its thread.
pub const MCP_ORDERS_MAX: usize = 64;
/// Bytes of stack of its threads: it may be reached over TLS.
pub const MCP_STACK_BYTES: usize = 512 * 1024;
/// Milliseconds between two looks whether a program that has to end has ended.
pub const MCP_REAP_MS: u64 = 10;
/// Milliseconds that a server has to end by itself once its input is closed.
pub const MCP_END_MS: u64 = 500;
/// Bytes of the head of a server's HTTP answer.
pub const MCP_HEAD_BYTES_MAX: usize = 16 * 1024;

const _: () = assert!(MCP_TOOLS_MAX * 64 < MCP_MESSAGE_BYTES_MAX);

// ---- Scheduled jobs ---------------------------------------------------------------------

/// Jobs of all agents.
pub const CRON_JOBS_MAX: usize = 500;
/// Runs of one job that are remembered, where `retention.runs.maxEntries` names no fewer.
pub const CRON_RUNS_KEPT: usize = 100;
/// Jobs that an agent may make for itself.
pub const CRON_TOOL_JOBS_MAX: usize = 50;
/// Milliseconds between two runs of such a job, at least.
pub const CRON_TOOL_EVERY_MS_MIN: u64 = 60_000;
/// Longest text of a job, its name and description included.
pub const CRON_TEXT_BYTES_MAX: usize = 32 * 1024;
/// The shortest interval of a job.
pub const CRON_EVERY_MS_MIN: u64 = 1_000;
/// How long past the time of a new job may be: it took a while to be asked for.
pub const CRON_LATE_MS_MAX: u64 = 60_000;
/// How much of a run's answer is remembered with the job, in characters.
pub const CRON_SUMMARY_CHARS: usize = 300;
/// How much of it the main session hears, unless the job says otherwise, in characters.
pub const CRON_POST_CHARS: usize = 8_000;
/// The wall clock is looked at so often while a job waits: it may be set.
pub const CRON_LOOK_MS: u64 = 60_000;
/// Longest name of a webhook that the main session hears, in characters.
pub const HOOK_NAME_CHARS: usize = 64;
/// Lines that wait for the main sessions.
pub const SYSTEM_EVENTS_MAX: usize = 20;
/// How much of a heartbeat's answer is remembered, in characters.
pub const HEARTBEAT_PREVIEW_CHARS: usize = 200;
/// For so long a heartbeat does not say the same again.
pub const HEARTBEAT_REPEAT_MS: u64 = 24 * 3_600_000;
/// Largest file of a time zone.
pub const ZONE_FILE_BYTES_MAX: u64 = 64 * 1024;
/// Zones that are remembered.
pub const ZONES_MAX: usize = 64;

// ---- What may be executed ---------------------------------------------------------------

/// Longest command that a policy is asked about, its words with a byte behind each. It is shown to
/// people as a whole or not at all.
pub const APPROVAL_COMMAND_BYTES_MAX: usize = 64 * 1024;
/// Words of such a command.
pub const APPROVAL_WORDS_MAX: usize = 4_096;
/// A longer pattern matches nothing.
pub const APPROVAL_PATTERN_BYTES_MAX: usize = 1_024;
/// Commands of all askers that wait for a person.
pub const APPROVALS_PENDING_MAX: usize = 64;
/// How long a person may take to decide: default and most.
pub const APPROVAL_TIMEOUT_MS: u64 = 120_000;
/// The same, the most that an asker may name.
pub const APPROVAL_TIMEOUT_MS_MAX: u64 = 3_600_000;
/// How long a client may take to use a decision.
pub const APPROVAL_GRANT_MS: u64 = 60_000;
/// Decisions that were not used yet; of more the oldest are forgotten.
pub const APPROVALS_GRANTED_MAX: usize = 256;
/// Longest approvals file.
pub const APPROVALS_FILE_BYTES_MAX: usize = 512 * 1024;
/// Patterns of all agents in one.
pub const APPROVALS_ENTRIES_MAX: usize = 1_000;

// ---- Nodes ------------------------------------------------------------------------------

/// How long a node has for a call, where its caller names no time.
pub const INVOKE_TIMEOUT_MS: u64 = 30_000;
/// The longest time that a caller may name.
pub const INVOKE_TIMEOUT_MS_MAX: u64 = 24 * 3_600_000;
/// Calls that one node has not answered.
pub const NODE_CALLS_MAX: usize = 256;
/// How long an idempotency key of `node.invoke` is remembered after its call has ended.
pub const INVOKE_KEY_TTL_MS: u64 = 300_000;
/// Idempotency keys of `node.invoke` that are remembered.
pub const INVOKE_KEYS_MAX: usize = 10_000;
/// Bytes of all results that are remembered for them.
pub const INVOKE_RESPONSES_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Longest error code or message of a node; the rest is cut.
pub const NODE_ERROR_BYTES_MAX: usize = 4_096;
/// Capabilities, commands or permissions that a node may declare.
pub const NODE_DECLARED_MAX: usize = 256;
/// Longest name of one, in characters.
pub const NODE_DECLARED_CHARS_MAX: usize = 128;
/// Chat sessions that one node hears of.
pub const NODE_SUBSCRIPTIONS_MAX: usize = 64;
/// Longest text by which a node starts a run, in characters.
pub const NODE_TEXT_CHARS_MAX: usize = 20_000;
/// Executions of one node that are remembered for their events.
pub const NODE_EXECS_MAX: usize = 64;
/// How long after its call has ended an execution may still be told of.
pub const NODE_EXEC_GRACE_MS: u64 = 60_000;
/// How much of an execution's output the next run is told, in characters.
pub const NODE_EXEC_OUTPUT_CHARS_MAX: usize = 2_000;
/// Nodes that one `node.invokeMany` asks at a time: unless told otherwise, and at most.
pub const INVOKE_MANY_AT_ONCE: u64 = 16;
/// The same, at most.
pub const INVOKE_MANY_AT_ONCE_MAX: u64 = 256;
/// Calls of many nodes that have not ended.
pub const INVOKE_MANY_CALLS_MAX: usize = 64;
/// Calls that are kept until their node has answered, open and ended ones.
pub const QUEUED_CALLS_MAX: usize = 10_000;
/// Bytes of their parameters and results.
pub const QUEUED_CALLS_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Kept calls that one node has at a time.
pub const QUEUED_CALLS_AT_ONCE_MAX: usize = 8;
/// Kept calls that are looked at in one go.
pub const QUEUED_CALLS_EXPIRED_MAX: usize = 256;
/// How long a kept call waits for its node: default and most.
pub const QUEUED_CALL_TTL_MS: (u64, u64) = (24 * 3_600_000, 7 * 24 * 3_600_000);
/// How long the outcome of a kept call is remembered.
pub const QUEUED_CALL_KEPT_MS: u64 = 24 * 3_600_000;
/// Nodes that are paired by `node.pair.approve`.
pub const NODE_PAIRS_MAX: usize = 1_000;
/// Longest name that an operator gives a node, in characters.
pub const NODE_NAME_CHARS_MAX: usize = 128;

// ---- Idempotency ------------------------------------------------------------------------

/// How long a durable idempotency key is remembered.
pub const IDEMPOTENCY_TTL_MS: u64 = 24 * 3_600_000;
/// Durable idempotency keys remembered.
pub const IDEMPOTENCY_ENTRIES_MAX: usize = 10_000;
/// Bytes of all responses that are remembered for durable idempotency keys.
pub const IDEMPOTENCY_RESPONSES_BYTES_MAX: usize = 8 * 1024 * 1024;

// ---- Store ------------------------------------------------------------------------------

/// Requests that wait for the store's writing or its reading thread, and answers that wait
/// for the loop.
pub const STORE_QUEUE_LEN_MAX: usize = 64;
/// Page cache of each of the store's two connections.
pub const STORE_CACHE_KIB: i64 = 256;
/// The write-ahead log is cut back to this after a checkpoint.
pub const STORE_WAL_BYTES: i64 = 4 * 1024 * 1024;
/// How long the store waits for another process that holds the database, such as a backup.
pub const STORE_BUSY_MS: u64 = 2_000;
/// A larger database is not checked as a whole at start, only what is loaded.
pub const STORE_CHECK_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Rows that one pruning forgets of each kind.
pub const PRUNE_ROWS_MAX: usize = 1_000;
/// Most messages of one page.
pub const PAGE_MESSAGES_MAX: usize = 1_000;

// ---- Sessions ---------------------------------------------------------------------------

/// Sessions of all agents together.
pub const SESSIONS_MAX: usize = 10_000;
/// Longest key of a session.
pub const SESSION_KEY_BYTES_MAX: usize = 256;
/// Characters of a session's label.
pub const SESSION_LABEL_CHARS_MAX: usize = 64;
/// Longest value of any other text that a session keeps, such as the name of its model.
pub const SESSION_SETTING_BYTES_MAX: usize = 256;
/// Rows of one `sessions.list`.
pub const SESSIONS_LISTED_MAX: usize = 1_000;
/// Rows of one `sessions.list` that show something of their transcripts, newest first.
pub const SESSIONS_TITLED_MAX: usize = 200;
/// Characters of a title that is made of a session's first message.
pub const SESSION_TITLE_CHARS_MAX: usize = 60;
/// Keys of one `sessions.preview`; further ones are not looked at.
pub const PREVIEW_KEYS_MAX: usize = 64;
/// Messages of one session in a preview: default and most.
pub const PREVIEW_MESSAGES: (usize, usize) = (12, 50);
/// Characters of one message in a preview: default and most.
pub const PREVIEW_CHARS: (usize, usize) = (240, 2_000);
/// Bytes of one session's messages that are read for a preview.
pub const PREVIEW_BYTES_MAX: usize = 256 * 1024;
/// Messages of one `chat.history`: default and most.
pub const HISTORY_MESSAGES: (usize, usize) = (200, PAGE_MESSAGES_MAX);
/// Bytes of one `chat.history`, which otherwise follows the longest message: least and most.
pub const HISTORY_BYTES: (usize, usize) = (64 * 1024, 6 * 1024 * 1024);
/// What the answer of `chat.history` takes besides its messages.
pub const HISTORY_ENVELOPE_BYTES_MAX: usize = 4 * 1024;
/// Longest text of a message that a client puts into a transcript.
pub const CHAT_TEXT_BYTES_MAX: usize = MESSAGE_BYTES_MAX;
/// Messages that `sessions.compact` keeps unless told otherwise.
pub const COMPACT_MESSAGES_KEPT: u64 = 400;

// ---- Runs -------------------------------------------------------------------------------

/// Ended runs that are remembered, for those who ask for their outcome.
pub const RUNS_ENDED_MAX: usize = 1_000;

// ---- Agent runs -------------------------------------------------------------------------

/// Worker threads for steps of runs (`agents.maxConcurrent`); each starts when it is needed.
pub const WORKERS_MAX: usize = 4;
/// Steps that wait for a worker.
pub const STEPS_QUEUED_MAX: usize = 256;
/// Stack of a worker thread.
pub const WORKER_STACK_BYTES: usize = 256 * 1024;
/// Longest answer of one step.
pub const STEP_TEXT_BYTES_MAX: usize = 1024 * 1024;
/// Longest time of one step, if its request names none.
pub const STEP_DEADLINE_MS: u64 = 600_000;
/// Most bytes of one step's calls of tools, and most calls that a provider may send.
pub const STEP_CALLS_BYTES_MAX: usize = 1024 * 1024;
/// The same in calls; of these the first [`STEP_CALLS_MAX`] are run.
pub const STEP_CALLS_SENT_MAX: usize = 64;
/// To find a provider's host, and again to connect to it.
pub const MODEL_CONNECT_MS: u64 = 10_000;
/// From a request to the first byte of its answer: a model may read long before it writes.
pub const MODEL_FIRST_BYTE_MS: u64 = 180_000;
/// Longest silence within an answer.
pub const MODEL_IDLE_MS: u64 = 120_000;
/// Longest head of a provider's response.
pub const MODEL_HEAD_BYTES_MAX: usize = 64 * 1024;
/// How much of a provider's error is read.
pub const MODEL_ERROR_BYTES_MAX: u64 = 16 * 1024;
/// Longest event of a provider's stream.
pub const MODEL_EVENT_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Longest stream of a provider.
pub const MODEL_STREAM_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Requests of one step until a provider answers.
pub const MODEL_TRIES_MAX: u32 = 4;
/// Window of the jittered pause between them: first and longest.
pub const MODEL_RETRY_MS: (u64, u64) = (1_000, 30_000);
/// The longest `Retry-After` that is waited for.
pub const MODEL_RETRY_AFTER_MS_MAX: u64 = 120_000;
/// How long the shutdown waits for workers.
pub const WORKERS_JOIN_MS: u64 = 1_000;
/// Entries of each list that the built-in agent is told of.
pub const FACTS_LIST_MAX: usize = 50;

// ---- Presence and health ----------------------------------------------------------------

/// Entries of the presence list.
pub const PRESENCE_ENTRIES_MAX: usize = 200;
/// Presence and health events are sent at most once in this time.
pub const COALESCE_MS: u64 = 1_000;
/// Chat deltas are sent at most once in this time.
pub const CHAT_DELTA_MS: u64 = 150;

// ---- The log ----------------------------------------------------------------------------

/// A log file that would grow past it is rotated first.
pub const LOG_FILE_BYTES_MAX: u64 = 10 * 1024 * 1024;
/// Rotated log files kept besides the current one.
pub const LOG_FILES_KEPT: u32 = 3;
/// Lines that wait for the log's thread; more are counted and dropped.
pub const LOG_QUEUE_LINES_MAX: usize = 4_096;
/// Longest value of a log field, most of which come from peers.
pub const LOG_FIELD_BYTES_MAX: usize = 256;
/// Longest message of a log line.
pub const LOG_MESSAGE_BYTES_MAX: usize = 4_096;
/// Most fields of a log line.
pub const LOG_FIELDS_MAX: usize = 32;
/// In this time identical lines are one line with a count.
pub const LOG_REPEAT_WINDOW_MS: u64 = 10_000;
/// Lines of one message with different fields that are written in that time; more are counted.
pub const LOG_BURST_LINES_MAX: usize = 100;
/// Different messages whose repeats are counted at a time.
pub const LOG_REPEAT_ENTRIES_MAX: usize = 256;
/// Lines of one page of `logs.tail`: default and most.
pub const LOG_TAIL_LINES: (usize, usize) = (500, 5_000);
/// As above, in bytes of the file.
pub const LOG_TAIL_BYTES: (usize, usize) = (250_000, 1_000_000);

// ---- The configuration file -------------------------------------------------------------

/// Longest configuration file that is read.
pub const CONFIG_BYTES_MAX: usize = 1024 * 1024;
/// Most entries of one object or list of it; some searches in them are linear.
pub const CONFIG_ENTRIES_MAX: usize = 4_096;
/// A configuration that shrinks below half of this many or more bytes of values is refused.
pub const CONFIG_SHRINK_BYTES_MIN: usize = 256;
/// Most faults reported at once.
pub const CONFIG_FAULTS_MAX: usize = 100;

// ---- Taking over another installation ---------------------------------------------------

/// Longest file that `clawdia import` reads.
pub const IMPORT_FILE_BYTES_MAX: u64 = 256 * 1024 * 1024;

// ---- The client -------------------------------------------------------------------------

/// Longest message that our own client takes from a gateway.
pub const CLIENT_MESSAGE_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Events that our own client keeps while it waits for an answer.
pub const CLIENT_EVENTS_QUEUED_MAX: usize = 4_096;
/// How long a command waits for the gateway, unless told otherwise.
pub const CLIENT_TIMEOUT_MS: u64 = 10_000;
/// How long a command waits for an agent's run.
pub const CLIENT_RUN_TIMEOUT_MS: u64 = 600_000;
/// How much longer than the run itself a command waits for its end.
pub const CLIENT_RUN_GRACE_MS: u64 = 10_000;
/// How much longer than the node itself a command waits for its answer.
pub const CLIENT_INVOKE_GRACE_MS: u64 = 5_000;
/// How often `logs --follow` asks for more.
pub const LOG_FOLLOW_INTERVAL_MS: u64 = 1_000;
/// How often `gateway stop`, `restart` and `run --force` look whether the former gateway has ended.
pub const TAKE_OVER_POLL_MS: u64 = 20;
/// How far the clocks of a command and its gateway may differ before `doctor` remarks on it.
pub const DOCTOR_SKEW_MS: u64 = 60_000;
/// `clawdia doctor` knocks so long at a model's server.
pub const DOCTOR_KNOCK_MS: u64 = 2_000;
/// `clawdia config set` waits so long for the gateway to take the change over.
pub const CONFIG_TAKEN_MS: u64 = 5_000;
/// A secret with fewer characters is called short, and one with fewer than the other weak where
/// other machines can guess at it.
pub const SECRET_CHARS_MIN: usize = 16;
/// The same for a gateway that other machines reach.
pub const SECRET_CHARS_GOOD: usize = 24;
/// How much of the log `security audit` looks through for secrets.
pub const AUDIT_LOG_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// How much of a secret's file is read.
pub const SECRET_FILE_BYTES_MAX: u64 = 64 * 1024;
/// The longest that `--timeout` may ask for.
pub const CLIENT_TIMEOUT_MS_MAX: u64 = 24 * 3_600_000;
/// How long the client's last word of TLS may take to be sent.
pub const CLIENT_FAREWELL_MS: u64 = 100;
/// Window of the jittered back-off between connections: first and longest.
pub const RECONNECT_BACKOFF_MS: (u64, u64) = (1_000, 30_000);
/// The longest `retryAfterMs` of a gateway that is honoured.
pub const RECONNECT_RETRY_AFTER_MS_MAX: u64 = 600_000;
/// How long a command waits for a state file that another one holds.
pub const FILE_LOCK_WAIT_MS: u64 = 2_000;

// ---- The node host ----------------------------------------------------------------------

/// Commands that one node runs at a time.
pub const NODE_RUNS_MAX: usize = 8;
/// Calls that wait for one of them to end, and callers of one call.
pub const NODE_CALLS_QUEUED_MAX: usize = 256;
/// Stack of a command's thread.
pub const NODE_THREAD_STACK_BYTES: usize = 512 * 1024;
/// Longest time that a caller may give a command.
pub const NODE_INVOKE_MS_MAX: u64 = 24 * 3_600_000;
/// Longest idempotency key that is taken for one.
pub const NODE_INVOKE_KEY_BYTES_MAX: usize = 256;
/// Longest piece of what a command prints that a node sends while it runs, bytes.
pub const NODE_PROGRESS_BYTES_MAX: usize = 16 * 1024;
/// Pieces that our node sends before the gateway has taken the first of them.
pub const NODE_PROGRESS_UNDERWAY_MAX: usize = 8;
/// The end of each of a command's two streams that is kept.
pub const NODE_OUTPUT_BYTES_MAX: usize = 200_000;
/// A result as it is sent; with what surrounds it, it fits into a message.
pub const NODE_RESULT_BYTES_MAX: usize = 480 * 1024;
/// Characters of output in an event about a command.
pub const NODE_EVENT_OUTPUT_CHARS_MAX: usize = 20_000;
/// How often a command is looked at where the system does not tell when it ends.
pub const NODE_CHILD_POLL_MS: u64 = 50;
/// How long a command that was killed is waited for.
pub const NODE_CHILD_REAP_MS: u64 = 2_000;
/// Names in one `system.which`.
pub const NODE_WHICH_BINS_MAX: usize = 256;
/// Text of one notification.
pub const NODE_NOTIFY_BYTES_MAX: usize = 4 * 1024;
/// How long the program that shows a notification may take.
pub const NODE_NOTIFY_MS: u64 = 5_000;
/// How long a browser control server may take, unless told otherwise.
pub const BROWSER_MS: u64 = 20_000;
/// The longest that a caller may give it.
pub const BROWSER_MS_MAX: u64 = 10 * 60_000;
/// Longest secret that is taken from a terminal, bytes.
pub const TYPED_SECRET_BYTES_MAX: usize = 4_096;
/// How long `clawdia doctor` waits for a browser control server.
pub const BROWSER_LOOK_MS: u64 = 3_000;
/// A pattern's last use is noted at most once in this time.
pub const NODE_USE_NOTED_EVERY_MS: u64 = 60_000;
/// How long the node's journal remembers a key: the longest that a gateway may keep a call, and a day for
/// clocks that differ.
pub const NODE_JOURNAL_TTL_MS: u64 = 8 * 24 * 3_600_000;
/// Keys that the node's journal remembers; of more the oldest go.
pub const NODE_JOURNAL_ENTRIES_MAX: usize = 200_000;
/// Bytes of all answers in the node's journal; the oldest go first, their keys stay.
pub const NODE_JOURNAL_ANSWERS_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// The node's journal is pruned once in so many calls.
pub const NODE_JOURNAL_PRUNED_EVERY: u32 = 256;
/// How long a gateway may take to take a message of its node.
pub const NODE_SEND_MS: u64 = 10_000;
/// Between two tries while somebody has to approve the node: first and longest; longer after a no.
pub const NODE_APPROVAL_WAIT_MS: (u64, u64) = (1_000, 15_000);
/// How long a node host that ends waits for the commands that it killed, and for its gateway.
pub const NODE_STOP_MS: u64 = 400;
/// The same for the goodbye.
pub const NODE_CLOSE_MS: u64 = 200;

const _: () = assert!(NODE_JOURNAL_TTL_MS > QUEUED_CALL_TTL_MS.1);
const _: () = assert!(NODE_RESULT_BYTES_MAX + 16 * 1024 < MESSAGE_BYTES_MAX);
const _: () = assert!(NODE_STOP_MS + 2 * NODE_CLOSE_MS < 1_000);

// ---- SSH tunnels ------------------------------------------------------------------------

/// Longest user name of a target, as useradd(8) has it on the most generous systems.
pub const SSH_USER_BYTES_MAX: usize = 64;
/// Longest host name of a target: RFC 1035 2.3.4 without the last dot.
pub const SSH_HOST_BYTES_MAX: usize = 253;
/// How long `ssh` tries to reach a host, seconds.
pub const SSH_CONNECT_S: u32 = 10;
/// `ssh` asks a silent host whether it is there, seconds.
pub const SSH_ALIVE_INTERVAL_S: u32 = 15;
/// So many unanswered questions are the end.
pub const SSH_ALIVE_COUNT_MAX: u32 = 3;
/// What is kept of what one `ssh` wrote to standard error: its end.
pub const SSH_STDERR_BYTES_MAX: usize = 64 * 1024;
/// From the start of `ssh` to its listening port: reaching the host, then logging in.
pub const SSH_OPEN_MS: u64 = 30_000;
/// How long a question to the host may take, and the longest answer.
pub const SSH_ASK_MS: u64 = 30_000;
/// The same in bytes.
pub const SSH_ANSWER_BYTES_MAX: usize = 256 * 1024;
/// Between asking `ssh` to end and killing it.
pub const SSH_STOP_MS: u64 = 500;
/// Longest line of a command that forwards speech; a longer one becomes several.
pub const VOICE_LINE_BYTES_MAX: u64 = 8 * 1024;
/// How often a supervisor looks at its tunnel.
pub const TUNNEL_TURN_MS: u64 = 100;
/// Between two checks of the gateway through a tunnel; less than the gateway's patience for a
/// pong, since the check is what answers its pings.
pub const TUNNEL_CHECK_INTERVAL_MS: u64 = 10_000;
/// How long one check may take.
pub const TUNNEL_CHECK_MS: u64 = 10_000;
/// The same after the machine slept, when the connection is probably dead.
pub const TUNNEL_CHECK_WOKEN_MS: u64 = 3_000;
/// A tunnel through which nothing came for so long is opened again.
pub const TUNNEL_SILENT_MS: u64 = 30_000;
/// A turn that takes so long means that the machine slept or the process was stopped.
pub const TUNNEL_JUMP_MS: u64 = 10_000;
/// A tunnel that stood for so long is opened again without a long wait.
pub const TUNNEL_STEADY_MS: u64 = 60_000;

// ---- Tailscale --------------------------------------------------------------------------

/// How long a run of `tailscale`, or a question to its daemon, may take.
pub const TAILSCALE_MS: u64 = 5_000;
/// How long taking a route back may take at the end.
pub const TAILSCALE_EXIT_MS: u64 = 5_000;
/// Between two tries to publish: first and longest.
pub const TAILSCALE_RETRY_MS: (u64, u64) = (2_000, 60_000);
/// Longest output of `tailscale`, or answer of its daemon, that is read.
pub const TAILSCALE_ANSWER_BYTES_MAX: u64 = 1024 * 1024;
/// Characters that are kept of what a failed `tailscale` said.
pub const TAILSCALE_SAID_CHARS_MAX: usize = 400;
/// Questions about persons at a time.
pub const WHOIS_AT_ONCE_MAX: usize = 8;
/// How long an address stays known as a person's.
pub const WHOIS_KEPT_MS: u64 = 30_000;
/// Addresses that are kept as somebody's.
pub const WHOIS_KEPT_MAX: usize = 256;
/// Longest name of a host: RFC 1035 2.3.4 without the last dot.
pub const HOST_NAME_BYTES_MAX: usize = 253;

// ---- Discovery --------------------------------------------------------------------------

/// How long `gateway discover` listens.
pub const DISCOVER_MS: u64 = 2_000;
/// The same for `gateway probe`.
pub const DISCOVER_FOR_PROBE_MS: u64 = 800;
/// Gateways that one listening tells of.
pub const BEACONS_MAX: usize = 64;
/// Addresses of one.
pub const BEACON_ADDRESSES_MAX: usize = 16;
/// Characters of a name that a network told.
pub const BEACON_TEXT_CHARS_MAX: usize = 64;
/// How long a goodbye to the network may take.
pub const GOODBYE_MS: u64 = 500;

const _: () = assert!(TAILSCALE_MS < HANDSHAKE_DEADLINE_MS);
const _: () = assert!(WHOIS_KEPT_MS <= 60_000);
const _: () = assert!(HTTP_LINE_BYTES_MAX <= HTTP_HEAD_BYTES_MAX);
const _: () = assert!(MESSAGE_BYTES_MAX_BEFORE_HELLO <= MESSAGE_BYTES_MAX);
const _: () = assert!(MESSAGE_BYTES_MAX <= MESSAGE_BYTES_MAX_CONFIGURABLE);
const _: () = assert!(HISTORY_ENVELOPE_BYTES_MAX < HISTORY_BYTES.0);
const _: () = assert!(HISTORY_BYTES.1 < OUTBOX_HARD_BYTES);
const _: () = assert!(SESSION_KEY_BYTES_MAX * 6 < HISTORY_ENVELOPE_BYTES_MAX);
const _: () = assert!(HTTP_HEAD_BYTES_MAX <= RECEIVE_BUFFER_BYTES);
const _: () = assert!(OUTBOX_SOFT_BYTES < OUTBOX_HARD_BYTES);
const _: () = assert!(OUTBOX_HARD_BYTES <= OUTBOX_TOTAL_BYTES_MAX);
const _: () = assert!(PING_INTERVAL_MS < TICK_INTERVAL_MS);
const _: () = assert!(WORKERS_JOIN_MS < SHUTDOWN_DRAIN_MS);
const _: () = assert!(MESSAGE_BYTES_MAX_CONFIGURABLE < CLIENT_MESSAGE_BYTES_MAX);
const _: () = assert!(CLIENT_RUN_TIMEOUT_MS <= CLIENT_TIMEOUT_MS_MAX);
// Base64 makes four bytes of three.
const _: () = assert!(PICTURES_BYTES_MAX / 3 * 4 + 16 <= CONTEXT_PICTURES_BYTES_MAX);
const _: () = assert!(PICTURE_BYTES_MAX <= PICTURES_BYTES_MAX);
const _: () = assert!(STEP_CALLS_MAX <= STEP_CALLS_SENT_MAX);
const _: () = assert!(MODEL_RETRY_MS.0 <= MODEL_RETRY_MS.1);
const _: () = assert!(RECONNECT_BACKOFF_MS.0 <= RECONNECT_BACKOFF_MS.1);
const _: () = assert!(TUNNEL_CHECK_INTERVAL_MS + TUNNEL_CHECK_MS < PING_INTERVAL_MS);
const _: () = assert!(TUNNEL_CHECK_MS < TUNNEL_SILENT_MS);
const _: () = assert!(SSH_CONNECT_S as u64 * 1_000 < SSH_OPEN_MS);
const _: () = assert!(
    SHUTDOWN_DRAIN_MS + SHUTDOWN_SPREAD_MS + CLOSE_GRACE_MS + TAILSCALE_EXIT_MS
        < 1_000 * SERVICE_STOP_S as u64
);

// Channels.

/// Milliseconds to resolve a channel's service, and as many to connect to it.
pub const CHANNEL_CONNECT_MS: u64 = 10_000;
/// Bytes of the head of a service's answer.
pub const CHANNEL_HEAD_BYTES_MAX: usize = 64 * 1024;
/// Bytes of a service's answer that is no file.
pub const CHANNEL_ANSWER_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// Milliseconds that a channel's service is asked to wait for news.
pub const CHANNEL_POLL_MS: u64 = 25_000;
/// Milliseconds for the rest of such a call.
pub const CHANNEL_POLL_GRACE_MS: u64 = 15_000;
/// Milliseconds after which a poll that says nothing at all is given up and its account opened
/// anew.
pub const CHANNEL_POLL_STALLED_MS: u64 = 60_000;
/// Milliseconds for any other call.
pub const CHANNEL_CALL_MS: u64 = 30_000;
/// Bytes of an update that a channel's service brings.
pub const WEBHOOK_BODY_BYTES_MAX: usize = 1024 * 1024;
/// Milliseconds after which the service is told again where to bring updates to.
pub const WEBHOOK_RENEW_MS: u64 = 3_600_000;
/// Milliseconds after which the numbers of updates that were taken are forgotten: a service keeps
/// none for longer than a day, and may count anew a week after it got one (Bot API, `Update`).
pub const CHANNEL_TAKEN_MS: u64 = 6 * 24 * 3_600_000;
/// Updates of one poll.
pub const CHANNEL_UPDATES_MAX: usize = 50;
/// Bytes of the text of one incoming message.
pub const CHANNEL_TEXT_BYTES_MAX: usize = 64 * 1024;
/// Bytes of a quoted text.
pub const CHANNEL_QUOTE_BYTES_MAX: usize = 2 * 1024;
/// Bytes of an answer that are sent to a channel; the rest is in the session.
pub const CHANNEL_ANSWER_TEXT_BYTES_MAX: usize = 64 * 1024;
/// Back-off of a channel whose service fails: first and longest wait in milliseconds.
pub const CHANNEL_BACKOFF_MS: (u64, u64) = (1_000, 60_000);
/// Orders of the core that wait for a thread of an account.
pub const CHANNEL_ORDERS_MAX: usize = 64;
/// Bytes of a file that comes with a message: usual and most, which is what Telegram gives to bots.
pub const CHANNEL_FILE_BYTES_MAX: (u64, u64) = (5_000_000, 20_000_000);
/// Milliseconds to ask for such a file, and to load it.
pub const CHANNEL_FILE_MS: (u64, u64) = (10_000, 40_000);
/// Tries to load a file before its message is taken without it.
pub const CHANNEL_FILE_TRIES: u32 = 3;
/// Bytes of a file that is sent from a workspace.
pub const CHANNEL_FILE_SENT_BYTES_MAX: u64 = 20_000_000;
/// Milliseconds to send one.
pub const CHANNEL_FILE_SEND_MS: u64 = 120_000;
/// Characters of the name under which a file is kept.
pub const MEDIA_NAME_CHARS_MAX: usize = 80;
/// Files that are kept of what people sent to an agent; of more the oldest go.
pub const MEDIA_FILES_MAX: usize = 500;
/// The same in bytes.
pub const MEDIA_FOLDER_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Bytes of stack of a channel's thread.
pub const CHANNEL_STACK_BYTES: usize = 512 * 1024;
/// Milliseconds that a service's request to wait is honoured.
pub const CHANNEL_RETRY_AFTER_MS_MAX: u64 = 3_600_000;
/// Messages on their way to channels, with those that could not be sent.
pub const OUTGOING_MAX: usize = 1_000;
/// Milliseconds after which a message that could not be sent is given up.
pub const OUTGOING_TTL_MS: u64 = 24 * 3_600_000;
/// Milliseconds that a message that was not sent, or maybe, is shown.
pub const OUTGOING_KEPT_MS: u64 = 7 * 24 * 3_600_000;
/// Milliseconds that the pairing code of a person who wrote lasts.
pub const CONTACT_CODE_TTL_MS: u64 = 3_600_000;
/// People of one account who wait to be let in.
pub const CONTACTS_PENDING_MAX: usize = 32;
/// People who were let in, and who wait, altogether.
pub const CONTACTS_MAX: usize = 1_000;
/// Milliseconds before a person who waits is told the code again.
pub const CONTACT_REMINDED_MS: u64 = 60_000;
/// Characters of a person's or group's name that are kept.
pub const CONTACT_NAME_CHARS_MAX: usize = 64;
/// Chats whose id changed that are remembered.
pub const CHATS_MOVED_MAX: usize = 1_000;
/// Characters of an answer from which on it is shown while it is being written: the first of them
/// make the noise.
pub const DRAFT_CHARS_MIN: usize = 30;
/// Milliseconds after which a draft is looked at again that found its account at work.
pub const DRAFT_BUSY_MS: u64 = 250;
/// Calls that fail before an answer is not shown while it is being written.
pub const DRAFT_FAULTS_MAX: u32 = 3;
/// Milliseconds between two signs that an answer is being written.
pub const CHANNEL_TYPING_MS: u64 = 4_000;

const _: () = assert!(CHANNEL_POLL_MS + CHANNEL_POLL_GRACE_MS < CHANNEL_POLL_STALLED_MS);
const _: () = assert!(CHANNEL_FILE_MS.0 + CHANNEL_FILE_MS.1 < CHANNEL_POLL_STALLED_MS);
const _: () = assert!(CHANNEL_FILE_BYTES_MAX.1 < MEDIA_FOLDER_BYTES_MAX);
