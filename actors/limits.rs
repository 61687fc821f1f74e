//! The bounds of the library, each with its unit in the name and what happens when it is hit.
//!
//! Bounds an operator may change live in the settings of the daemon; these are the fixed ones. A bound that concerns a
//! single file only, such as the layout of a record or the depth of its parser, is defined in that file.

/// Longest integration id and provider name. Longer: refused when it is created, 404 when it is asked for.
pub const ID_BYTES_MAX: usize = 64;
/// Longest display name. Longer: refused.
pub const DISPLAY_NAME_BYTES_MAX: usize = 128;
/// Most integrations one registry holds. One more: refused.
pub const INTEGRATIONS_MAX: usize = 1_024;
/// Most entries of `allowed_events` and of `allowed_sources`. One more: refused.
pub const ALLOW_LIST_ENTRIES_MAX: usize = 64;
/// Longest entry of an allow list, in characters. Longer: refused.
pub const ALLOW_LIST_ENTRY_CHARS_MAX: usize = 128;
/// Largest `webhooks.toml` that is read or written: 1,024 integrations of 4 KiB. Larger: refused.
pub const REGISTRY_FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Largest anchor file that is read. A sound one has 64 KiB; one of any other size up to this bound is reported as
/// damaged. Larger: refused.
pub const ANCHOR_FILE_BYTES_MAX: u64 = 2 * 1024 * 1024;
/// Largest provider profile that is read. Larger: refused.
pub const PROFILE_FILE_BYTES_MAX: u64 = 64 * 1024;
/// Largest file of signed requests that `providers check` reads. Larger: refused.
pub const VECTOR_FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Most profiles of the operator's own. One more: the daemon does not start and says so.
pub const OWN_PROFILES_MAX: usize = 256;

/// `max_payload_bytes` of an integration that names none.
pub const PAYLOAD_BYTES_DEFAULT: u64 = 65_536;
/// Upper bound of `max_payload_bytes` unless the settings raise it.
pub const PAYLOAD_BYTES_CAP_DEFAULT: u64 = 1_048_576;
/// The highest value the settings may raise that cap to (GitHub's and GitLab's own limit).
pub const PAYLOAD_BYTES_CAP_MAX: u64 = 26_214_400;
/// How long a replay key is remembered, unless the settings or the integration say otherwise.
pub const REPLAY_WINDOW_SECONDS_DEFAULT: u64 = 7 * 24 * 3_600;
/// Shortest window the settings may name: twice the widest timestamp tolerance of a profile (a timestamp may be ahead of
/// our clock or behind it), which is also longer than any token stays fresh. The window of an integration may be shorter:
/// as short as timestamps and tokens of its own profile stay fresh, but at least 1 s.
pub const REPLAY_WINDOW_SECONDS_MIN: u64 = 2 * TIMESTAMP_TOLERANCE_SECONDS_MAX + 1;
/// Longest window: ten years.
pub const REPLAY_WINDOW_SECONDS_MAX: u64 = 10 * 366 * 24 * 3_600;
/// Widest timestamp tolerance a profile may name, and the greatest age of a token.
pub const TIMESTAMP_TOLERANCE_SECONDS_MAX: u64 = 3_600;
/// Deliveries accepted per second for an integration that does not require a signature. Over it: 429.
pub const UNSIGNED_RATE_PER_SECOND_DEFAULT: u32 = 50;

/// Candidate signatures tried for one delivery. More in the header: refused as malformed.
pub const SIGNATURE_CANDIDATES_MAX: usize = 8;
/// Longest signature header that is parsed. Longer: refused as malformed.
pub const SIGNATURE_HEADER_BYTES_MAX: usize = 16 * 1024;
/// Longest delivery id that is kept. A longer one is ignored; the digest identifies the delivery instead.
pub const DELIVERY_ID_BYTES_MAX: usize = 256;
/// Schema problems listed in one answer; further ones are omitted.
pub const SCHEMA_ISSUES_MAX: usize = 8;

/// Largest secret. Larger: refused.
pub const SECRET_BYTES_MAX: usize = 64 * 1024;
/// Most secrets one vault holds. One more: refused.
pub const SECRETS_MAX: usize = 4_096;
/// Versions kept per secret: the current one and the one before.
pub const SECRET_VERSIONS_MAX: usize = 2;
/// Longest reference to a secret. Longer: refused. With `.age` it fits the 255 bytes of a file name.
pub const VAULT_REF_BYTES_MAX: usize = 240;
/// Longest id, name or key within a reference. Longer: refused.
pub const VAULT_REF_PART_BYTES_MAX: usize = 128;
/// Largest file of one secret: two versions of 64 KiB in base64, and room to spare. Larger: refused.
pub const SECRET_FILE_BYTES_MAX: u64 = 256 * 1024;
/// Secrets whose newest state is pinned, including removed ones. Beyond it, each new pin displaces that of a removed
/// secret.
pub const VAULT_PINS_MAX: usize = 4 * SECRETS_MAX;
/// Largest file of these pins. Larger: it is refused, and the vault does not open.
pub const VAULT_PINS_FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Largest `identity.txt` of the vault. Larger: refused.
pub const IDENTITY_FILE_BYTES_MAX: u64 = 4 * 1024;
/// How long a value from `env:` or `file:` is served from the cache before it is read again.
pub const SECRET_CACHE_SECONDS: u64 = 60;
/// Timeout of the check whether a secret can be used. When it expires, as on a network share that hangs, the secret
/// counts as unreadable, and it is not read a second time before the first read has ended.
pub const SECRET_PROBE_SECONDS: u64 = 5;
/// Secrets kept decrypted in memory; beyond it, the least recently used is evicted.
pub const SECRET_CACHE_ENTRIES_MAX: usize = SECRETS_MAX;

/// Leases held at the same time. One more: refused as overload (503).
pub const LEASES_MAX: usize = 8_192;
/// Copies of one delivery that wait for the result of the first. One more: refused as overload (503).
pub const LEASE_WAITERS_MAX: usize = 4_096;
/// Replay keys whose events the guard keeps in memory; for all others it asks the journal.
pub const RECENT_KEYS_MAX: usize = 65_536;
/// Bloom filters over replay keys kept in memory. Each takes 2 MiB and covers 1,048,576 events; together they cover 220
/// events a second for a week. Keys that are older but still within their window are looked up in the database, which
/// costs each append up to 16 reads per 1,048,576 such keys.
pub const KEY_FILTERS_MAX: usize = 128;

/// Rows committed in one group.
pub const GROUP_ROWS_MAX: usize = 256;
/// Body bytes committed in one group. A single row that is larger is committed on its own.
pub const GROUP_BYTES_MAX: usize = 1024 * 1024;
/// Most members of an envelope's payload. More: 422.
pub const PAYLOAD_MEMBERS_MAX: usize = 2_048;
/// Latest time an envelope may have, in Unix milliseconds: 2^53 - 1, the largest integer that every JSON parser
/// represents exactly. Later: 422.
pub const ENVELOPE_UNIX_MS_MAX: u64 = (1 << 53) - 1;
/// Groups that are committed and wait for the anchoring thread. When the queue is full, the writer blocks until there is
/// room, and the next commit waits.
pub const ANCHORED_GROUPS_MAX: usize = 4;
/// Longest event name and source a webhook event may have, in characters. Longer: refused.
pub const WEBHOOK_NAME_CHARS_MAX: usize = 128;
/// Longest principal of an event. Longer: refused.
pub const PRINCIPAL_BYTES_MAX: usize = 128;
/// Longest summary of an event. Longer: cut by `SystemEvent::new`, refused if an operator sent it.
pub const SUMMARY_BYTES_MAX: usize = 240;
/// Longest name of an operator's or connector's event, before any prefix. Longer: refused.
pub const EVENT_NAME_BYTES_MAX: usize = 64;
/// Most names (of integrations or secrets, for example) that one of the daemon's own system events lists.
pub const EVENT_NAMES_MAX: usize = 24;
/// Largest `details` of a system event, as JSON text. Larger: refused.
pub const EVENT_DETAILS_BYTES_MAX: usize = 8 * 1024;
/// Most levels of nesting in `details`, which is the first itself. More: refused. It is half of what JSON readers
/// usually accept, because they read the details inside of other documents.
pub const EVENT_DETAILS_LEVELS_MAX: usize = 64;
/// Most tags of an event. More: refused.
pub const EVENT_TAGS_MAX: usize = 16;
/// Longest tag. Longer: refused.
pub const EVENT_TAG_BYTES_MAX: usize = 64;
/// Events in one page of a list. A request for more is refused.
pub const PAGE_EVENTS_MAX: usize = 1_000;
/// Events in a page when the request names no limit.
pub const PAGE_EVENTS_DEFAULT: usize = 50;
/// Rows and blocks examined for one page; at the bound the page ends with a cursor.
pub const PAGE_EXAMINED_MAX: u64 = 2_048;
/// Events searched when one is looked up by its id. If the clock was set back so far that more events lie between, the
/// event is found by its seq only.
pub const ID_SEARCHED_EVENTS_MAX: u64 = 50_000;
/// Body bytes in one page; the event that exceeds it is the last of the page.
pub const PAGE_BODY_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Read-only connections to the journal.
pub const JOURNAL_READERS_MAX: usize = 4;
/// Time a read waits for a free connection. Longer: refused as overload (503).
pub const JOURNAL_READER_WAIT_MS: u64 = 2_000;
/// Time a read waits for a SQLite lock. Longer: the read fails.
pub const JOURNAL_READ_LOCK_WAIT_MS: u64 = 250;
/// Time a commit waits while another process holds the write lock. Longer: refused as overload (503).
pub const JOURNAL_WRITE_LOCK_WAIT_MS: u64 = 5_000;
/// Page size of the database. Large pages mean fewer writes for a group, small ones fewer bytes for a single event.
pub const JOURNAL_PAGE_BYTES: i64 = 16_384;
/// Page cache of the writer's connection.
pub const JOURNAL_CACHE_KIB: i64 = 4_096;
/// Smallest part of the write-ahead log that is copied into the database in one go, while the writer goes on. Small,
/// because a commit has to wait while the disk syncs such a part.
pub const JOURNAL_MOVE_BYTES_MIN: u64 = 512 * 1024;
/// Time one smallest part should take; a larger part may take proportionally longer. If it took longer than that, the
/// next part is doubled, because on such a disk each sync costs more than the bytes; if half or less, the next part is
/// halved.
pub const JOURNAL_MOVE_MS: u64 = 5;
/// Size at which the write-ahead log is restarted from its beginning, and the largest part. Large, because the writer has
/// to stop and copy the rest itself to restart it.
pub const JOURNAL_LOG_BYTES: u64 = 4 * 1024 * 1024;
/// Pages in the write-ahead log (64 MiB) at which SQLite checkpoints it during a commit, in case the copying above does
/// not keep up.
pub const JOURNAL_WAL_PAGES: u32 = 4_000;
/// Size to which the write-ahead log file is truncated after it was copied into the database.
pub const JOURNAL_WAL_BYTES_MAX: i64 = 64 * 1024 * 1024;
/// Largest value SQLite accepts: the largest body, with room for the other columns. Larger: that row is refused.
pub const JOURNAL_VALUE_BYTES_MAX: i32 = PAYLOAD_BYTES_CAP_MAX as i32 + 64 * 1024;
/// Newest links of the hash chain checked when the journal is opened; `journal verify` checks all of them.
pub const OPEN_CHECK_LINKS_MAX: usize = 1_000;
/// Body bytes hashed for that check; the newest event is checked whatever its size.
pub const OPEN_CHECK_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Time for which a start that found damage reads the rest of the journal's files, to find out whether the disk can read
/// them. [`OPEN_CHECK_BYTES_MAX`] bytes at the end of each file are read whatever time that takes.
pub const OPEN_DOUBT_SECONDS: u64 = 10;
/// Events after which a checkpoint is signed.
pub const CHECKPOINT_EVENTS: u64 = 1_000;
/// Leaf hashes kept in memory for the next checkpoint, 32 bytes each; the others are read from the journal.
pub const UNSEALED_LEAVES_MAX: usize = 65_536;
/// Body bytes after which a checkpoint is signed; bounds what the next start has to hash again.
pub const CHECKPOINT_BYTES: u64 = 16 * 1024 * 1024;
/// Pending requests for a checkpoint. One more: refused.
pub const SEAL_WAITERS_MAX: usize = 64;
/// Time after which a checkpoint is signed if there are events that none covers yet.
pub const CHECKPOINT_SECONDS: u64 = 10;
/// Events signed with one key. Then it signs its successor and is destroyed.
pub const EPOCH_EVENTS: u64 = 100_000;
/// Lifetime of a signing key, however few events it signed.
pub const EPOCH_MS: u64 = 24 * 3_600 * 1_000;
/// Largest signed note that is read. Larger: refused.
pub const NOTE_BYTES_MAX: usize = 16 * 1024;
/// Largest file of a signing key that is read. Larger: refused.
pub const SIGNING_KEY_FILE_BYTES_MAX: u64 = 4 * 1024;
/// Largest proof that is read: an audit path, and one handover a day for decades. Larger: refused.
pub const PROOF_FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Problems one verification lists; the rest are only counted.
pub const VERIFY_PROBLEMS_MAX: usize = 100;
/// Age up to which the last commit counts as proof that the journal can commit.
pub const PROBE_FRESH_MS: u64 = 1_000;

/// Connectors registered with one supervisor. One more: refused.
pub const CONNECTORS_MAX: usize = 256;
/// Events of one connector that are being appended. One more: refused.
pub const EMITS_IN_FLIGHT_MAX: usize = 64;
/// Pause before a connector that ended is restarted. It doubles with each end.
pub const CONNECTOR_PAUSE_MS_MIN: u64 = 100;
/// Longest such pause.
pub const CONNECTOR_PAUSE_SECONDS_MAX: u64 = 60;
/// Time a connector has to run before its pauses start from the shortest again.
pub const CONNECTOR_HEALTHY_SECONDS: u64 = 60;
/// Time a connector has to close. When it expires, its successor is started beside it, or the daemon exits without
/// waiting.
pub const CONNECTOR_CLOSE_SECONDS: u64 = 5;
/// Restarts of one actor within [`RESTART_WINDOW_SECONDS`]; beyond them the process exits with status 70.
pub const RESTARTS_MAX: usize = 3;
/// The sliding window in which [`RESTARTS_MAX`] is counted.
pub const RESTART_WINDOW_SECONDS: u64 = 60;
/// Time the factory of an actor has to restart it; beyond it the process exits with status 70. Long, because a journal may
/// have to be read on a slow disk.
pub const ACTOR_RESTART_SECONDS_MAX: u64 = 300;
/// Capacity of an actor's mailbox. When it is full, `tell` returns `Full`; `ask` is not bounded by it.
pub const MAILBOX_MESSAGES_MAX: usize = 8_192;

/// Longest text from a handshake request that is echoed in the answer.
pub const ECHO_BYTES_MAX: usize = 256;
