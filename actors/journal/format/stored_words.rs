//! The words for enumerated values, in the journal's columns and outside.

use crate::journal::claim::Verdict;
use crate::journal::event::{BodyFormat, EventKind, Severity};

macro_rules! words {
    ($type:ident { $($variant:ident = $word:literal),+ $(,)? }) => {
        impl $type {
            /// The word for the value.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// The value of a word. It must match exactly, so that each value has one spelling.
            pub fn parse(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

words!(EventKind { Webhook = "webhook", System = "system" });
words!(Severity { Info = "info", Warn = "warn", Error = "error" });
words!(Verdict { Rejected = "rejected", Filtered = "filtered", Conflict = "conflict", Accepted = "accepted" });
words!(BodyFormat {
    None = "none",
    Json = "json",
    JsonArray = "json_array",
    Form = "form",
    Text = "text",
    Envelope = "envelope",
});
