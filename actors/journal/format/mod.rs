//! An event as a row of the database, and as the bytes that are hashed (`docs/journal-format.md`).
//!
//! It touches no file: it works on rows and connections it is given, and depends on no other folder.
//!
//! | file | idea |
//! |---|---|
//! | `schema.sql` | the tables, the indices, the triggers that keep them append-only |
//! | `row.rs` | one row with its stored values, and the conversions between it and an event |
//! | `stored_words.rs` | the words that stand for kinds, severities, verdicts and body formats |
//! | `entry.rs` | the hashed form of an event, written and read back; its leaf hash |
//! | `chain.rs` | whether each row follows from the preceding one |

pub(super) mod chain;
pub(super) mod entry;
pub(super) mod row;
mod stored_words;
