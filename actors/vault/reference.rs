//! References to secrets, in the vault or outside it.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use crate::ids::nearest;
use crate::limits::{VAULT_REF_BYTES_MAX, VAULT_REF_PART_BYTES_MAX};

const FORMS: &str = "`global/KEY`, `principal:ID/KEY`, `channel:NAME:ACCOUNT/KEY`, `skill:ID/KEY`, \
                     `env:NAME`, `file:/ABSOLUTE/PATH`";
/// The forms of references into the vault.
const STORED_FORMS: &str = "`global/KEY`, `principal:ID/KEY`, `channel:NAME:ACCOUNT/KEY`, `skill:ID/KEY`";
/// The words with which a reference can begin, up to the first `:` or `/`.
const BEGINNINGS: [&str; 7] = ["global", "principal", "channel", "skill", "env", "file", "hashivault"];
/// Those that a mistyped word may stand for. `hashivault` is not among them, because it is read but not supported yet.
const SUGGESTED: [&str; 6] = ["global", "principal", "channel", "skill", "env", "file"];
/// Those of references to secrets outside the vault.
const BEGINNINGS_OUTSIDE: [&str; 3] = ["env", "file", "hashivault"];

/// Where the secret of a reference is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Keeper {
    /// In the vault: `<scope>/<key>`.
    Vault,
    /// In an environment variable of the daemon: `env:NAME`.
    Env,
    /// In a private file: `file:/ABSOLUTE/PATH`.
    File,
    /// In a HashiCorp Vault: `hashivault:MOUNT/PATH#FIELD`. Valid, but not supported in this version.
    HashiVault,
}

/// A valid reference to a secret.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VaultRef {
    text: String,
    keeper: Keeper,
}

/// Why a text is not a reference to a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{shown} is not a vault reference: {reason}")]
pub struct InvalidRef {
    /// A description of the text. It contains no more of it than the word a reference begins with, because people paste
    /// secrets by mistake.
    pub shown: String,
    /// What is wrong with it.
    pub reason: String,
    /// What to write instead.
    pub hint: String,
}

impl VaultRef {
    /// Parses a reference.
    ///
    /// # Errors
    /// What is wrong with `text`, and what to write instead.
    pub fn parse(text: &str) -> Result<Self, InvalidRef> {
        let beginning = text.split([':', '/']).next().unwrap_or_default();
        let invalid = |(reason, hint): Complaint| InvalidRef { shown: shown(text, beginning), reason, hint };
        if text.len() > VAULT_REF_BYTES_MAX {
            return Err(invalid(complain(
                format!("it is longer than {VAULT_REF_BYTES_MAX} bytes"),
                "shorten it",
            )));
        }
        let keeper = check(text, beginning).map_err(invalid)?;
        Ok(Self { text: text.to_owned(), keeper })
    }

    /// Parses a reference to a secret that will be changed; a text that is not a reference is reported as a name in the
    /// vault.
    ///
    /// # Errors
    /// As [`VaultRef::parse`].
    pub fn parse_to_change(text: &str) -> Result<Self, InvalidRef> {
        let beginning = text.split([':', '/']).next().unwrap_or_default();
        Self::parse(text).map_err(|invalid| {
            let leads_out = BEGINNINGS_OUTSIDE.contains(&beginning);
            let hint = match nearest(beginning, SUGGESTED) {
                _ if !leads_out && !invalid.hint.contains(FORMS) => return invalid,
                Some(word) if word != beginning && !BEGINNINGS_OUTSIDE.contains(&word) => {
                    format!("did you mean `{word}`? Write {STORED_FORMS}")
                }
                _ => format!("write {STORED_FORMS}"),
            };
            InvalidRef { hint, ..invalid }
        })
    }

    /// Its written form.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub fn keeper(&self) -> Keeper {
        self.keeper
    }

    /// The name or path after the prefix; for the vault, the whole text.
    pub fn place(&self) -> &str {
        let prefix = match self.keeper {
            Keeper::Vault => "",
            Keeper::Env => "env:",
            Keeper::File => "file:",
            Keeper::HashiVault => "hashivault:",
        };
        self.text.strip_prefix(prefix).unwrap_or(&self.text)
    }

    /// Whether this version can read the secret.
    pub fn is_supported(&self) -> bool {
        self.keeper != Keeper::HashiVault
    }

    /// Instructions for the operator to replace its keys by newer ones; the vault then still accepts the earlier ones.
    pub fn how_to_renew(&self) -> String {
        let place = self.place();
        match self.keeper {
            Keeper::Vault => format!("store the new keys with `palyra vault rotate {place} < FILE`"),
            Keeper::Env => {
                format!(
                    "set the variable `{place}` in the daemon's environment to the new keys and restart it"
                )
            }
            Keeper::File => format!("write the new keys to `{place}`"),
            Keeper::HashiVault => self.how_to_provide(),
        }
    }

    /// Instructions for the operator to set its value.
    pub fn how_to_provide(&self) -> String {
        let place = self.place();
        match self.keeper {
            Keeper::Vault => format!("store it with `palyra vault put {place}`"),
            Keeper::Env => format!("set the variable `{place}` in the daemon's environment and restart it"),
            Keeper::File => format!("write the secret to `{place}` and run `chmod 600 {place}`"),
            Keeper::HashiVault => {
                "keep the secret in the vault, in an environment variable or in a file".to_owned()
            }
        }
    }
}

/// Reason and hint.
type Complaint = (String, String);

fn complain(reason: impl Into<String>, hint: impl Into<String>) -> Complaint {
    (reason.into(), hint.into())
}

fn shown(text: &str, beginning: &str) -> String {
    let separator = text.strip_prefix(beginning).and_then(|rest| rest.chars().next());
    match separator {
        _ if !BEGINNINGS.contains(&beginning) => format!("a text of {} characters", text.chars().count()),
        Some(separator) => format!("`{beginning}{separator}…`"),
        None => format!("`{beginning}`"),
    }
}

fn check(text: &str, beginning: &str) -> Result<Keeper, Complaint> {
    if let Some(name) = text.strip_prefix("env:") {
        return check_variable(name).map(|()| Keeper::Env);
    }
    if let Some(path) = text.strip_prefix("file:") {
        return check_path(path).map(|()| Keeper::File);
    }
    if let Some(place) = text.strip_prefix("hashivault:") {
        return check_hashivault(place).map(|()| Keeper::HashiVault);
    }
    let Some((scope, key)) = text.split_once('/') else {
        return Err(complain("it has no `/` between scope and key", expected(beginning)));
    };
    check_scope(scope, beginning)?;
    check_part("key", key)?;
    Ok(Keeper::Vault)
}

fn check_scope(scope: &str, beginning: &str) -> Result<(), Complaint> {
    let mut parts = scope.split(':').skip(1);
    let names: &[&str] = match beginning {
        "global" => &[],
        "principal" => &["principal id"],
        "channel" => &["channel name", "channel account"],
        "skill" => &["skill id"],
        _ => return Err(complain("its scope is unknown", expected(beginning))),
    };
    for name in names {
        check_part(name, parts.next().unwrap_or_default())?;
    }
    if parts.next().is_some() {
        return Err(complain(
            format!("the scope `{beginning}` has too many parts"),
            format!("write {FORMS}"),
        ));
    }
    Ok(())
}

/// Checks for `[A-Za-z0-9._-]`, starting with a letter or digit.
fn check_part(name: &str, part: &str) -> Result<(), Complaint> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    if part.is_empty() {
        return Err(complain(format!("its {name} is empty"), format!("write {FORMS}")));
    }
    if part.len() > VAULT_REF_PART_BYTES_MAX {
        return Err(complain(
            format!("its {name} is longer than {VAULT_REF_PART_BYTES_MAX} bytes"),
            "shorten it",
        ));
    }
    if !part.starts_with(|c: char| c.is_ascii_alphanumeric()) || !part.bytes().all(allowed) {
        let hint = format!("use `A-Z a-z 0-9 . _ -` in the {name}, starting with a letter or digit");
        return Err(complain(format!("its {name} has a character that is not allowed"), hint));
    }
    Ok(())
}

/// Checks for a POSIX name: letters, digits and underscores, not starting with a digit.
fn check_variable(name: &str) -> Result<(), Complaint> {
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if starts_well && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        return Ok(());
    }
    Err(complain("it names no environment variable", "write `env:NAME`, for example `env:GITHUB_SECRET`"))
}

fn check_path(path: &str) -> Result<(), Complaint> {
    let hint = "write `file:/ABSOLUTE/PATH` without `..`, for example `file:/etc/palyra/github.secret`";
    if !path.starts_with('/') || path.ends_with('/') {
        return Err(complain("its path is not the absolute path of a file", hint));
    }
    if path.split('/').any(|part| part == "..") || path.chars().any(char::is_control) {
        return Err(complain("its path has `..` or a control character in it", hint));
    }
    Ok(())
}

fn check_hashivault(place: &str) -> Result<(), Complaint> {
    let hint = || format!("`hashivault:` is not supported in this version: write {FORMS}");
    let parts = place.split_once('#').and_then(|(path, field)| Some((path.split_once('/')?, field)));
    let Some(((mount, path), field)) = parts else {
        return Err(complain("it has no mount, path and field", hint()));
    };
    check_part("mount", mount)?;
    for part in path.split('/') {
        check_part("path", part)?;
    }
    check_part("field", field)
}

fn expected(beginning: &str) -> String {
    match nearest(beginning, SUGGESTED) {
        Some(word) if word != beginning => format!("did you mean `{word}`? Write {FORMS}"),
        _ => format!("write {FORMS}"),
    }
}

impl fmt::Display for VaultRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for VaultRef {
    type Err = InvalidRef;

    fn from_str(text: &str) -> Result<Self, InvalidRef> {
        Self::parse(text)
    }
}

impl Serialize for VaultRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}
