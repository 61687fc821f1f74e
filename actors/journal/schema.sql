-- The journal, format 1. docs/journal-format.md says what each column means and how it is hashed.
-- The text of this file is compared with what a journal was made with: a change needs a new format number.

CREATE TABLE journal_events (
    seq               INTEGER PRIMARY KEY,
    event_id          TEXT    NOT NULL CHECK (length(event_id) = 26),
    kind              TEXT    NOT NULL CHECK (kind IN ('webhook', 'system')),
    name              TEXT    NOT NULL,
    severity          TEXT    NOT NULL CHECK (severity IN ('info', 'warn', 'error')),
    principal         TEXT    NOT NULL,
    source            TEXT    NOT NULL,
    integration_id    TEXT,
    provider          TEXT,
    delivery_id       TEXT,
    key_version       INTEGER,
    occurred_at       INTEGER NOT NULL CHECK (occurred_at >= 0),
    recorded_at       INTEGER NOT NULL CHECK (recorded_at >= 0),
    summary           TEXT    NOT NULL,
    tags              TEXT    NOT NULL,
    replay_key        BLOB    CHECK (length(replay_key) = 32),
    replay_body       BLOB    CHECK (length(replay_body) = 32),
    replay_verdict    TEXT    CHECK (replay_verdict IN ('rejected', 'filtered', 'conflict', 'accepted')),
    replay_expires_at INTEGER CHECK (replay_expires_at >= 0),
    body_format       TEXT    NOT NULL CHECK (body_format IN ('none', 'json', 'json_array', 'form', 'text', 'envelope')),
    prev_hash         BLOB    NOT NULL CHECK (length(prev_hash) = 32),
    hash              BLOB    NOT NULL CHECK (length(hash) = 32),
    -- Last, so that reading any other column touches no overflow page of a large body.
    body              BLOB    NOT NULL,
    -- All four columns of a claim, or none.
    CHECK ((replay_key IS NULL) + (replay_body IS NULL) + (replay_verdict IS NULL) + (replay_expires_at IS NULL) IN (0, 4))
) STRICT;

-- Each list filter has an index in the order of seq; kind and name ride along, so that a page that narrows
-- further examines index entries, not rows.
CREATE INDEX journal_by_integration ON journal_events (integration_id, seq, kind, name) WHERE integration_id IS NOT NULL;
CREATE INDEX journal_by_name ON journal_events (name, seq, kind);
CREATE INDEX journal_by_kind ON journal_events (kind, seq);
CREATE INDEX journal_by_severity ON journal_events (severity, seq, kind, name) WHERE severity <> 'info';
CREATE INDEX journal_by_time ON journal_events (recorded_at, seq);

-- The newest event of each replay key. Every column can be derived from journal_events; `verify` does.
CREATE TABLE replay_keys (
    key        BLOB    PRIMARY KEY CHECK (length(key) = 32),
    body       BLOB    NOT NULL CHECK (length(body) = 32),
    seq        INTEGER NOT NULL CHECK (seq > 0),
    verdict    TEXT    NOT NULL CHECK (verdict IN ('rejected', 'filtered', 'conflict', 'accepted')),
    expires_at INTEGER NOT NULL CHECK (expires_at >= 0)
) STRICT, WITHOUT ROWID;

-- The signed checkpoints, in the order they were signed in. `kind` says which key lines the note has.
CREATE TABLE journal_checkpoints (
    number INTEGER PRIMARY KEY,
    size   INTEGER NOT NULL CHECK (size >= 0),
    kind   TEXT    NOT NULL CHECK (kind IN ('root', 'plain', 'handover')),
    note   TEXT    NOT NULL
) STRICT;

CREATE INDEX journal_checkpoints_by_size ON journal_checkpoints (size, number);
CREATE INDEX journal_checkpoints_by_kind ON journal_checkpoints (kind, number) WHERE kind <> 'plain';

-- Roots of the full subtrees of 2^8, 2^16, … leaves that the newest checkpoint covers. All can be derived from the
-- leaf hashes; `verify` does.
CREATE TABLE journal_subtrees (
    level INTEGER NOT NULL CHECK (level IN (8, 16, 24, 32, 40, 48, 56)),
    place INTEGER NOT NULL CHECK (place >= 0),
    hash  BLOB    NOT NULL CHECK (length(hash) = 32),
    PRIMARY KEY (level, place)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER journal_events_no_update BEFORE UPDATE ON journal_events
BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;

CREATE TRIGGER journal_events_no_delete BEFORE DELETE ON journal_events
BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;

CREATE TRIGGER journal_events_follow BEFORE INSERT ON journal_events
WHEN NEW.seq IS NOT (SELECT coalesce(max(seq), 0) + 1 FROM journal_events)
BEGIN SELECT RAISE(ABORT, 'seq does not follow the newest event'); END;

CREATE TRIGGER journal_events_link BEFORE INSERT ON journal_events
WHEN NEW.prev_hash IS NOT coalesce(
    (SELECT hash FROM journal_events WHERE seq = NEW.seq - 1),
    x'0000000000000000000000000000000000000000000000000000000000000000')
BEGIN SELECT RAISE(ABORT, 'prev_hash is not the hash of the newest event'); END;

CREATE TRIGGER journal_events_in_time BEFORE INSERT ON journal_events
WHEN NEW.recorded_at < (SELECT recorded_at FROM journal_events WHERE seq = NEW.seq - 1)
BEGIN SELECT RAISE(ABORT, 'recorded_at is before the newest event'); END;

CREATE TRIGGER replay_keys_no_delete BEFORE DELETE ON replay_keys
BEGIN SELECT RAISE(ABORT, 'replay keys are never deleted'); END;

CREATE TRIGGER replay_keys_forward BEFORE UPDATE ON replay_keys
WHEN NEW.key IS NOT OLD.key OR NEW.seq <= OLD.seq
BEGIN SELECT RAISE(ABORT, 'a replay key only moves to a newer event'); END;

CREATE TRIGGER journal_checkpoints_no_update BEFORE UPDATE ON journal_checkpoints
BEGIN SELECT RAISE(ABORT, 'checkpoints are append-only'); END;

CREATE TRIGGER journal_checkpoints_no_delete BEFORE DELETE ON journal_checkpoints
BEGIN SELECT RAISE(ABORT, 'checkpoints are append-only'); END;

CREATE TRIGGER journal_checkpoints_follow BEFORE INSERT ON journal_checkpoints
WHEN NEW.number IS NOT (SELECT coalesce(max(number), 0) + 1 FROM journal_checkpoints)
  OR NEW.size < (SELECT coalesce(max(size), 0) FROM journal_checkpoints)
BEGIN SELECT RAISE(ABORT, 'the checkpoint does not follow the newest one'); END;

CREATE TRIGGER journal_subtrees_no_update BEFORE UPDATE ON journal_subtrees
BEGIN SELECT RAISE(ABORT, 'subtrees are append-only'); END;

CREATE TRIGGER journal_subtrees_no_delete BEFORE DELETE ON journal_subtrees
BEGIN SELECT RAISE(ABORT, 'subtrees are append-only'); END;
