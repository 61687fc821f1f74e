//! How the journal's files are opened, and when they are refused. Connections to the database are made nowhere else.
//!
//! It reads the database, the anchor and the checkpoint file, creates the database if there is none, and writes the first
//! record of the anchor. The database, its log, the anchor and the checkpoint file are not changed before all of them were
//! checked. The signing key may be: after a crash at the end of an epoch, `journal.key.next` takes the place of
//! `journal.key` as soon as the checkpoint file is found to name it.
//!
//! | file | idea |
//! |---|---|
//! | `open.rs` | the way in, for the writer and for readers: what is checked, in order |
//! | `connection.rs` | every setting of SQLite, and what the writer's connection may do |
//! | `rollback.rs` | a loss that the operator accepts |
//! | `missing_database.rs` | a database that is missing or empty although the files beside it show that there were events |
//! | `other_log.rs` | a write-ahead log beside a database that it was not written for |
//! | `failing_disk.rs` | whether what looks like damage is a disk that cannot be read |
//! | `same_file.rs` | whether the files are still those that were opened |

pub(super) mod connection;
pub(super) mod failing_disk;
pub(super) mod missing_database;
pub(super) mod open;
pub(super) mod other_log;
pub(super) mod rollback;
pub(super) mod same_file;
