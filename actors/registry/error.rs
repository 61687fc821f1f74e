//! What can go wrong with the registry, and what to do about it.

use std::sync::Arc;

use crate::ids::nearest;

/// A place in `webhooks.toml` that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileFault {
    /// The file.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
    /// The field, as a path; empty for the file as a whole.
    pub field: String,
    /// What is wrong with it.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

/// Why the registry did not do what it was asked to. Nothing was changed, but after [`RegistryError::Unsynced`].
#[derive(Debug, Clone, thiserror::Error)]
pub enum RegistryError {
    /// The file cannot be used as it is.
    #[error("{}:{}:{}: {}: {}", fault.file, fault.line, fault.column, fault.field, fault.message)]
    InvalidFile {
        /// Where and why.
        fault: Box<FileFault>,
    },
    /// A profile of the operator's cannot be used.
    #[error(transparent)]
    Profile(Arc<crate::provider::ProfileError>),
    /// An integration cannot be as it was asked for.
    #[error("{field}: {message}")]
    InvalidDraft {
        /// The field.
        field: String,
        /// What is wrong with it.
        message: String,
        /// What to do.
        hint: Option<String>,
    },
    /// There is one of that id.
    #[error("the integration `{id}` exists already")]
    Exists {
        /// The id.
        id: String,
    },
    /// There is none of that id.
    #[error("there is no integration `{id}`")]
    Unknown {
        /// The id.
        id: String,
        /// The id most like it.
        nearest: Option<String>,
    },
    /// It cannot verify deliveries yet, so it may not take any.
    #[error("the integration `{id}` is not ready: {}", issues.join("; "))]
    NotReady {
        /// The id.
        id: String,
        /// Why.
        issues: Vec<String>,
    },
    /// It takes deliveries, and could not verify them if it were changed so.
    #[error("this change would make the enabled integration `{id}` unready: {}", issues.join("; "))]
    WouldNotBeReady {
        /// The id.
        id: String,
        /// Why.
        issues: Vec<String>,
    },
    /// One too many.
    #[error("there are already {max} integrations, the most that one daemon serves")]
    TooMany {
        /// The bound.
        max: usize,
    },
    /// Somebody else changed the file since it was read last.
    #[error(
        "`{file}` was edited since it was read; the change was not made, so that the edit is not overwritten"
    )]
    EditedMeanwhile {
        /// The file.
        file: String,
    },
    /// The file was removed since it was read last.
    #[error("`{file}` is missing; the last configuration read from it stays in force")]
    Gone {
        /// The file.
        file: String,
    },
    /// The file was removed while nothing had read it.
    #[error("`{file}` is missing, but the journal has events about integrations that may have been in it")]
    Lost {
        /// The file.
        file: String,
    },
    /// The change is in the file and in force, and is not known to outlast a power cut.
    #[error("the change is in force and in `{file}`, but a power cut may undo it: {problem}")]
    Unsynced {
        /// The file.
        file: String,
        /// What the system says.
        problem: String,
    },
    /// The file is none that is read: open to others, a link or a folder, too large, no text.
    #[error("{problem}")]
    Unfit {
        /// Which file, what is wrong with it and what to do.
        problem: String,
    },
    /// The file can be neither read nor written.
    #[error("cannot use `{file}`: {problem}")]
    Io {
        /// The file.
        file: String,
        /// What the system says, with what to do where that is known.
        problem: String,
    },
}

impl RegistryError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::InvalidFile { fault } => fault.hint.clone(),
            Self::Profile(error) => error.hint.clone(),
            Self::InvalidDraft { hint, .. } => hint.clone(),
            Self::Exists { id } => {
                Some(format!("choose another id, or change that integration with `palyra webhooks set {id}`"))
            }
            Self::Unknown { nearest, .. } => nearest.as_ref().map(|near| format!("did you mean `{near}`?")),
            Self::NotReady { id, .. } => {
                Some(format!("correct this, then run `palyra webhooks enable {id}`"))
            }
            Self::WouldNotBeReady { id, .. } => Some(format!(
                "correct this first, or disable it with `palyra webhooks disable {id}`: a disabled integration can be changed"
            )),
            Self::TooMany { .. } => Some("remove an integration that is no longer used".to_owned()),
            Self::EditedMeanwhile { .. } => {
                Some("reload the file with `palyra system reload`, then try again".to_owned())
            }
            Self::Gone { .. } | Self::Lost { .. } => Some(
                "put the file back; to have no integrations at all, create it with the single line `version = 1`"
                    .to_owned(),
            ),
            Self::Unsynced { .. } => Some(
                "check the disk of the state root; the next successful change also makes this one durable".to_owned(),
            ),
            Self::Unfit { .. } | Self::Io { .. } => None,
        }
    }

    pub(super) fn unknown<'a>(id: &str, ids: impl Iterator<Item = &'a str>) -> Self {
        let nearest = nearest(id, ids).map(str::to_owned);
        Self::Unknown { id: id.escape_debug().take(64).collect(), nearest }
    }

    /// The same fault in a text that was about to be written: told of the field of the integration that was asked for,
    /// for the file as it stands has none.
    pub(super) fn of_draft(self) -> Self {
        let Self::InvalidFile { fault } = self else { return self };
        let field = fault.field.split_once("].").map_or(fault.field.as_str(), |(_, own)| own);
        Self::draft(field, fault.message.as_str(), fault.hint.clone())
    }

    pub(super) fn draft(field: &str, message: impl Into<String>, hint: Option<String>) -> Self {
        Self::InvalidDraft { field: field.to_owned(), message: message.into(), hint }
    }
}
