//! Parses a signature header into candidate signatures.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::form::{Encoding, SignatureForm, SignatureItem};
use super::{Reason, Reject};
use crate::limits::{SIGNATURE_CANDIDATES_MAX, SIGNATURE_HEADER_BYTES_MAX};

const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const BASE64: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const BASE64URL: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// Candidate signatures with the time they were sent with.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Signatures<'a> {
    /// Decoded signatures of the scheme, in order; at least one.
    pub candidates: Vec<Vec<u8>>,
    /// The first item that the profile declares to be the time.
    pub time: Option<&'a str>,
}

/// Parses the lists in `texts`, in order. Bytes that do not have the form of a signature are skipped, and so is a list
/// without any signature.
///
/// # Errors
/// [`Reason::MalformedSignature`] when the items contain no signature of the scheme, or too many in total.
pub fn read<'a>(
    texts: &[&'a str],
    form: &SignatureForm,
    time: Option<&SignatureItem>,
    has_form: impl Fn(&[u8]) -> bool,
) -> Result<Vec<Signatures<'a>>, Reject> {
    let malformed = |detail: &str| Reject::new(Reason::MalformedSignature, detail);
    if texts.iter().any(|text| text.len() > SIGNATURE_HEADER_BYTES_MAX) {
        return Err(malformed("the signature is longer than 16 KiB"));
    }
    let (mut lists, mut tried) = (Vec::<Signatures<'a>>::new(), 0);
    let outer = form.split_lists.as_deref();
    for list in texts.iter().flat_map(|text| parts(text, outer, form.trim)) {
        let mut signatures = Signatures::default();
        for (index, item) in parts(list, form.split.as_deref(), form.trim).enumerate() {
            let encoded = match read_item(item, index, form, time) {
                Item::Signature(encoded) => encoded,
                Item::Time(text) => {
                    signatures.time.get_or_insert(text);
                    continue;
                }
                Item::Other => continue,
            };
            tried += 1;
            if tried > SIGNATURE_CANDIDATES_MAX {
                return Err(malformed("there are more than 8 signatures"));
            }
            signatures.candidates.extend(decode(encoded, form.encoding).filter(|bytes| has_form(bytes)));
        }
        join(&mut lists, signatures);
    }
    match (lists.is_empty(), tried) {
        (true, 0) => Err(malformed("the header has no signature of this scheme")),
        (true, _) => Err(malformed("a signature cannot be decoded or does not have the expected form")),
        (false, _) => Ok(lists),
    }
}

/// Adds a list; signatures with the same time are merged into one list.
fn join<'a>(lists: &mut Vec<Signatures<'a>>, list: Signatures<'a>) {
    match lists.iter_mut().find(|other| other.time == list.time) {
        Some(other) => other.candidates.extend(list.candidates),
        None if list.candidates.is_empty() => {}
        None => lists.push(list),
    }
}

/// The parts of a text between separators; the whole text if there is no separator.
fn parts<'a>(text: &'a str, separator: Option<&str>, trim: bool) -> impl Iterator<Item = &'a str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let whole = rest.take()?;
        let part = match separator.and_then(|separator| whole.split_once(separator)) {
            Some((part, after)) => {
                rest = Some(after);
                part
            }
            None => whole,
        };
        Some(if trim { part.trim() } else { part })
    })
}

/// The role of an item.
enum Item<'a> {
    /// An encoded signature.
    Signature(&'a str),
    /// The time.
    Time(&'a str),
    /// An item that is ignored.
    Other,
}

fn read_item<'a>(
    item: &'a str,
    index: usize,
    form: &SignatureForm,
    time: Option<&SignatureItem>,
) -> Item<'a> {
    if matches!(time, Some(SignatureItem::At(at)) if *at == index) {
        return Item::Time(item);
    }
    let value = match form.pair.as_ref().map(|pair| item.split_once(pair.as_str())) {
        None => item,
        Some(Some((name, value))) if form.key.iter().any(|key| key == name) => value,
        Some(Some((name, value))) if matches!(time, Some(SignatureItem::Named(own)) if own == name) => {
            return Item::Time(value);
        }
        Some(_) => return Item::Other,
    };
    without_prefix(value, &form.prefixes).map_or(Item::Other, Item::Signature)
}

/// The rest after the longest of `prefixes` that matches; `text` itself if there are no prefixes.
fn without_prefix<'a>(text: &'a str, prefixes: &[String]) -> Option<&'a str> {
    if prefixes.is_empty() {
        return Some(text);
    }
    let matching = prefixes.iter().filter(|prefix| text.starts_with(prefix.as_str()));
    let longest = matching.max_by_key(|prefix| prefix.len())?;
    text.get(longest.len()..)
}

/// Decodes bytes; `None` if the text is not valid in this encoding.
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

/// Encodes bytes.
pub fn encode(bytes: &[u8], encoding: Encoding) -> String {
    match encoding {
        Encoding::Hex => hex::encode(bytes),
        Encoding::Base64 => base64::engine::general_purpose::STANDARD.encode(bytes),
        Encoding::Base64url => base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes),
    }
}

/// The text of a header with one signature, and with the signed time if the form has a place for it.
pub fn write(signature: &[u8], form: &SignatureForm, beside: Option<(&SignatureItem, &str)>) -> String {
    let prefix = form.prefixes.first().map_or("", String::as_str);
    let pair = form.pair.as_deref().unwrap_or_default();
    let named = form.key.first().map(|key| format!("{key}{pair}")).unwrap_or_default();
    let signed = format!("{named}{prefix}{}", encode(signature, form.encoding));
    let split = form.split.as_deref().unwrap_or_default();
    match beside {
        Some((SignatureItem::Named(name), time)) if !split.is_empty() => {
            format!("{name}{pair}{time}{split}{signed}")
        }
        Some((SignatureItem::At(at), time)) => {
            let mut items = vec![signed.as_str(); (*at).max(1)];
            items.insert(*at, time);
            items.join(split)
        }
        _ => signed,
    }
}
