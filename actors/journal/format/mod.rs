//! What an event is as a row of the database, and as the bytes that are hashed (`docs/journal-format.md`).
//!
//! It touches no file: it works on rows and connections that it is handed, and knows no other folder.
//!
//! | file | idea |
//! |---|---|
//! | `schema.sql` | the tables, the indices, the triggers that keep them append-only |
//! | `row.rs` | one row, value for value, and the ways between it and an event |
//! | `stored_words.rs` | the words that stand for kinds, severities, verdicts and body formats |
//! | `entry.rs` | what is hashed of an event, written and read back; its leaf hash |
//! | `chain.rs` | whether each row follows from the one before |

pub(super) mod chain;
pub(super) mod entry;
pub(super) mod row;
mod stored_words;
