-- The journal, format 2. docs/journal-format.md says what each column means and how it is hashed.
-- The text of this file is compared with what a journal was made with: a change needs a new format number.

-- Words are compared one by one: a list after IN would be made a table of its own for every row.
CREATE TABLE journal_events (
    seq               INTEGER PRIMARY KEY,
    event_id          TEXT    NOT NULL CHECK (length(event_id) = 26),
    kind              TEXT    NOT NULL CHECK (kind = 'webhook' OR kind = 'system'),
    name              TEXT    NOT NULL,
    severity          TEXT    NOT NULL CHECK (severity = 'info' OR severity = 'warn' OR severity = 'error'),
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
    replay_verdict    TEXT    CHECK (replay_verdict = 'accepted' OR replay_verdict = 'rejected' OR replay_verdict = 'filtered'
                              OR replay_verdict = 'conflict'),
    replay_expires_at INTEGER CHECK (replay_expires_at >= 0),
    body_format       TEXT    NOT NULL CHECK (body_format = 'json' OR body_format = 'none' OR body_format = 'json_array' OR body_format = 'form'
                              OR body_format = 'text' OR body_format = 'envelope'),
    prev_hash         BLOB    NOT NULL CHECK (length(prev_hash) = 32),
    hash              BLOB    NOT NULL CHECK (length(hash) = 32),
    -- Last, so that reading any other column touches no overflow page of a large body.
    body              BLOB    NOT NULL,
    -- All four columns of a claim, or none.
    CHECK ((replay_key IS NULL) + (replay_body IS NULL) + (replay_verdict IS NULL) + (replay_expires_at IS NULL) IN (0, 4))
) STRICT;

-- For every complete block of 256 events (from 0) and every value of a facet in it: which of its events have the value,
-- a bit for each, the first event the lowest bit of the first big-endian word of 64. All can be derived from
-- journal_events; `verify` does.
CREATE TABLE journal_facets (
    facet TEXT    NOT NULL CHECK (facet IN ('integration_id', 'name', 'severity', 'kind')),
    value TEXT    NOT NULL,
    block INTEGER NOT NULL CHECK (block >= 0),
    bits  BLOB    NOT NULL CHECK (length(bits) = 32),
    PRIMARY KEY (facet, value, block)
) STRICT, WITHOUT ROWID;

-- Where the replay keys of every complete run of 65,536 events (from 0) stand, in parts by the first byte of the key:
-- place is run * 256 + byte; entries are the first eight bytes of a key and the place of its event in the run (two
-- bytes, from 0), sorted. All can be derived from journal_events; `verify` does.
CREATE TABLE replay_keys (
    place   INTEGER PRIMARY KEY CHECK (place >= 0),
    entries BLOB    NOT NULL CHECK (length(entries) > 0 AND length(entries) % 10 = 0)
) STRICT;

-- Of every complete run, when the last of its windows ends; 0 when no event of it took a key.
CREATE TABLE replay_runs (
    run        INTEGER PRIMARY KEY CHECK (run >= 0),
    expires_at INTEGER NOT NULL CHECK (expires_at >= 0)
) STRICT;

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
WHEN NOT EXISTS (
    SELECT 1 FROM journal_events WHERE seq = (SELECT max(seq) FROM journal_events)
    AND seq = NEW.seq - 1 AND hash = NEW.prev_hash AND recorded_at <= NEW.recorded_at)
AND NOT (
    NEW.seq = 1 AND NEW.prev_hash = x'0000000000000000000000000000000000000000000000000000000000000000'
    AND NOT EXISTS (SELECT 1 FROM journal_events))
BEGIN SELECT RAISE(ABORT, 'the event does not follow the newest one'); END;

CREATE TRIGGER journal_facets_no_update BEFORE UPDATE ON journal_facets
BEGIN SELECT RAISE(ABORT, 'blocks are append-only'); END;

CREATE TRIGGER journal_facets_no_delete BEFORE DELETE ON journal_facets
BEGIN SELECT RAISE(ABORT, 'blocks are append-only'); END;

CREATE TRIGGER replay_keys_no_update BEFORE UPDATE ON replay_keys
BEGIN SELECT RAISE(ABORT, 'replay keys are append-only'); END;

CREATE TRIGGER replay_keys_no_delete BEFORE DELETE ON replay_keys
BEGIN SELECT RAISE(ABORT, 'replay keys are append-only'); END;

CREATE TRIGGER replay_runs_no_update BEFORE UPDATE ON replay_runs
BEGIN SELECT RAISE(ABORT, 'runs are append-only'); END;

CREATE TRIGGER replay_runs_no_delete BEFORE DELETE ON replay_runs
BEGIN SELECT RAISE(ABORT, 'runs are append-only'); END;

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
