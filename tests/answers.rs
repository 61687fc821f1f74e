//! The answers a sender gets, row by row.

use crate::support::{Daemon, state_root};

#[test]
fn an_accepted_delivery_is_answered_with_its_receipt_and_again_as_a_duplicate() {
    let root = state_root();
    let daemon = Daemon::with_github(root.path());
    let first = daemon.github("push", "1", r#"{"ref":"main"}"#);
    assert_eq!((first.status, first.outcome().as_str()), (202, "accepted"));
    let again = daemon.github("push", "another id", r#"{"ref":"main"}"#);
    assert_eq!((again.status, again.outcome().as_str()), (200, "duplicate"));
    assert_eq!(again.json()["receipt"], first.json()["receipt"]);
}
