//! Leaving work unfinished when the process has to end at once.

/// Runs `work` to its end, unless `hurry` resolves before. Returns whether it ended.
///
/// What unfinished work owns stays as it is until the process ends: its lock of the state root must last that long, because
/// the journal's actor may still write.
pub(super) async fn ended(work: impl Future<Output = ()>, hurry: impl Future<Output = ()>) -> bool {
    let mut work = Box::pin(work);
    let is_ended = tokio::select! {
        () = &mut work => true,
        () = hurry => false,
    };
    if !is_ended {
        std::mem::forget(work);
    }
    is_ended
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;
    use crate::state_root::{Role, StateRoot};

    #[test]
    fn work_that_is_left_unfinished_keeps_its_lock() {
        let folder = tempfile::tempdir().unwrap();
        let root = StateRoot::locate(Some(folder.path().join("root")), |_| None).unwrap();
        let possession = root.take(Role::Daemon).unwrap();
        let work = async {
            let _possession = possession;
            pending().await
        };
        assert!(!actix_rt::System::new().block_on(ended(work, ready(()))));
        assert!(root.holder().unwrap().is_some());
    }

    #[test]
    fn work_that_ends_gives_its_lock_up() {
        let folder = tempfile::tempdir().unwrap();
        let root = StateRoot::locate(Some(folder.path().join("root")), |_| None).unwrap();
        let possession = root.take(Role::Daemon).unwrap();
        assert!(actix_rt::System::new().block_on(ended(async { drop(possession) }, pending())));
        assert_eq!(root.holder().unwrap(), None);
    }
}
