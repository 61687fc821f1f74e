//! The bounds of the library, each with its unit in the name and what happens when it is hit.
//!
//! Bounds an operator may change live in the settings of the daemon; these are the fixed ones. What bounds one file alone,
//! such as the layout of a record or how deep its parser goes, stands in that file.

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
/// Largest anchor file that is read. A sound one has 64 KiB, one of another size up to here is told as damaged. Larger: refused.
pub const ANCHOR_FILE_BYTES_MAX: u64 = 2 * 1024 * 1024;
/// Largest provider profile that is read. Larger: refused.
pub const PROFILE_FILE_BYTES_MAX: u64 = 64 * 1024;
/// Largest file of signed requests that `providers check` reads. Larger: refused.
pub const VECTOR_FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Most profiles of the operator's own. One more: the daemon does not start and says so.
pub const OWN_PROFILES_MAX: usize = 256;

/// `max_payload_bytes` of an integration that names none.
pub const PAYLOAD_BYTES_DEFAULT: u64 = 65_536;
/// The daemon's cap on `max_payload_bytes` unless the settings raise it.
pub const PAYLOAD_BYTES_CAP_DEFAULT: u64 = 1_048_576;
/// The highest value the settings may raise that cap to (GitHub's and GitLab's own limit).
pub const PAYLOAD_BYTES_CAP_MAX: u64 = 26_214_400;
/// Window in which a replay key is remembered, unless the settings or the integration say otherwise.
pub const REPLAY_WINDOW_SECONDS_DEFAULT: u64 = 7 * 24 * 3_600;
/// Shortest window of the settings: twice the widest timestamp tolerance a profile may name (both sides of now), which no
/// token's age exceeds. That of an integration may be as short as the times and tokens of its own profile stay fresh, and 1 s.
pub const REPLAY_WINDOW_SECONDS_MIN: u64 = 2 * TIMESTAMP_TOLERANCE_SECONDS_MAX + 1;
/// Longest window: ten years.
pub const REPLAY_WINDOW_SECONDS_MAX: u64 = 10 * 366 * 24 * 3_600;
/// Widest timestamp tolerance a profile may name, and the greatest age of a token.
pub const TIMESTAMP_TOLERANCE_SECONDS_MAX: u64 = 3_600;
/// Accepted deliveries a second of an integration that does not require a signature. Over it: 429.
pub const UNSIGNED_RATE_PER_SECOND_DEFAULT: u32 = 50;

/// Candidate signatures tried for one delivery. More in the header: refused as malformed.
pub const SIGNATURE_CANDIDATES_MAX: usize = 8;
/// Longest signature header that is looked at. Longer: refused as malformed.
pub const SIGNATURE_HEADER_BYTES_MAX: usize = 16 * 1024;
/// Longest delivery id that is kept; a longer one is not used (the digest identifies the delivery).
pub const DELIVERY_ID_BYTES_MAX: usize = 256;
/// Schema problems listed in one answer; the rest are left out.
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
/// Secrets whose newest state is remembered, those that were removed among them; with more, one of the removed is
/// forgotten for each.
pub const VAULT_PINS_MAX: usize = 4 * SECRETS_MAX;
/// The file in which they are. Larger: refused, and the vault with it.
pub const VAULT_PINS_FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Largest `identity.txt` of the vault. Larger: refused.
pub const IDENTITY_FILE_BYTES_MAX: u64 = 4 * 1024;
/// Time a value from `env:` or `file:` is served from the cache before it is read again.
pub const SECRET_CACHE_SECONDS: u64 = 60;
/// Time within which it is found out whether a secret could be used. Longer, as on a share that hangs: it counts as one that
/// cannot be read, and no second read of it is begun before the first has ended.
pub const SECRET_PROBE_SECONDS: u64 = 5;
/// Secrets kept decrypted at once; the one used longest ago leaves.
pub const SECRET_CACHE_ENTRIES_MAX: usize = SECRETS_MAX;

/// Leases in flight. One more: refused as overload (503).
pub const LEASES_MAX: usize = 8_192;
/// Copies of one delivery that wait for its first verdict. One more: refused as overload (503).
pub const LEASE_WAITERS_MAX: usize = 4_096;
/// Replay keys whose events the guard remembers; the journal knows the others.
pub const RECENT_KEYS_MAX: usize = 65_536;
/// Filters over replay keys kept in memory, 2 MiB for 1,048,576 events each: those of 220 events a second for a week. Older
/// keys within their window are looked for in the journal's file, which costs each append up to 16 reads for every
/// 1,048,576 of them.
pub const KEY_FILTERS_MAX: usize = 128;

/// Rows committed in one group.
pub const GROUP_ROWS_MAX: usize = 256;
/// Body bytes committed in one group (one larger row makes a group of its own).
pub const GROUP_BYTES_MAX: usize = 1024 * 1024;
/// Most members of an envelope's payload. More: 422.
pub const PAYLOAD_MEMBERS_MAX: usize = 2_048;
/// Latest time an envelope may have, in Unix milliseconds: the largest integer that every reader of JSON reads
/// (2^53 - 1). Later: 422.
pub const ENVELOPE_UNIX_MS_MAX: u64 = (1 << 53) - 1;
/// Groups that are committed and wait for the thread that anchors. Over it: the group is handed over late, and the next
/// commit waits for that.
pub const ANCHORED_GROUPS_MAX: usize = 4;
/// Longest event name and source a webhook event may have, in characters. Longer: refused.
pub const WEBHOOK_NAME_CHARS_MAX: usize = 128;
/// Longest principal of an event. Longer: refused.
pub const PRINCIPAL_BYTES_MAX: usize = 128;
/// Longest summary of an event; longer ones are refused.
pub const SUMMARY_BYTES_MAX: usize = 240;
/// Longest name of an operator's or connector's event, before any prefix. Longer: refused.
pub const EVENT_NAME_BYTES_MAX: usize = 64;
/// Names of one kind, of integrations or secrets for example, that a system event of the daemon's own lists at most.
pub const EVENT_NAMES_MAX: usize = 24;
/// Largest `details` of a system event, as JSON text. Larger: refused.
pub const EVENT_DETAILS_BYTES_MAX: usize = 8 * 1024;
/// Most tags of an event. More: refused.
pub const EVENT_TAGS_MAX: usize = 16;
/// Longest tag. Longer: refused.
pub const EVENT_TAG_BYTES_MAX: usize = 64;
/// Events in one page of a list. More are asked for: refused.
pub const PAGE_EVENTS_MAX: usize = 1_000;
/// Events in a page that names no limit.
pub const PAGE_EVENTS_DEFAULT: usize = 50;
/// Rows and blocks one page may examine; then the page ends with a cursor.
pub const PAGE_EXAMINED_MAX: u64 = 2_048;
/// Events among which one is looked for by its id. A clock that was set back may have put more between: then it is found by its
/// seq alone.
pub const ID_SEARCHED_EVENTS_MAX: u64 = 50_000;
/// Bytes of bodies in one page; the event that goes over it is the last of its page.
pub const PAGE_BODY_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Read-only connections to the journal.
pub const JOURNAL_READERS_MAX: usize = 4;
/// Time a read waits for a free connection. Longer: refused as overload (503).
pub const JOURNAL_READER_WAIT_MS: u64 = 2_000;
/// Time a read waits for a lock of SQLite. Longer: the read fails.
pub const JOURNAL_READ_LOCK_WAIT_MS: u64 = 250;
/// Time a commit waits while another process holds the write lock. Longer: refused as overload (503).
pub const JOURNAL_WRITE_LOCK_WAIT_MS: u64 = 5_000;
/// Bytes of a page of the journal: large ones make fewer writes of a group, small ones less to write for a single event.
pub const JOURNAL_PAGE_BYTES: i64 = 16_384;
/// Memory the writer keeps pages in.
pub const JOURNAL_CACHE_KIB: i64 = 4_096;
/// Least bytes written to the write-ahead log before they are moved into the database, beside the writer. Few: while the
/// disk is busy with them, groups wait for it.
pub const JOURNAL_MOVE_BYTES_MIN: u64 = 512 * 1024;
/// Time in which so many are to be moved, and more in proportion. Longer: the next part is twice as large, for a disk that
/// is slow to sync would do little else. Half of it or less: the next is half as large.
pub const JOURNAL_MOVE_MS: u64 = 5;
/// Bytes written to the write-ahead log before it begins anew, and the largest part of it. Many: for that the writer stops,
/// and moves the rest itself.
pub const JOURNAL_LOG_BYTES: u64 = 4 * 1024 * 1024;
/// Pages in the log, 64 MiB of them, before a commit itself moves them, should that not keep up.
pub const JOURNAL_WAL_PAGES: u32 = 4_000;
/// Size to which the write-ahead log is cut back once it was moved.
pub const JOURNAL_WAL_BYTES_MAX: i64 = 64 * 1024 * 1024;
/// Largest value SQLite takes: the largest body and slack for the other columns. Larger: that row is refused.
pub const JOURNAL_VALUE_BYTES_MAX: i32 = PAYLOAD_BYTES_CAP_MAX as i32 + 64 * 1024;
/// Newest links of the chain checked when the journal is opened; all of them are checked by `journal verify`.
pub const OPEN_CHECK_LINKS_MAX: usize = 1_000;
/// Bytes of bodies hashed for that check; the newest event is checked whatever its size.
pub const OPEN_CHECK_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Events after which a checkpoint is signed.
pub const CHECKPOINT_EVENTS: u64 = 1_000;
/// Leaf hashes kept in memory for the next checkpoint, 32 bytes each; it reads those beyond from the journal.
pub const UNSEALED_LEAVES_MAX: usize = 65_536;
/// Bytes of bodies after which a checkpoint is signed: what a start may have to hash again.
pub const CHECKPOINT_BYTES: u64 = 16 * 1024 * 1024;
/// Requests for a checkpoint that wait for one. One more: refused.
pub const SEAL_WAITERS_MAX: usize = 64;
/// Time after which a checkpoint is signed if there is any event it would cover.
pub const CHECKPOINT_SECONDS: u64 = 10;
/// Events signed with one key; then it introduces the next and is destroyed.
pub const EPOCH_EVENTS: u64 = 100_000;
/// Time for which one key signs, busy or idle.
pub const EPOCH_MS: u64 = 24 * 3_600 * 1_000;
/// Largest signed note that is read. Larger: refused.
pub const NOTE_BYTES_MAX: usize = 16 * 1024;
/// Largest file of a signing key that is read. Larger: refused.
pub const SIGNING_KEY_FILE_BYTES_MAX: u64 = 4 * 1024;
/// Largest proof that is read: an audit path, and a handover a day for decades. Larger: refused.
pub const PROOF_FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Problems one verification lists; the rest are only counted.
pub const VERIFY_PROBLEMS_MAX: usize = 100;
/// Age of the last commit up to which it proves that the journal can commit.
pub const PROBE_FRESH_MS: u64 = 1_000;

/// Connectors one supervisor runs. One more: refused.
pub const CONNECTORS_MAX: usize = 256;
/// Events of one connector on their way into the journal. One more: refused.
pub const EMITS_IN_FLIGHT_MAX: usize = 64;
/// Pause before a connector that ended is started again. It doubles with each end.
pub const CONNECTOR_PAUSE_MS_MIN: u64 = 100;
/// Longest such pause.
pub const CONNECTOR_PAUSE_SECONDS_MAX: u64 = 60;
/// Time for which a connector has to run, so that its pauses begin anew.
pub const CONNECTOR_HEALTHY_SECONDS: u64 = 60;
/// Time in which a connector has to close. Longer: the next is started beside it, or the daemon ends without it.
pub const CONNECTOR_CLOSE_SECONDS: u64 = 5;
/// Restarts of one actor within [`RESTART_WINDOW_SECONDS`] before the process exits (70).
pub const RESTARTS_MAX: usize = 3;
/// The span in which [`RESTARTS_MAX`] is counted.
pub const RESTART_WINDOW_SECONDS: u64 = 60;
/// Messages an actor's mailbox holds; `tell` answers `Full` over it. It does not bound `ask`.
pub const MAILBOX_MESSAGES_MAX: usize = 8_192;

/// Longest text of a question that the answer to a handshake gives back.
pub const ECHO_BYTES_MAX: usize = 256;
