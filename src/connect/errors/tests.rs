use std::path::PathBuf;

use anyhow::Context as _;
use palyra_actors::vault::VaultError;

use super::*;
use crate::exit::Exit;

fn code(error: anyhow::Error) -> Exit {
    not_started(&error).exit()
}

/// An error of the system wherever a start may meet it.
fn met(errno: rustix::io::Errno) -> [anyhow::Error; 3] {
    let source = || io::Error::from(errno);
    [
        StateRootError::Io { path: PathBuf::new(), source: source() }.into(),
        VaultError::Storage(source().into()).into(),
        Err::<(), _>(source()).context("cannot listen for signals").unwrap_err(),
    ]
}

#[test]
fn a_used_up_quota_and_a_limit_of_file_size_are_as_a_full_disk() {
    for errno in [rustix::io::Errno::NOSPC, rustix::io::Errno::DQUOT, rustix::io::Errno::FBIG] {
        let source = || io::Error::from(errno);
        let root = StateRootError::Io { path: PathBuf::new(), source: source() };
        assert_eq!(code(root.into()), Exit::Internal, "{errno}");
        assert_eq!(code(VaultError::Storage(source().into()).into()), Exit::Internal, "{errno}");
    }
}

#[test]
fn a_disk_that_fails_ends_with_one_code_and_one_hint_wherever_it_is_met() {
    for fault in met(rustix::io::Errno::IO) {
        let told = not_started(&fault);
        assert_eq!(told.exit(), Exit::Internal, "{told}");
        assert!(told.hint.unwrap().contains("do not restore a backup over it"));
    }
}

#[test]
fn a_shortage_that_may_pass_is_told_as_one_and_worth_another_start() {
    for errno in [rustix::io::Errno::NFILE, rustix::io::Errno::MFILE, rustix::io::Errno::NOMEM] {
        for fault in met(errno) {
            let told = not_started(&fault);
            assert_eq!(told.exit(), Exit::Internal, "{errno}: {told}");
            assert!(told.hint.unwrap().contains("lacks file descriptors or memory"), "{errno}");
        }
    }
}

#[test]
fn an_address_that_can_never_be_listened_on_is_configuration_and_one_that_is_taken_is_not() {
    let table = [
        (ErrorKind::AddrNotAvailable, Exit::Config),
        (ErrorKind::PermissionDenied, Exit::Config),
        (ErrorKind::AddrInUse, Exit::Failed),
    ];
    for (kind, exit) in table {
        let refused = Err::<(), _>(io::Error::from(kind)).context("cannot listen").unwrap_err();
        assert_eq!(code(refused), exit, "{kind}");
    }
}

#[test]
fn a_thread_that_is_refused_is_a_shortage_if_it_may_be_granted_later_and_no_matter_of_ports() {
    let table = [
        (ErrorKind::WouldBlock, Exit::Internal, "TasksMax="),
        (ErrorKind::PermissionDenied, Exit::Config, "system calls"),
    ];
    for (kind, exit, hint) in table {
        let told = not_started(&anyhow::Error::from(threads::Refused(io::Error::from(kind))));
        assert_eq!(told.exit(), exit, "{kind}");
        assert!(told.to_text().contains(hint) && !told.to_text().contains("port"), "{}", told.to_text());
    }
}
