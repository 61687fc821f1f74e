//! Which places identify a delivery: those that its signature fixes. An attacker who captured a delivery cannot change
//! the text there without invalidating the signature.
//!
//! It is not enough that a place is signed. The signed content is a concatenation, and only the text of the next part
//! shows where a part ends: `{json:/a}:{json:/b}` signs `1:2` and `3` exactly as it signs `1` and `2:3`. So a part is
//! fixed only if the content can be split in one way: from either end, across parts whose length or end is known, plus
//! what remains between them if that is a single part.

use super::form::{Content, Locator, ProfileFile, TimeFormat};
use super::scheme::Proof;
use super::template::{Piece, Template};
use super::{Body, ContentKind};

/// The places that identify deliveries signed as `proof` says: those locators named by the profile that are fixed.
pub fn of(proof: &Proof, file: &ProfileFile) -> Vec<Locator> {
    let id_form = &file.delivery_id;
    let named = match id_form.replay_key.is_empty() {
        true if id_form.signed => &id_form.from,
        _ => &id_form.replay_key,
    };
    named.iter().filter(|locator| fixes(proof, locator, &file.content)).cloned().collect()
}

/// Whether `proof` covers anything of the delivery, even if not the whole body.
pub fn covers_content(proof: &Proof) -> bool {
    match proof {
        Proof::Signed(_) => true,
        Proof::Jwt(form) => form.body_sha256_claim.is_some(),
        Proof::Token(_) | Proof::None => false,
    }
}

/// Whether rewritten retries can be recognised without a signed id: the signed part is the same in each, or a token
/// holder may be trusted with an unsigned id.
pub fn tells_retries(proof: &Proof) -> bool {
    match proof {
        Proof::Signed(scheme) => !scheme.content.covers_body() && scheme.form.body_sha256_query.is_none(),
        Proof::Jwt(form) => form.body_sha256_claim.is_none(),
        Proof::Token(_) => true,
        Proof::None => false,
    }
}

/// Whether a signature of `proof` fixes the text at `locator`, if bodies are of the kinds in `content`.
pub fn fixes(proof: &Proof, locator: &Locator, content: &[Content]) -> bool {
    let kinds = Kinds::of(content);
    match proof {
        Proof::Signed(scheme) => {
            let time = scheme.form.timestamp.as_ref().map(|time| time.format);
            let fixed = fixed(&scheme.content, time, kinds);
            is_among(&fixed, locator, kinds)
        }
        Proof::Jwt(form) => form.body_sha256_claim.is_some() && kinds.are_told_apart && is_in_body(locator),
        Proof::Token(_) | Proof::None => false,
    }
}

/// Whether `locator` reads from the body.
pub fn is_in_body(locator: &Locator) -> bool {
    match locator {
        Locator::Json(_) | Locator::JsonEach { .. } | Locator::Form(_) | Locator::FormJson { .. } => true,
        Locator::Join { from, .. } => from.iter().all(is_in_body),
        _ => false,
    }
}

/// The kinds of body that are accepted. The `Content-Type` is not signed, so if a body could be parsed in two ways, no
/// place in it is fixed. JSON and forms exclude each other; text may be either.
#[derive(Clone, Copy)]
struct Kinds {
    are_told_apart: bool,
    are_json: bool,
}

impl Kinds {
    fn of(content: &[Content]) -> Self {
        let all = |wanted| content.iter().all(|kind| (kind.kind() == ContentKind::Text) == wanted);
        let are_json = content.iter().all(|kind| kind.kind() == ContentKind::Json);
        Self { are_told_apart: all(true) || all(false), are_json }
    }
}

/// The bodies of which the signed content fixes every byte, including where they begin and end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FixedBodies {
    /// All of them.
    All,
    /// Only JSON documents: moving a byte from one to the neighbouring part leaves invalid JSON.
    Json,
    /// None.
    None,
}

impl FixedBodies {
    /// The bodies fixed by a scheme that signs `content`.
    pub fn of(content: &Template, time: Option<TimeFormat>) -> Self {
        let fixes_if = |are_json| {
            let mut fixed = fixed(content, time, Kinds { are_told_apart: true, are_json }).into_iter();
            fixed.any(|piece| matches!(piece, Piece::Body | Piece::BodySha256))
        };
        match (fixes_if(false), fixes_if(true)) {
            (true, _) => Self::All,
            (false, true) => Self::Json,
            (false, false) => Self::None,
        }
    }

    /// Whether `body` is one of them.
    pub fn body(self, body: &Body) -> bool {
        match self {
            Self::All => true,
            Self::Json => body.json().is_some(),
            Self::None => false,
        }
    }
}

/// The parts of the content whose beginning and end are known.
fn fixed(content: &Template, time: Option<TimeFormat>, kinds: Kinds) -> Vec<&Piece> {
    let pieces = content.0.as_slice();
    let known = |at: &usize| match pieces.get(*at) {
        Some(Piece::Body) => kinds.are_json && !is_beside_place(pieces, *at),
        piece => piece.is_some_and(ends_by_itself),
    };
    let known_backwards = |at: &usize| {
        let before = at.checked_sub(1).and_then(|before| pieces.get(before));
        match pieces.get(*at) {
            Some(Piece::Timestamp) => {
                let is_date = matches!(time, Some(TimeFormat::Rfc3339 | TimeFormat::HttpDate));
                is_date || before.is_none_or(|before| ends_digits(before, kinds))
            }
            _ => known(at),
        }
    };
    let first = (0..pieces.len()).take_while(known).count();
    let last = pieces.len() - (first..pieces.len()).rev().take_while(known_backwards).count();
    let is_open = |at: usize| last - first > 1 && (first..last).contains(&at);
    pieces.iter().enumerate().filter(|(at, _)| !is_open(*at)).map(|(_, piece)| piece).collect()
}

/// Whether the end of a part can be recognised: it is the same in every delivery, has a fixed length, or is an object or
/// array in canonical form (none of which is a prefix or suffix of another). A fresh time in digits always has the same
/// length.
fn ends_by_itself(piece: &Piece) -> bool {
    matches!(
        piece,
        Piece::Literal(_)
            | Piece::Secret
            | Piece::Parameter(_)
            | Piece::Method
            | Piece::Timestamp
            | Piece::BodySha256
            | Piece::CanonicalJsonWithout(_)
    )
}

/// Whether a text of the request with arbitrary content is next to the part `at`, with at most white space between them.
/// A document may have white space around it, which could be moved to that text; URLs and headers never end with white
/// space.
fn is_beside_place(pieces: &[Piece], at: usize) -> bool {
    let says_something = |piece: &&Piece| !matches!(piece, Piece::Literal(text) if text.trim().is_empty());
    let (mut before, mut after) = (pieces.iter().take(at).rev(), pieces.iter().skip(at + 1));
    let is_place = |piece: Option<&Piece>| matches!(piece, Some(Piece::Place(_)));
    is_place(before.find(says_something)) || is_place(after.find(says_something))
}

/// Whether digits after `piece` certainly begin there: an additional leading zero would not change the value of a time.
fn ends_digits(piece: &Piece, kinds: Kinds) -> bool {
    match piece {
        Piece::Literal(text) => !text.ends_with('0'),
        Piece::Body => kinds.are_json,
        Piece::CanonicalJsonWithout(_) => true,
        _ => false,
    }
}

fn is_among(fixed: &[&Piece], locator: &Locator, kinds: Kinds) -> bool {
    let holds = |piece: &&Piece| match (*piece, locator) {
        (Piece::Header(name), Locator::Header(other)) => name.eq_ignore_ascii_case(other),
        (Piece::Place(Locator::Json(name)), Locator::Json(other))
        | (Piece::Place(Locator::Form(name)), Locator::Form(other))
        | (Piece::Place(Locator::Query(name)), Locator::Query(other)) => name == other,
        (Piece::Body | Piece::BodySha256, _) => kinds.are_told_apart && is_in_body(locator),
        (Piece::CanonicalJsonWithout(left_out), Locator::Json(pointer)) => !is_within(pointer, left_out),
        _ => false,
    };
    match locator {
        Locator::Join { from, .. } => from.iter().all(|part| is_among(fixed, part, kinds)),
        _ => fixed.iter().any(holds),
    }
}

fn is_within(pointer: &str, outer: &str) -> bool {
    pointer.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
