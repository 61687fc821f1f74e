//! Algorithms of signed content by the kind of scheme, and the one in a profile that is none of its scheme's.

use serde_json::Value;

use super::algorithm::Algorithm;
use super::signed::SignatureKind;
use crate::ids::nearest;

/// Most characters of a profile's text that a message shows.
const QUOTED_CHARS_MAX: usize = 40;

const KINDS: [SignatureKind; 3] = [SignatureKind::Mac, SignatureKind::PublicKey, SignatureKind::Certificate];

fn algorithms(kind: SignatureKind) -> &'static [Algorithm] {
    match kind {
        SignatureKind::Mac => &[
            Algorithm::HmacSha1,
            Algorithm::HmacSha256,
            Algorithm::HmacSha384,
            Algorithm::HmacSha512,
            Algorithm::Sha256,
        ],
        SignatureKind::PublicKey => &[
            Algorithm::Ed25519,
            Algorithm::EcdsaP256Sha256,
            Algorithm::EcdsaP256Sha256Raw,
            Algorithm::EcdsaP384Sha384,
            Algorithm::EcdsaP384Sha384Raw,
            Algorithm::RsaSha256,
            Algorithm::RsaSha384,
            Algorithm::RsaSha512,
            Algorithm::RsaPssSha256,
            Algorithm::RsaPssSha384,
            Algorithm::RsaPssSha512,
        ],
        SignatureKind::Certificate => {
            &[Algorithm::RsaSha1, Algorithm::RsaSha256, Algorithm::RsaSha384, Algorithm::RsaSha512]
        }
    }
}

/// A text in place of an algorithm that is no algorithm of its scheme.
pub struct ForeignAlgorithm {
    kind: SignatureKind,
    /// JSON pointer to the text.
    pub pointer: String,
    written: String,
}

impl ForeignAlgorithm {
    /// The first one of a profile, whether or not the profile matches the schema.
    pub fn of(profile: &Value) -> Option<Self> {
        let schemes = profile.get("auth").and_then(Value::as_array).into_iter().flatten().enumerate();
        let mut signed = schemes.flat_map(|(index, scheme)| {
            KINDS.into_iter().filter_map(move |kind| Some((index, kind, scheme.get(kind.as_str())?)))
        });
        signed.find_map(|(index, kind, form)| {
            let foreign = |(member, written): (String, &str)| {
                let is_own = algorithms(kind).iter().any(|own| own.as_str() == written);
                let pointer = format!("/auth/{index}/{}/{member}", kind.as_str());
                (!is_own).then(|| Self { kind, pointer, written: written.to_owned() })
            };
            named(form).find_map(foreign)
        })
    }

    /// What is wrong, with the algorithms that are allowed there.
    pub fn message(&self) -> String {
        let own = algorithms(self.kind).iter().map(|own| own.as_str()).collect::<Vec<_>>().join(", ");
        let written: String = self.written.chars().take(QUOTED_CHARS_MAX).collect();
        format!("`{written}` is not an algorithm of `{}`; its algorithms are {own}", self.kind.as_str())
    }

    /// The most similar algorithm that is allowed there.
    pub fn hint(&self) -> Option<String> {
        let near = nearest(&self.written, algorithms(self.kind).iter().map(|own| own.as_str()))?;
        Some(format!("did you mean `{near}`?"))
    }
}

/// The texts in place of algorithms in a signed scheme, with their JSON pointers from there.
fn named(form: &Value) -> impl Iterator<Item = (String, &str)> {
    let only = form.get("algorithm").map(|one| ("algorithm".to_owned(), one));
    let chosen = form.pointer("/algorithm_from/values").and_then(Value::as_object).into_iter().flatten();
    let chosen = chosen.map(|(name, one)| {
        (format!("algorithm_from/values/{}", name.replace('~', "~0").replace('/', "~1")), one)
    });
    only.into_iter().chain(chosen).filter_map(|(member, one)| Some((member, one.as_str()?)))
}
