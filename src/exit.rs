//! The exit codes of the process.

use std::process::ExitCode;

/// How the process ended, for scripts. The numbers above 64 follow BSD's `sysexits.h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Success; also when the reader of the output closed it early.
    Ok = 0,
    /// The command ran, but what it was asked to do did not succeed.
    Failed = 1,
    /// The command line is invalid.
    Usage = 2,
    /// The journal, or a document made from it, does not verify.
    DoesNotVerify = 65,
    /// The daemon cannot be reached.
    Unreachable = 69,
    /// The daemon or a command gave up: a part of the daemon failed too often, a disk fails, file descriptors or memory are
    /// short, or the journal cannot be written.
    Internal = 70,
    /// Another process holds the state root.
    InUse = 73,
    /// The configuration, or the state root itself, cannot be used as it is.
    Config = 78,
}

impl Exit {
    /// All exit codes, in ascending order.
    pub const ALL: [Self; 8] = [
        Self::Ok,
        Self::Failed,
        Self::Usage,
        Self::DoesNotVerify,
        Self::Unreachable,
        Self::Internal,
        Self::InUse,
        Self::Config,
    ];

    /// The numeric exit code.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// What the code means, for the help and the reference.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Ok => "done",
            Self::Failed => "failed: the command ran, but did not succeed",
            Self::Usage => "usage: the command line is not valid",
            Self::DoesNotVerify => "verification failed: data was changed or is missing",
            Self::Unreachable => "the daemon cannot be reached",
            Self::Internal => {
                "internal: a part of the daemon failed too often, a disk is failing, file descriptors or memory are short, or the journal cannot be written"
            }
            Self::InUse => "the state root is in use by another process",
            Self::Config => "configuration: a setting, a file or the state root cannot be used",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
