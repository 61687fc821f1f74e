//! Secrets that cannot be printed, compared, cloned or left in memory by accident.

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// The bytes of one secret. Wiped on drop.
///
/// It has no `Debug`, `Display`, `Clone`, `PartialEq` or `Serialize`, so that it cannot leak by accident.
///
/// ```compile_fail
/// let secret = palyra_actors::secret::Secret::new(b"k".to_vec());
/// println!("{secret:?}");
/// ```
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes ownership of the bytes; the caller must not keep a copy.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes, to be used only for a MAC or for encryption.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Whether it contains nothing but white space, invisible characters and NUL bytes, so that it must not verify
    /// anything.
    pub fn is_blank(&self) -> bool {
        std::str::from_utf8(&self.0).is_ok_and(|text| text.chars().all(is_invisible))
    }

    /// Compares with `other` in time that does not depend on where they differ.
    pub fn matches(&self, other: &[u8]) -> bool {
        self.0.as_slice().ct_eq(other).into()
    }
}

/// White space, and characters most fonts do not show (Unicode's `Default_Ignorable_Code_Point`).
fn is_invisible(c: char) -> bool {
    c.is_whitespace()
        || matches!(c,
            '\0' | '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{e0000}'..='\u{e0fff}')
}

/// One version of a secret.
pub struct SecretVersion {
    /// Number of the value, counted from 1; it is journaled with each delivery it verified.
    pub version: u32,
    /// The value.
    pub secret: Secret,
}

/// The versions of a secret that may verify a delivery, newest first. Never empty.
pub struct SecretVersions(Vec<SecretVersion>);

impl SecretVersions {
    /// `None` if there is no version, or one of them is blank: neither may verify anything.
    pub fn new(versions: Vec<SecretVersion>) -> Option<Self> {
        let usable = !versions.is_empty() && versions.iter().all(|version| !version.secret.is_blank());
        usable.then_some(Self(versions))
    }

    /// Newest first.
    pub fn iter(&self) -> impl Iterator<Item = &SecretVersion> {
        self.0.iter()
    }

    /// The newest version, the one to sign with.
    pub fn current(&self) -> Option<&SecretVersion> {
        self.0.first()
    }
}
