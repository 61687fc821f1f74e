//! How the journal's files are opened, and when they are refused. The only place where a connection is made.
//!
//! It reads the database, the anchor and the checkpoint file, makes a database where there was none, and writes the anchor's
//! first record. Nothing that is there is changed before all of it was looked at.
//!
//! | file | idea |
//! |---|---|
//! | `open.rs` | the way in, for the writer and for readers: what is checked, in order |
//! | `connection.rs` | every setting of SQLite, and what the writer's connection may do |
//! | `missing_database.rs` | a database that is gone or empty where something beside it tells of events |
//! | `failing_disk.rs` | whether what looks like damage is a disk that cannot be read |
//! | `same_file.rs` | whether the files are still those that were opened |

pub(super) mod connection;
pub(super) mod failing_disk;
pub(super) mod missing_database;
pub(super) mod open;
pub(super) mod same_file;
