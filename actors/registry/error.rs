//! The errors of the registry, each with its remedy.

use std::sync::Arc;

use crate::ids::nearest;
use crate::text_places::TextFault;

/// Why the registry did not do what it was asked. Nothing was changed, except with [`RegistryError::Unsynced`].
#[derive(Debug, Clone, thiserror::Error)]
pub enum RegistryError {
    /// The file cannot be used as it is.
    #[error(transparent)]
    InvalidFile(Box<TextFault>),
    /// One of the operator's own profiles cannot be used.
    #[error(transparent)]
    Profile(Arc<TextFault>),
    /// The requested settings are not valid.
    #[error("{field}: {message}")]
    InvalidDraft {
        /// The field.
        field: String,
        /// What is wrong with it.
        message: String,
        /// What to do about it.
        hint: Option<String>,
    },
    /// The id is taken.
    #[error("the integration `{id}` exists already")]
    Exists {
        /// The id.
        id: String,
    },
    /// No integration has this id.
    #[error("there is no integration `{id}`")]
    Unknown {
        id: String,
        /// The most similar id.
        nearest: Option<String>,
    },
    /// It cannot verify deliveries yet, so it cannot be enabled.
    #[error("the integration `{id}` is not ready: {}", issues.join("; "))]
    NotReady {
        id: String,
        /// What is missing.
        issues: Vec<String>,
    },
    /// It is enabled, and could not verify deliveries after the change.
    #[error("this change would make the enabled integration `{id}` unready: {}", issues.join("; "))]
    WouldNotBeReady {
        id: String,
        /// What would be missing.
        issues: Vec<String>,
    },
    /// The registry is full.
    #[error("there are already {max} integrations, the most that one daemon serves")]
    TooMany {
        /// The maximum number of integrations.
        max: usize,
    },
    /// The file was edited since it was last read.
    #[error(
        "`{file}` was edited since it was read; the change was not made, so that the edit is not overwritten"
    )]
    EditedMeanwhile {
        /// Name of the file.
        file: String,
    },
    /// The file was removed since it was last read.
    #[error("`{file}` is missing; the last configuration read from it stays in force")]
    Gone {
        /// Name of the file.
        file: String,
    },
    /// There is no file at the start, although the journal has events about integrations.
    #[error("`{file}` is missing, but the journal has events about integrations that may have been in it")]
    Lost {
        /// Name of the file.
        file: String,
    },
    /// The change is written and in force, but could not be synced: a power failure may undo it.
    #[error("the change is in force and in `{file}`, but a power cut may undo it: {problem}")]
    Unsynced {
        file: String,
        /// The error of the operating system.
        problem: String,
    },
    /// The file is not accepted: accessible to others, a link or a folder, too large, or not text.
    #[error("{problem}")]
    Unfit {
        /// Which file it is, what is wrong with it and what to do.
        problem: String,
    },
    /// The file cannot be read or written.
    #[error("cannot use `{file}`: {problem}")]
    Io {
        file: String,
        /// The error of the operating system, with a remedy if one is known.
        problem: String,
    },
}

impl RegistryError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::InvalidFile(fault) => fault.hint.clone(),
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

    /// Reports a fault in text that was about to be written as a fault of the requested settings, because the place is
    /// not in the existing file.
    pub(super) fn of_draft(self) -> Self {
        let Self::InvalidFile(fault) = self else { return self };
        let field = fault.field.split_once("].").map_or(fault.field.as_str(), |(_, own)| own);
        Self::draft(field, fault.message.as_str(), fault.hint.clone())
    }

    pub(super) fn draft(field: &str, message: impl Into<String>, hint: Option<String>) -> Self {
        Self::InvalidDraft { field: field.to_owned(), message: message.into(), hint }
    }
}
