//! Reads the text of a signature header into the signatures that may be tried.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::profile::{Encoding, SignatureForm};
use super::{Reason, Reject};
use crate::limits::{SIGNATURE_CANDIDATES_MAX, SIGNATURE_HEADER_BYTES_MAX};

const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const BASE64: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const BASE64URL: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// The signatures of a header, and its other items.
#[derive(Debug, PartialEq, Eq)]
pub struct Signatures<'a> {
    /// Decoded signatures of the scheme, in their order; at least one.
    pub candidates: Vec<Vec<u8>>,
    items: Vec<(&'a str, &'a str)>,
}

impl<'a> Signatures<'a> {
    /// The first item of that name that is no signature.
    pub fn item(&self, name: &str) -> Option<&'a str> {
        self.items.iter().find(|(own, _)| *own == name).map(|(_, value)| *value)
    }
}

/// Reads `text`; bytes that do not have the form of a signature are none.
///
/// # Errors
/// [`Reason::MalformedSignature`] when no signature of the scheme is among the items, or there are too many.
pub fn read<'a>(
    text: &'a str,
    form: &SignatureForm,
    has_form: impl Fn(&[u8]) -> bool,
) -> Result<Signatures<'a>, Reject> {
    let malformed = |detail: &str| Reject::new(Reason::MalformedSignature, detail);
    if text.len() > SIGNATURE_HEADER_BYTES_MAX {
        return Err(malformed("the signature is longer than 16 KiB"));
    }
    let mut signatures = Signatures { candidates: Vec::new(), items: Vec::new() };
    let mut tried = 0;
    for item in items(text, form) {
        let Some(encoded) = signature_item(item, form, &mut signatures.items) else { continue };
        tried += 1;
        if tried > SIGNATURE_CANDIDATES_MAX {
            return Err(malformed("there are more than 8 signatures"));
        }
        let decoded = decode(encoded, form.encoding).filter(|bytes| has_form(bytes));
        signatures.candidates.extend(decoded);
    }
    match (signatures.candidates.is_empty(), tried) {
        (true, 0) => Err(malformed("no item is a signature of this scheme")),
        (true, _) => Err(malformed("a signature cannot be decoded, or has another form")),
        (false, _) => Ok(signatures),
    }
}

fn items<'a>(text: &'a str, form: &SignatureForm) -> impl Iterator<Item = &'a str> {
    let split = form.split.as_deref();
    let trim = form.trim;
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let whole = rest.take()?;
        let item = match split.and_then(|separator| whole.split_once(separator)) {
            Some((item, after)) => {
                rest = Some(after);
                item
            }
            None => whole,
        };
        Some(if trim { item.trim() } else { item })
    })
}

/// The encoded signature an item holds; other named items are kept aside.
fn signature_item<'a>(
    item: &'a str,
    form: &SignatureForm,
    others: &mut Vec<(&'a str, &'a str)>,
) -> Option<&'a str> {
    if let (Some(pair), Some(key)) = (&form.pair, &form.key) {
        let (name, value) = item.split_once(pair.as_str())?;
        if name == key {
            return Some(value);
        }
        if others.len() < SIGNATURE_CANDIDATES_MAX {
            others.push((name, value));
        }
        return None;
    }
    if form.prefixes.is_empty() {
        return Some(item);
    }
    let matching = form.prefixes.iter().filter(|prefix| item.starts_with(prefix.as_str()));
    let longest = matching.max_by_key(|prefix| prefix.len())?;
    item.get(longest.len()..)
}

/// Bytes from their written form; `None` when the text is not of that form.
pub fn decode(text: &str, encoding: Encoding) -> Option<Vec<u8>> {
    match encoding {
        Encoding::Hex => decode_hex(text),
        Encoding::Base64 => BASE64.decode(text).ok().filter(|_| !text.is_empty()),
        Encoding::Base64url => BASE64URL.decode(text).ok().filter(|_| !text.is_empty()),
    }
}

fn decode_hex(text: &str) -> Option<Vec<u8>> {
    let mut bytes = vec![0; text.len() / 2];
    hex::decode_to_slice(text, &mut bytes).ok().map(|()| bytes)
}

/// Bytes in their written form.
pub fn encode(bytes: &[u8], encoding: Encoding) -> String {
    match encoding {
        Encoding::Hex => hex::encode(bytes),
        Encoding::Base64 => base64::engine::general_purpose::STANDARD.encode(bytes),
        Encoding::Base64url => base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes),
    }
}

/// The text of a header with one signature, and the signed time beside it where the form has a place for it.
pub fn write(signature: &[u8], form: &SignatureForm, beside: Option<(&str, &str)>) -> String {
    let encoded = encode(signature, form.encoding);
    let Some((pair, key)) = form.pair.as_ref().zip(form.key.as_ref()) else {
        let prefix = form.prefixes.first().map_or("", String::as_str);
        return format!("{prefix}{encoded}");
    };
    let signed = format!("{key}{pair}{encoded}");
    match (beside, &form.split) {
        (Some((name, value)), Some(split)) => format!("{name}{pair}{value}{split}{signed}"),
        _ => signed,
    }
}
